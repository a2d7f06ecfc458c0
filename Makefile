# Everything a person or CI does with this repository; `make` alone lists the targets.
# A fresh clone needs Go, make and Python 3. What a target needs beyond that it sets up in $(CACHE), outside the clone.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

GO       ?= go
PYTHON   ?= python3
FUZZTIME ?= 10s
PREFIX   ?=

CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/torchserve-go
BINARY  := build/torchserve
RESULTS := build/test

GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(CACHE)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

# The environment of the Python tests and linters: a new one for each Python and each set of pins.
REQUIREMENTS := test/python/requirements.txt
VENV := $(CACHE)/py-$(shell { $(PYTHON) -VV; cat $(REQUIREMENTS); } | cksum | cut -d' ' -f1)

# The race detector needs a C compiler; without one the tests run all the same.
RACE = $(if $(shell command -v $$($(GO) env CC)),-race,$(info no C compiler found: testing without -race))

GOTEST = $(PYTHON) scripts/gotest

# What the end-to-end tests, in Go and in Python, drive.
export TORCHSERVE_BIN := $(CURDIR)/$(BINARY)

.PHONY: help run build test test-unit test-e2e test-python lint lint-go lint-python fmt generate verify-generate \
	fuzz bench conformance cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: build ## serve the example model in the foreground, token authorization on; prints the calls to try
	@scripts/run $(BINARY)

build: ## build/torchserve, one static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -o $(BINARY) ./cmd/torchserve

test: clean-results test-unit test-e2e test-python ## all tests: Go with -race, end to end, Python

clean-results:
	@rm -rf $(RESULTS)

test-unit: ## Go tests beside the code
	@$(GOTEST) $(RESULTS)/unit.jsonl $(GO) test -json $(RACE) -shuffle=on -timeout=5m ./pkg/... ./cmd/...

test-e2e: build ## Go tests that start the binary
	@$(GOTEST) $(RESULTS)/e2e.jsonl $(GO) test -json $(RACE) -shuffle=on -count=1 -timeout=20m ./test/...

test-python: build $(VENV)/ready ## Python tests: the package ts, the example model, the tools
	@scripts/pytest-suites $(VENV)/bin/python $(RESULTS)

lint: lint-go lint-python verify-generate ## linters for Go and Python, layers, format, generated files

lint-go: $(GOLANGCI)
	@$(GOLANGCI) run ./...

lint-python: $(VENV)/ready
	@scripts/lint-python $(VENV)/bin

fmt: $(GOLANGCI) $(VENV)/ready ## format Go and Python
	@$(GOLANGCI) fmt ./...
	@scripts/lint-python --fix $(VENV)/bin

generate: ## write the generated files anew
	@scripts/generate

verify-generate: ## fail if a generated file differs from what its generator writes
	@scripts/verify-generate

fuzz: ## each fuzz test for FUZZTIME (10s)
	@scripts/fuzz $(FUZZTIME)

bench: build ## measure beside TorchServe 0.12, write docs/benchmarks.md (5.5 GB of downloads at first; QUICK=1: a short run)
	@$(PYTHON) test/bench/bench.py --server $(BINARY) $(if $(QUICK),--quick)

conformance: ## which IDs of the reference a passing test carries (PREFIX=TOK: only those)
	@test -d $(RESULTS) || $(MAKE) test
	@$(PYTHON) test/conformance/conformance.py $(if $(PREFIX),--prefix $(PREFIX)) $(RESULTS)

cover: ## coverage of the Go unit tests: build/cover.html
	@$(GOTEST) build/cover.jsonl $(GO) test -json -coverpkg=./pkg/... -coverprofile=build/cover.out ./pkg/... ./cmd/...
	@$(GO) tool cover -html=build/cover.out -o build/cover.html
	@$(GO) tool cover -func=build/cover.out | tail -n 1

clean: ## remove what the other targets made in the clone
	@rm -rf build run

$(GOLANGCI):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into $(@D)"
	@GOFLAGS= GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(VENV)/ready: $(REQUIREMENTS)
	@echo "making the Python environment $(@D)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D) || { echo "no virtual environment: install Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@
