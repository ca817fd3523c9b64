# The operator's images, static and from scratch: one program each, no shell, no root.
#
#   docker build --target controller --tag kubernaut-executor:VERSION .
#   docker build --target runner --tag kubernaut-runner:VERSION .
#
# The stage `build` can be replaced by a folder that has the programs in out/ (`--build-context build=FOLDER`); so do
# the tests on a real node.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --target-dir /target --package kexec-controller --package kexec-runner --bins \
 && mkdir /out \
 && cp /target/*/release/kubernaut-executor /target/*/release/kexec-runner /out/
# An image is at most 25 MiB.
RUN find /out -type f -size +25M | { ! grep .; }

FROM scratch AS runner
LABEL org.opencontainers.image.title="kubernaut-runner" \
      org.opencontainers.image.description="Carries out the plan of one KubernetesExecution" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/kexec-runner /kexec-runner
USER 65532:65532
ENTRYPOINT ["/kexec-runner"]

FROM scratch AS controller
LABEL org.opencontainers.image.title="kubernaut-executor" \
      org.opencontainers.image.description="Runs remediation actions asked for as KubernetesExecutions" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/kubernaut-executor /kubernaut-executor
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/kubernaut-executor"]
