#!/usr/bin/env bash
# Builds the images for a real node into .devcluster/images: ours from the final stages of the Dockerfile and the
# programs that are built in $BIN, stripped, and those that stand for targets. Nothing is pulled.
set -euo pipefail

: "${BIN:?is the folder of the built programs; \`make\` sets it}"

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
out=$PWD/.devcluster/images
busybox=$(command -v busybox)

mkdir -p "$out"
work=$(mktemp -d "$PWD/.devcluster/.images.XXXXXX")
# shellcheck disable=SC2064 # the folder of this run, not of whatever the variable holds later
trap "rm -rf '$work'" EXIT

buildah_here() {
  buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# build TARGET NAME:TAG [ARGUMENT...]: the archive TARGET.tar with the image docker.io/library/NAME:TAG
build() {
  local target=$1 image=$2
  shift 2
  buildah_here bud --quiet --isolation chroot --target "$target" --tag "$image" "$@" >/dev/null
  buildah_here push --quiet "$image" "oci-archive:$work/$target.tar:docker.io/library/$image"
  mv -f "$work/$target.tar" "$out/$target.tar"
}

mkdir -p "$work/programs/out"
cp "$busybox" "$work/programs/busybox"
for program in kubernaut-executor kexec-runner; do
  strip -o "$work/programs/out/$program" "$BIN/$program"
done
cp "$work/programs/out/kexec-runner" "$work/programs/kexec-runner"

ours=(--build-context "build=$work/programs" --file Dockerfile "$work/programs")
theirs=(--build-context "programs=$work/programs" hack/real-node/images)
build controller kubernaut-executor:dev "${ours[@]}"
build runner kubernaut-runner:dev "${ours[@]}"
build sandbox kexec-sandbox:dev "${theirs[@]}"
build stand-in kexec-stand-in:dev "${theirs[@]}"
# The image that the examples name: what their targets run makes no difference to us.
build workload nginx:1.29 "${theirs[@]}"
