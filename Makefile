# Everything a developer or CI types. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## This list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: build
build: ## The release binary: target/release/supercargo
	$(CARGO) build --release --locked

.PHONY: test
test: ## All tests that need no cluster (loopback only)
	$(CARGO) test --locked

.PHONY: demo
demo: ## The main job: serve the built-in policies over TLS and send manifests/examples/ to them
	tests/demo.sh

.PHONY: e2e
e2e: build $(TARGET)/sabotage/supercargo ## The same against a real kube-apiserver, which is built first (Go 1.26)
	SUPERCARGO_BIN=$(abspath $(TARGET))/release/supercargo \
	SUPERCARGO_SABOTAGE_BIN=$(abspath $(TARGET))/sabotage/supercargo \
	$(CARGO) test --locked --test e2e -- $(SCENARIO)

.PHONY: packing
packing: build ## The evidence of docs/packing.md on the real scheduler: the better part of an hour, judges nothing
	SUPERCARGO_BIN=$(abspath $(TARGET))/release/supercargo $(CARGO) test --locked --test e2e -- \
	  measure-empty measure-mixed measure-scale-{100,200,500,1000} measure-cpu measure-churn measure-replicas measure-most-allocated

# The binary with a wrong mutator and a panic in it, for the safety nets' scenarios.
.PHONY: $(TARGET)/sabotage/supercargo
$(TARGET)/sabotage/supercargo:
	$(CARGO) build --locked --features sabotage
	mkdir -p $(@D) && cp $(TARGET)/debug/supercargo $@

.PHONY: demo-cluster
demo-cluster: build ## The examples through a real control plane with kubectl, and a picture of the nodes
	SUPERCARGO_BIN=$(abspath $(TARGET))/release/supercargo $(CARGO) test --locked --test e2e -- demo-cluster

# The binary as it is shipped: the one that `cargo bench` builds for itself has tokio's clock for tests in it.
.PHONY: bench
bench: build ## The engine alone, then the server beside a bare TLS echo (docs/performance.md)
	mkdir -p $(TARGET)/bench && cp $(TARGET)/release/supercargo $(TARGET)/bench/supercargo
	SUPERCARGO_BIN=$(abspath $(TARGET))/bench/supercargo $(CARGO) bench --locked

.PHONY: properties
properties: ## 100,000 random pods through the mutators, and as many clusters through the planner
	PROPTEST_CASES=100000 $(CARGO) test --profile properties --locked --test it -- properties packing::

# Its advisories are no crate and lie on github.com, which not every machine reaches: `cargo deny check advisories` where it does.
DENY := $(TARGET)/tools/cargo-deny-0.20.2
.PHONY: deny
deny: $(DENY)/bin/cargo-deny ## Licences, duplicates and sources of the dependencies, by deny.toml
	$< --locked check --hide-inclusion-graph bans licenses sources

$(DENY)/bin/cargo-deny:
	$(CARGO) install --quiet --locked --debug --root $(DENY) cargo-deny@0.20.2

.PHONY: generate
generate: ## Rewrite what is made from the code: docs/rules.md, docs/policies.md, docs/cli.md
	$(CARGO) run --locked --quiet --example reference -- docs

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt

.PHONY: lint
lint: ## Format check and clippy without warnings
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: ci
ci: lint deny ## Everything CI runs
	$(CARGO) check --locked --no-default-features
	$(CARGO) check --locked --no-default-features --features server
	$(MAKE) test
	$(MAKE) generate
	git diff --exit-code -- docs
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps
	$(MAKE) demo
	$(MAKE) e2e
	$(MAKE) properties
