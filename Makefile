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

# Python environments, a new one for each Python and each set of requirements, which its name stands for: that of the tests and linters, that of
# the tests with real models, and TorchServe 0.12 as published.
environment = $(CACHE)/$(1)-$(shell { $(PYTHON) -VV; cat scripts/python-env $(2); } | cksum | cut -d' ' -f1)
REQUIREMENTS := test/python/requirements.txt
MODEL_REQUIREMENTS := test/python/models/requirements.txt
ORIGINAL_REQUIREMENTS := test/e2e/original-requirements.txt
VENV := $(call environment,py,$(REQUIREMENTS))
TORCH := $(call environment,torch,$(MODEL_REQUIREMENTS))
ORIGINAL := $(call environment,original,$(ORIGINAL_REQUIREMENTS) $(MODEL_REQUIREMENTS))

# The race detector needs a C compiler; without one the tests run all the same.
RACE = $(if $(shell command -v $$($(GO) env CC)),-race,$(info no C compiler found: testing without -race))

GOTEST = $(PYTHON) scripts/gotest

# What the end-to-end tests, in Go and in Python, drive.
export TORCHSERVE_BIN := $(CURDIR)/$(BINARY)
export TORCHSERVE_ORIGINAL := $(ORIGINAL)

.PHONY: help run build test test-unit test-e2e soak test-python test-pythons environments lint lint-go lint-python fmt generate \
	verify-generate fuzz bench parity conformance cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: build ## serve the example model in the foreground, token authorization on; prints the calls to try
	@scripts/run $(BINARY)

build: ## build/torchserve and the archivers, static binaries
	@CGO_ENABLED=0 $(GO) build -trimpath -o build/ ./cmd/...

test: clean-results environments test-unit test-e2e test-python ## all tests: Go with -race, end to end, Python

clean-results:
	@rm -rf $(RESULTS)

test-unit: ## Go tests beside the code
	@$(GOTEST) $(RESULTS)/unit.jsonl $(GO) test -json $(RACE) -shuffle=on -timeout=5m ./pkg/... ./cmd/...

test-e2e: build ## Go tests that start the binary
	@$(GOTEST) $(RESULTS)/e2e.jsonl $(GO) test -json $(RACE) -shuffle=on -count=1 -timeout=20m ./test/...

soak: ## SOAK_SECONDS (120) of all kinds of models under load and killing, the server with -race; SOAK_SEED repeats one
	@$(GO) build $(RACE) -o $(BINARY)-race ./cmd/torchserve
	@TORCHSERVE_BIN=$(CURDIR)/$(BINARY)-race SOAK_SECONDS=$(or $(SOAK_SECONDS),120) \
		$(GO) test -count=1 -timeout=20m -v -run '^TestSoak$$' ./test/e2e

test-python: build $(VENV)/ready ## Python tests: the package ts, the example model, the tools; real models where torch is
	@scripts/pytest-suites $(RESULTS) $(VENV)/bin/python $(TORCH)

test-pythons: build ## Python tests on the other versions from 3.8 to 3.13 that are found, pyenv's too
	@for python in $$(scripts/pythons $(PYTHON)); do \
		$(MAKE) --no-print-directory test-python PYTHON=$$python TORCH= RESULTS=build/test-pythons/$$(echo $$python | tr / _); \
	done

environments: $(VENV)/ready ## torch and TorchServe 0.12 for the tests (5.5 GB, once); TORCH_TESTS=required: or fail
	@$(MAKE) --no-print-directory $(ORIGINAL)/ready || { \
		echo "SKIP  tests with real models and with TorchServe 0.12: torch cannot be installed here, see above"; \
		test "$(TORCH_TESTS)" != required; }

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

bench: build $(ORIGINAL)/ready ## measure beside TorchServe 0.12, write docs/benchmarks.md (QUICK=1: a short run)
	@$(PYTHON) test/bench/bench.py --server $(BINARY) --original $(ORIGINAL) $(if $(QUICK),--quick)

parity: build $(ORIGINAL)/ready ## compare with TorchServe 0.12, request by request (ROUND=, ONLY=: a part), see docs/parity.md
	@$(PYTHON) -B test/parity/parity.py --server $(BINARY) --original $(ORIGINAL) $(if $(ROUND),--round "$(ROUND)") \
		$(if $(ONLY),--only "$(ONLY)")

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

$(VENV)/ready:
	@echo "making the Python environment $(@D)"
	@scripts/python-env $(@D) $(PYTHON) $(REQUIREMENTS)

$(TORCH)/ready:
	@echo "making the Python environment $(@D) with torch: 5.5 GB, some minutes, once"
	@scripts/python-env $(@D) $(PYTHON) $(MODEL_REQUIREMENTS)

$(ORIGINAL)/ready: | $(TORCH)/ready
	@echo "making the Python environment $(@D) with TorchServe 0.12"
	@scripts/python-env $(@D) $(PYTHON) $(ORIGINAL_REQUIREMENTS) $(TORCH)
