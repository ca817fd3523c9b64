#!/usr/bin/env bash
# Builds the programs of the dev cluster from the pinned Go modules beside this script into .devcluster/bin. What is
# there already at the pinned version is left alone; the first build takes some minutes.
#
#   build.sh          those of the control plane, and kubectl
#   build.sh node     those of a real node
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd -- "$here/../.." && pwd)/.devcluster/bin
set=${1:-cluster}

# What a build is made with, beside the pinned modules; another value builds everything again.
readonly recipe=1

fail() {
  echo "$set-bin: $*" >&2
  exit 1
}

case $set in
  cluster) programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl) ;;
  node) programs=(kubelet containerd containerd-shim-runc-v2 ctr) ;;
  *) fail "there is no set of programs of that name" ;;
esac

# The Go package that a program is built from.
package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    containerd* | ctr) echo "github.com/containerd/containerd/v2/cmd/$1" ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

# The folder of the module that pins it.
module_of() {
  case $1 in
    containerd* | ctr) echo "$here/node" ;;
    *) echo "$here/kubernetes" ;;
  esac
}

# The program as it should be.
wanted() {
  { cat "$1/go.mod" "$1/go.sum" && echo "$recipe"; } | sha256sum | cut -d ' ' -f 1
}

is_built() {
  local program=$1 stamp=$2
  [[ -x $bin/$program && -f $bin/.$program.stamp && $(<"$bin/.$program.stamp") == "$stamp" ]]
}

# What the linker is told: Kubernetes' programs do not know their version by themselves.
linker_flags() {
  local module=$1 version minor set=k8s.io/component-base/version
  echo -n "-s -w"
  if [[ $module == "$here/kubernetes" ]]; then
    version=$(cd "$module" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v*.}
    echo -n " -X $set.gitVersion=$version -X $set.gitMajor=1 -X $set.gitMinor=${minor%%.*}"
  fi
}

build() {
  local program=$1 module=$2 work=$3 flags
  flags=$(linker_flags "$module")
  (cd "$module" && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$work/$program" "$(package_of "$program")")
}

use_assets() {
  local program
  for program in "${programs[@]}"; do
    [[ -x $KUBEBUILDER_ASSETS/$program ]] ||
      fail "KUBEBUILDER_ASSETS is '$KUBEBUILDER_ASSETS', which has no '$program': unset it or put the program there"
  done
  echo "$set-bin: using the programs in $KUBEBUILDER_ASSETS"
}

build_missing() {
  local stamp module work program number=0
  mkdir -p "$bin"
  work=$(mktemp -d "$bin/.build.XXXXXX")
  # shellcheck disable=SC2064 # the folder of this run, not of whatever the variable holds later
  trap "rm -rf '$work'" EXIT
  for program in "${programs[@]}"; do
    number=$((number + 1))
    module=$(module_of "$program")
    stamp=$(wanted "$module")
    if is_built "$program" "$stamp"; then
      continue
    fi
    command -v go >/dev/null || fail "Go is missing: install the version in $module/go.mod or newer"
    echo "building $program ($number of ${#programs[@]})..."
    build "$program" "$module" "$work" || fail "'$program' was not built"
    mv -f "$work/$program" "$bin/$program"
    echo "$stamp" >"$bin/.$program.stamp"
  done
  echo "$set-bin: all programs are in $bin"
}

if [[ $set == cluster && -n ${KUBEBUILDER_ASSETS:-} ]]; then
  use_assets
else
  build_missing
fi
