#!/usr/bin/env bash
# Runs the pinned cargo-deny with the given arguments; builds it into .devcluster/tools first if it is not there, which
# takes some minutes. (`cargo install` does not heed .cargo/config.toml: it is built for the machine it runs on.)
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly version=0.20.2
readonly root=$PWD/.devcluster/tools/cargo-deny-$version

if [[ ! -x $root/bin/cargo-deny ]]; then
  echo "building cargo-deny $version into ${root#"$PWD"/}..." >&2
  # Its release profile takes several times as long to build, and the check takes seconds either way.
  cargo install --locked --debug --quiet --root "$root" --version "$version" cargo-deny
fi
exec "$root/bin/cargo-deny" "$@"
