# Everything real happens in Rust: `e2e/src/bin/cluster.rs` (the local cluster) and `e2e/src/bin/suite.rs` (the tests).

# Outside the checkout, so that a fresh clone starts warm.
export RADIO_CACHE ?= $(HOME)/.cache/radio-operator
export CARGO_TARGET_DIR ?= $(RADIO_CACHE)/target
# Where the time of building the tool itself is counted from.
export RADIO_STARTED := $(shell date +%s)

CLUSTER = cargo run --package e2e --bin cluster --
SUITE = cargo run --package e2e --bin suite --

.PHONY: help mine up down test e2e e2e-full bench crds

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# Checkouts share the target directory, and cargo tells them apart by modification times alone (rust-lang/cargo#17312):
# whoever comes after another one touches its sources.
mine:
	@mkdir -p $(CARGO_TARGET_DIR); cd $(CURDIR); \
	if [ "$$(cat $(CARGO_TARGET_DIR)/checkout 2>/dev/null)" != "$(CURDIR)" ]; then \
		find . -name '*.rs' -o -name Cargo.toml | xargs touch; echo "$(CURDIR)" > $(CARGO_TARGET_DIR)/checkout; \
	fi

up: mine ## a cluster (or the one in KUBECONFIG), the operator, S3 and a station on the air
	@$(CLUSTER) up

down: mine ## take the local cluster away, to the last veth
	@$(CLUSTER) down

test: mine ## everything: format, lints, units, cluster, one representative of each promise
	@env -u KUBECONFIG $(SUITE) test

e2e: mine ## end-to-end tests on the running cluster: make e2e T=ground_
	@$(SUITE) e2e "$(T)"

e2e-full: mine ## all matrices and soaks on the running cluster
	@$(SUITE) e2e-full "$(T)"

bench: mine ## figures beside their peers, on the running cluster
	@$(SUITE) bench

crds: ## write crds/*.yaml from the Rust types
	@cargo run --quiet --package radio-crds --bin crdgen
