#!/usr/bin/env bash
# Makes this machine fit for a real node, or says in one sentence why it is not: root, namespaces, Debian's packages.
# What is built here is the Makefile's matter.
set -euo pipefail

# The packages, each by a program in it.
packages=(
  runc:runc
  ip:iproute2
  busybox:busybox-static
  buildah:buildah
  strip:binutils
  /usr/lib/cni/bridge:containernetworking-plugins
)

fail() {
  echo "a real node: $*" >&2
  exit 1
}

missing() {
  local entry
  for entry in "${packages[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${entry%%:*}" >/dev/null || echo "${entry#*:}"
  done
}

((EUID == 0)) || fail "it needs root, to make namespaces and cgroups: run this as root"
unshare --net --mount --pid --fork --mount-proc true ||
  fail "this machine does not let root make namespaces (\`unshare --net --mount --pid\`)"
[[ -w /sys/fs/cgroup ]] || fail "/sys/fs/cgroup is not writable, so that pods could have no limits"

mapfile -t wanted < <(missing)
((${#wanted[@]} > 0)) || exit 0
command -v apt-get >/dev/null ||
  fail "'${wanted[*]}' (Debian's names) must be installed, and this is no Debian: install them by hand"
echo "a real node: installing ${wanted[*]}"
log=$(mktemp)
{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"; } \
  >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  fail "'${wanted[*]}' could not be installed; the whole output is in $log"
}
rm -f "$log"
