#!/usr/bin/env bash
# Starts the dev cluster in the background, with everything in config/ and the operator under its own ServiceAccount,
# and returns when the operator is ready and the admission policies are in force. `make cluster-up` sets BIN and
# OPERATOR_LISTEN.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly dir=.devcluster seconds=60
kubectl=${KUBEBUILDER_ASSETS:-$dir/bin}/kubectl

fail() {
  echo "cluster-up: $*" >&2
  exit 1
}

# What the operator answers to /readyz, headers and all.
readyz() {
  exec 3<>"/dev/tcp/${OPERATOR_LISTEN%:*}/${OPERATOR_LISTEN##*:}"
  printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
  cat <&3
}

# Why the operator does not act yet, if it does not.
operator_problem() {
  local answer
  answer=$(readyz 2>/dev/null) || answer="no answer at $OPERATOR_LISTEN"
  [[ $answer == HTTP/*' 200 '* ]] || echo "${answer##*$'\n'}"
}

requester() {
  KUBECONFIG=$dir/kubeconfig KUBECTL=$kubectl hack/requester.sh 2>/dev/null
}

problem() {
  local problem
  problem=$(operator_problem)
  if [[ -n $problem ]]; then
    echo "the operator is not ready: $problem"
  elif [[ -z $(requester) ]]; then
    echo "the admission policies are not in force"
  fi
}

"$BIN/devcluster" up --detach --dir "$dir" \
  --manifests config/crd config/operator config/rbac config/policies \
  --operator "$BIN/kubernaut-executor" \
  -- --runner-image kubernaut-runner:dev --listen "$OPERATOR_LISTEN"

end=$((SECONDS + seconds))
while why=$(problem) && [[ -n $why ]]; do
  ((SECONDS < end)) ||
    fail "$why. The operator's log is $dir/logs/operator.log; \`make cluster-down\` ends the cluster"
  sleep 0.2
done

cat <<END

The operator is ready: http://$OPERATOR_LISTEN/metrics. Try:

  export KUBECONFIG=$PWD/$dir/kubeconfig PATH=$(cd -- "$(dirname -- "$kubectl")" && pwd):\$PATH
  kubectl apply -f examples/scale-deployment.yaml
  kubectl -n demo wait --for=condition=Completed kexec/scale-web
  kubectl -n demo describe kexec scale-web

\`make cluster-down\` ends it all.
END
