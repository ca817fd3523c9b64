#!/usr/bin/env bash
# Builds the programs of the dev cluster from the pinned Go modules beside this script into .devcluster/bin. What is
# there already at the pinned version is left alone; the first build takes some minutes.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
module=$here/kubernetes
bin=$(cd -- "$here/../.." && pwd)/.devcluster/bin
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)

fail() {
  echo "cluster-bin: $*" >&2
  exit 1
}

# Go's name of the package that a program is built from.
package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

# The program as it should be: the pinned modules and how they are built.
wanted() {
  cat "$module/go.mod" "$module/go.sum" "${BASH_SOURCE[0]}" | sha256sum | cut -d ' ' -f 1
}

is_built() {
  local program=$1 stamp=$2
  [[ -x $bin/$program && -f $bin/.$program.stamp && $(<"$bin/.$program.stamp") == "$stamp" ]]
}

build() {
  local program=$1 version=$2 work=$3
  local minor=${version#v*.}
  local set=k8s.io/component-base/version
  local flags="-s -w -X $set.gitVersion=$version -X $set.gitMajor=1 -X $set.gitMinor=${minor%%.*}"
  (cd "$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$work/$program" "$(package_of "$program")")
}

use_assets() {
  local program
  for program in "${programs[@]}"; do
    [[ -x $KUBEBUILDER_ASSETS/$program ]] ||
      fail "KUBEBUILDER_ASSETS is '$KUBEBUILDER_ASSETS', which has no '$program': unset it or put the program there"
  done
  echo "cluster-bin: using the programs in $KUBEBUILDER_ASSETS"
}

build_missing() {
  local stamp version work program number=0
  stamp=$(wanted)
  mkdir -p "$bin"
  work=$(mktemp -d "$bin/.build.XXXXXX")
  # shellcheck disable=SC2064 # the folder of this run, not of whatever the variable holds later
  trap "rm -rf '$work'" EXIT
  for program in "${programs[@]}"; do
    number=$((number + 1))
    if is_built "$program" "$stamp"; then
      continue
    fi
    command -v go >/dev/null || fail "Go is missing: install the version in $module/go.mod or newer"
    version=$(cd "$module" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
    echo "building $program ($number of ${#programs[@]})..."
    build "$program" "$version" "$work" || fail "'$program' was not built"
    mv -f "$work/$program" "$bin/$program"
    echo "$stamp" >"$bin/.$program.stamp"
  done
  echo "cluster-bin: all programs are in $bin"
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  use_assets
else
  build_missing
fi
