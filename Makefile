# nocreds: every command, each doing its own set-up. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# npm writes this file last, so it is the mark of a complete installation.
INSTALLED := node_modules/.package-lock.json
SOURCES := $(shell find shared contract webhook authority exchanger driver tools/build -name '*.ts' -not -name '*.test.ts' 2>/dev/null)
BUNDLES := dist/webhook.mjs dist/authority.mjs dist/exchanger.mjs dist/exchange.mjs dist/certificate.mjs dist/driver.mjs

SEED ?= 1

.PHONY: help demo test simulate bench bench-guard e2e e2e-apiserver e2e-matrix-report check unit openssl build docs manifests format clean

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

demo: build ## the whole main job on this machine, in under a minute
	@npm run --silent demo

test: check unit ## all checks and tests

bench: build ## what nocreds costs, side by side with the least it could: tools/bench/RESULTS.md (an hour)
	@npm run --silent bench

bench-guard: build ## what the guard costs the apiserver: e2e/GUARD-COST.md
	@npm run --silent bench-guard

simulate: $(INSTALLED) ## fleets of up to 100,000 pods on a virtual clock: tools/simulate/RESULTS.md and its pictures
	@npm run --silent simulate -- $(SEED)

e2e: $(INSTALLED) ## the suite on a kind cluster of its own (KEEP=1 keeps it)
	@npm run --silent e2e

e2e-apiserver: build ## webhook and guard on kube-apiserver and etcd alone, Kubernetes 1.37 and 1.30
	@npm run --silent e2e-apiserver

e2e-matrix-report: $(INSTALLED) ## e2e/REPORT.md from the verdicts of the last run
	@npm run --silent e2e-matrix-report

check: $(INSTALLED) ## types, lint, unused code, manifests and reference pages up to date
	npm run --silent typecheck
	npm run --silent lint
	npm run --silent knip
	npm run --silent manifests -- --check
	npm run --silent docs -- --check

unit: build openssl ## unit, property and integration tests
	npm test --silent

# It knows nothing of our code, so the tests ask it what our certificates are worth.
openssl:
	@command -v openssl >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq openssl >/dev/null; } \
	  || { echo "make test needs openssl on the PATH" >&2; exit 1; }

build: $(BUNDLES) ## bundle the programs into dist/

docs: $(INSTALLED) ## write docs/reference again
	npm run --silent docs

manifests: $(INSTALLED) ## write manifests/install.yaml again
	npm run --silent manifests

format: $(INSTALLED) ## fix what lint can fix
	npm run --silent format

clean: ## remove what was installed and built
	rm -rf node_modules dist coverage

$(INSTALLED): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(BUNDLES) &: $(INSTALLED) $(SOURCES)
	npm run --silent build
	@touch $(BUNDLES)
