# The only commands: what CI runs is what a person runs. Every target may be run twice.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help demo test kube-assets model model-mutants sim bench bench-scale pitr chaos e2e image lint fmt docs clean

help: ## What there is to run
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Three instances, a killed primary, a lost table, nothing lost (under 10 minutes with the build; KEEP=1 leaves it up)
	@tests/tools/demo.sh

test: ## Everything that CI runs, tier by tier
	@tests/tools/setup.sh
	@tests/tools/test.sh

kube-assets: ## A real kube-apiserver, kube-controller-manager, etcd and kubectl, built if KUBEBUILDER_ASSETS is unset (NODE=1: kubelet, scheduler too)
	@tests/tools/kube-assets.sh $(if $(NODE),kubelet kube-scheduler)

model: ## Core's decisions through every order of events: minutes, by MODEL=bounded in one; target/model/report.json
	@cargo build --quiet --profile model -p pgherd-model
	@MODEL=$${MODEL:-long} target/model/model

model-mutants: ## Mistakes put into a copy of core, each of which the model must notice
	@cargo build --quiet --profile model -p pgherd-model
	@target/model/model mutants

sim: ## Core's decisions in SEEDS=5000 simulations of each kind; SEED=n repeats one and prints its log (TEST: of one kind)
	@SEEDS=$${SEEDS:-5000} cargo test --quiet --profile model -p pgherd-core --test sim -- --nocapture $(TEST)

bench: ## WAL and backups beside barman and pgBackRest (SIZE=512 MiB), failovers (RUNS=5), fences, memory (BUILD=release); target/bench
	@tests/tools/setup.sh
	@tests/tools/backup-bench.sh
	@BUILD=$${BUILD:-release} tests/tools/on-beds.sh bench-failover bench RUNS,SCENARIOS,CONFIGURATION
	@BUILD=$${BUILD:-release} tests/tools/on-beds.sh bench-fence bench RUNS
	@BUILD=$${BUILD:-release} tests/tools/memory-bench.sh

bench-scale: ## One controller with SCALE=1000 clusters on a real API server, managers faked (BUILD=release); target/bench/scale.json
	@tests/tools/scale-bench.sh

pitr: ## Recovery to PITR_TARGETS=100 random positions, transactions, points and times, exact to the row (PITR_SEED)
	@tests/tools/setup.sh
	@PITR_TARGETS=$${PITR_TARGETS:-100} cargo test --quiet --workspace --test pitr -- --nocapture

chaos: ## Clusters under random faults, judged by what clients were told (RUNS=2 SEED=1 JOBS=1 SELF_TEST=1)
	@tests/tools/setup.sh
	@tests/tools/on-beds.sh chaos chaos RUNS,SEED,JOBS,CONFIGURATION,SELF_TEST

e2e: ## A cluster's life on three real nodes of this machine, by Helm and kubectl (E2E=kind, ONLY=drained,cut KEEP=1); target/e2e
	@tests/tools/setup.sh
	@TAG=pgherd.test/pgherd:e2e PROFILE=$${PROFILE:-dev} images/build.sh
	@E2E=$${E2E:-node} cargo test --quiet --workspace --test e2e

image: ## The image of both programs without Docker, shown to stand alone: target/image (PROFILE=dist TAG=)
	@images/build.sh
	@images/check.sh

lint: ## Formatting, clippy, and the house's own checks
	@tests/tools/test.sh lint

fmt: ## Format the code
	@cargo fmt --all

docs: ## The API documentation, in target/doc
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@echo "docs: open target/doc/pgherd_core/index.html; the pages for people are in docs/"

clean: ## Remove everything that was built
	@cargo clean
