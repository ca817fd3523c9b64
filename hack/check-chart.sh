#!/usr/bin/env bash
# Checks what the chart renders to, in each of its variants: by `helm lint`, by the definitions of the oldest and the
# newest Kubernetes it is for, and by checkov (from PyPI, put into .devcluster/tools).
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly chart=charts/kubernaut-executor
readonly helm=.devcluster/bin/helm
readonly checkov=3.3.30
# Versions of Kubernetes, each with the checksum of its module, which holds its definitions.
readonly -A kubernetes=(
  [v1.33.13]=h1:bmH31xUdSzeA5vk0wZAK9MZp11mdLuzUSeKk0qN3hPQ=
  [v1.37.2]=h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=
)

fail() {
  echo "check-chart: $*" >&2
  exit 1
}

# The folder of a version's module; Go verifies what it downloads, and the checksum says that it is what was pinned.
module() {
  local version=$1 answer
  answer=$(cd "${TMPDIR:-/tmp}" && go mod download -json "k8s.io/kubernetes@$version") ||
    fail "the definitions of Kubernetes $version could not be had: $answer"
  [[ $answer == *"\"Sum\": \"${kubernetes[$version]}\""* ]] || fail "the module of Kubernetes $version is another one"
  sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' <<<"$answer"
}

render() {
  local variant=$1 version=$2
  "$helm" template kubernaut-executor "$chart" --namespace kubernaut-system --kube-version "$version" \
    --values "$chart/ci/$variant-values.yaml"
}

run_checkov() {
  local tools=$PWD/.devcluster/tools/checkov-$checkov
  if [[ ! -e $tools/.complete ]]; then
    command -v python3 >/dev/null || fail "install python3 with pip, from which checkov can be had"
    echo "installing checkov $checkov into ${tools#"$PWD"/}..."
    rm -rf "$tools"
    # pip complains of what else is installed, which this is apart from.
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$tools" \
      "checkov==$checkov" 2>"$work/pip.log" || fail "checkov was not installed: $(<"$work/pip.log")"
    touch "$tools/.complete"
  fi
  PYTHONPATH=$tools python3 -m checkov.main --framework kubernetes --compact --quiet --skip-download "$@"
}

[[ -x $helm ]] || fail "'$helm' is not there: run \`make helm-bin\`"
work=$(mktemp -d)
# shellcheck disable=SC2064 # the folder of this run, not of whatever the variable holds later
trap "rm -rf '$work'" EXIT

for values in "$chart"/ci/*-values.yaml; do
  "$helm" lint --strict --quiet "$chart" --values "$values"
done
for version in "${!kubernetes[@]}"; do
  folder=$(module "$version")
  for values in "$chart"/ci/*-values.yaml; do
    variant=$(basename "$values" -values.yaml)
    render "$variant" "$version" >"$work/$variant-$version.yaml"
  done
  cargo xtask manifests --openapi "$folder/api/openapi-spec/swagger.json" "$work"/*-"$version".yaml
done
run_checkov --directory "$work" --skip-path pip.log
echo "check-chart: lint, definitions of ${!kubernetes[*]}, checkov: no findings"
