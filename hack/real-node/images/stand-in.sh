#!/bin/sh
# What stands in for the runner in stories on a real node. The dry run stays the real runner's.
set -eu

case "$*" in
  *--dry-run*) exec /kexec-runner "$@" ;;
esac

wait_forever() {
  while :; do /bin/busybox sleep 1; done
}

case "$STAND_IN" in
  # Stops when it is told to, as the runner does, and writes nothing.
  hold)
    trap 'exit 1' TERM
    echo "holding"
    wait_forever
    ;;
  # Cannot be stopped but by SIGKILL.
  deaf)
    trap '' TERM
    echo "deaf"
    wait_forever
    ;;
  # Takes memory until it is killed.
  glutton)
    exec /bin/busybox tail /dev/zero
    ;;
esac
