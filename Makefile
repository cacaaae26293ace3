SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# One more than there are cores: tests of whole farms wait as much as they compute.
WORKERS ?= $(shell expr $$(nproc) + 1)
SPREAD := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
INSTALLED := .venv/.installed
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo .tools/bin/uv)

export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
# A farm is many processes: without its cache each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## set up .venv from uv.lock (fetches uv with pip where it is missing)

$(INSTALLED): uv.lock pyproject.toml | $(filter .tools/bin/uv,$(UV))
	$(UV) sync --frozen --python $(PYTHON)
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools --require-hashes --requirement ops/uv.txt

.PHONY: demo
demo: $(INSTALLED) ## run a farm, three real jobs, and show what came out (INPUT=clip.mp4)
	@$(BIN)/ffrtmp demo $(if $(INPUT),"$(INPUT)") $(ARGS)

.PHONY: up
up: $(INSTALLED) ## run a farm here until Ctrl-C (ARGS="--slots 2 --workers 2")
	@exec $(BIN)/ffrtmp up $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## formatting, lint, types, import rules, uv.lock in step
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(UV) lock --check --offline

.PHONY: audit
audit: $(INSTALLED) ## known vulnerabilities of the locked packages (ARGS=--strict: not to know is a failure)
	@$(BIN)/python -m tests.dependencies $(ARGS)

.PHONY: check
check: lint audit ## lint, audit, and unit tests
	$(BIN)/pytest tests/unit -m "not slow" -q $(SPREAD)

.PHONY: fix
fix: $(INSTALLED) ## format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: $(INSTALLED) ## every tier on real parts, in about twenty minutes on two cores
	$(BIN)/pytest -m "not slow" $(SPREAD) $(ARGS)

.PHONY: test-full
test-full: $(INSTALLED) ## everything, the slow ones too
	$(BIN)/pytest $(SPREAD) $(ARGS)

.PHONY: test-chaos
test-chaos: $(INSTALLED) ## five minutes of random faults on a real farm (ARGS="--seed 1 --jobs 2000")
	$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: fuzz
fuzz: $(INSTALLED) ## requests made from /openapi.json, random input for validators (ARGS="--minutes 60")
	$(BIN)/python -m tests.security $(ARGS)

.PHONY: simulate-order
simulate-order: $(INSTALLED) ## 100,000 jobs on 100 nodes: waits per rank, inversions (ARGS="--max-wait 900")
	@$(BIN)/python -m tests.order $(ARGS)

.PHONY: bench
bench: $(INSTALLED) ## measure (tests marked slow that print numbers)
	$(BIN)/pytest -s -m slow -k bench $(ARGS)
