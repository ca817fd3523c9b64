#!/usr/bin/env bash
# Builds Helm from the pinned Go module in helm/ into .devcluster/bin, unless it is there at that version; the first
# build takes two minutes.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd -- "$here/../.." && pwd)/.devcluster/bin
module=$here/helm

fail() {
  echo "helm-bin: $*" >&2
  exit 1
}

# What a build is made with, beside the pinned modules; another value builds it again.
readonly recipe=1

stamp=$({ cat "$module/go.mod" "$module/go.sum" && echo "$recipe"; } | sha256sum | cut -d ' ' -f 1)
if [[ -x $bin/helm && -f $bin/.helm.stamp && $(<"$bin/.helm.stamp") == "$stamp" ]]; then
  exit 0
fi
command -v go >/dev/null || fail "Go is missing: install the version in $module/go.mod or newer"
echo "building helm..."
mkdir -p "$bin"
work=$(mktemp -d "$bin/.build.XXXXXX")
# shellcheck disable=SC2064 # the folder of this run, not of whatever the variable holds later
trap "rm -rf '$work'" EXIT
version=$(cd "$module" && go list -m -f '{{.Version}}' helm.sh/helm/v4)
flags="-s -w -X helm.sh/helm/v4/internal/version.version=$version"
(cd "$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$work/helm" helm.sh/helm/v4/cmd/helm) ||
  fail "'helm' was not built"
mv -f "$work/helm" "$bin/helm"
echo "$stamp" >"$bin/.helm.stamp"
