# The way in for people; CI runs the same targets. What is longer than a few lines is in hack/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# .cargo/config.toml names the target, so cargo's output is one folder deeper than usual.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
export BIN := $(or $(CARGO_TARGET_DIR),target)/$(HOST)/debug

# The modules of the actions are declared by a macro, which `cargo fmt` does not look into.
ACTIONS := $(wildcard crates/actions/src/*.rs)

# What `make build` builds. After `make test`, `--bins --tests` uses what that has built.
BUILD ?= --bins

# What runs the pods of `make demo`: `process` stands for them, `containerd` runs them.
NODE := process
ifeq ($(filter process containerd,$(NODE)),)
$(error NODE is '$(NODE)': write NODE=process or NODE=containerd)
endif

# Where the operator of `make cluster-up` answers /healthz, /readyz and /metrics.
export OPERATOR_LISTEN ?= 127.0.0.1:18080

##@ To see it

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: demo-$(NODE) ## Start a cluster, scale a Deployment in it, show what happens, end it. NODE=containerd: on real nodes, as root.

.PHONY: demo-process
demo-process: cluster-bin build
	@echo "==> the demo"
	@$(BIN)/devcluster demo --operator $(BIN)/kubernaut-executor

.PHONY: demo-containerd
demo-containerd: node-bin helm-bin build node-images
	@echo "==> the demo, on real nodes"
	@$(BIN)/devcluster isolate -- $(BIN)/devcluster demo --node containerd --operator $(BIN)/kubernaut-executor

##@ A cluster to work with

.PHONY: cluster-up
cluster-up: cluster-bin build ## Start a control plane, a node and the operator in the background.
	@hack/cluster-up.sh

.PHONY: install
install: cluster-bin helm-bin build ## Install the chart into such a cluster instead, or upgrade it there.
	@hack/install.sh

.PHONY: cluster-down
cluster-down: ## End all of it.
	@test -x $(BIN)/devcluster || cargo build --package kexec-devcluster
	@$(BIN)/devcluster down

##@ To work on it

.PHONY: test
test: cluster-bin helm-bin ## Run all tests: the pure ones, and those on a real API server.
	@echo "==> building"
	@cargo build --workspace --bins --tests
	@echo "==> testing"
	@cargo test --workspace

.PHONY: e2e
e2e: node-bin helm-bin build node-images ## Run the stories on real nodes: kubelet, containerd, runc and our images. Needs root.
	@cargo test --package kexec-tests --test node --no-run
	@echo "==> testing"
	@$(BIN)/devcluster isolate -- cargo test --package kexec-tests --test node -- --test-threads 16

.PHONY: node-images
node-images: node-machine build
	@echo "==> building the images"
	@hack/real-node/images.sh

.PHONY: check
check: check-format check-lints check-generated check-dependencies check-scripts check-chart ## Run all that CI checks beside the tests.

.PHONY: check-format
check-format:
	@cargo fmt --all --check
	@rustfmt --edition 2024 --check $(ACTIONS)

.PHONY: check-lints
check-lints:
	@cargo clippy --workspace --all-targets -- --deny warnings

.PHONY: check-generated
check-generated:
	@cargo xtask generate --check

.PHONY: check-dependencies
check-dependencies:
	@hack/cargo-deny.sh check --hide-inclusion-graph licenses bans sources

.PHONY: check-scripts
check-scripts:
	@hack/shellcheck.sh

.PHONY: check-chart
check-chart: helm-bin
	@hack/check-chart.sh

.PHONY: generate
generate: ## Write the files that are generated: config/, and parts of charts/.
	@cargo xtask generate

.PHONY: fmt
fmt: ## Format the code.
	@cargo fmt --all
	@rustfmt --edition 2024 $(ACTIONS)

.PHONY: build
build: ## Build our programs.
	@echo "==> building our programs"
	@cargo build --workspace $(BUILD)

.PHONY: helm-bin
helm-bin:
	@hack/cluster-tools/helm.sh

.PHONY: cluster-bin
cluster-bin: ## Build the cluster's programs (etcd, Kubernetes) from pinned sources, if they are not there yet.
	@echo "==> the cluster's programs (minutes, the first time)"
	@mkdir -p .devcluster
	@hack/cluster-tools/build.sh

.PHONY: node-machine
node-machine:
	@hack/real-node/prepare.sh

.PHONY: node-bin
node-bin: node-machine cluster-bin ## Build what a real node needs beside them (kubelet, containerd); install the rest (runc).
	@echo "==> the node's programs (minutes, the first time)"
	@hack/cluster-tools/build.sh node
