#!/usr/bin/env bash
# Prints the requester that the API server writes into an execution, which it does when it enforces our policies: some
# moments after they were made. Nothing is created. The cluster is that of KUBECONFIG; KUBECTL is the program.
set -euo pipefail

"${KUBECTL:-kubectl}" create --dry-run=server --filename - --output 'jsonpath={.spec.requestedBy.username}' <<END
apiVersion: kubernetesexecution.kubernaut.io/v1alpha1
kind: KubernetesExecution
metadata: {name: probe, namespace: default}
spec:
  actionDefinition:
    actionType: scale_deployment
    targetResource: {apiVersion: apps/v1, kind: Deployment, namespace: default, name: probe}
    parameters: {replicas: 1}
END
