#!/usr/bin/env bash
# Starts the dev cluster without an operator in it, unless one runs, and installs the chart into it by Helm, or upgrades
# it: two controllers run as pods, under the rights that the chart gives them. `make install` sets BIN.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly dir=.devcluster namespace=kubernaut-system seconds=60
readonly controller=kubernaut-executor:dev runner=kubernaut-runner:dev
kubectl=${KUBEBUILDER_ASSETS:-$dir/bin}/kubectl

fail() {
  echo "install: $*" >&2
  exit 1
}

if ! status=$("$BIN/devcluster" status --dir "$dir"); then
  "$BIN/devcluster" up --detach --dir "$dir" --runner-image "$runner" --image "$controller=$BIN/kubernaut-executor"
elif [[ $status == *operator* ]]; then
  fail "the cluster of \`make cluster-up\` runs an operator of its own: end it with \`make cluster-down\` first"
fi
export KUBECONFIG=$PWD/$dir/kubeconfig

"$kubectl" create namespace "$namespace" --dry-run=client --output yaml | "$kubectl" apply --filename - >/dev/null
"$kubectl" label --overwrite namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
"$dir/bin/helm" upgrade --install kubernaut-executor charts/kubernaut-executor --namespace "$namespace" \
  --set "image.tag=${controller#*:},runner.image.tag=${runner#*:}" --wait --timeout 2m
end=$((SECONDS + seconds))
until [[ -n $(KUBECTL=$kubectl hack/requester.sh 2>/dev/null) ]]; do
  ((SECONDS < end)) || fail "the admission policies are not in force after $seconds s"
  sleep 0.2
done
cat <<END

Here that is:

  export KUBECONFIG=$KUBECONFIG PATH=$(cd -- "$(dirname -- "$kubectl")" && pwd):\$PATH
  kubectl apply -f examples/scale-deployment.yaml

\`make cluster-down\` ends it all.
END
