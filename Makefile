# `make demo` and `make test` work on a fresh machine that has Python 3.11 or newer, git and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first Python that is new enough and can make a virtual environment; 3.11 is what the pins were tried on.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
TORCH ?= torch==2.13.0
WORKERS ?= 2
MINUTES ?= 10

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
READY := .venv/.ready
CHECKED := rewardspec $(wildcard envs)

# One thread each: the work is parallel over processes. Nothing opens a window.
export OMP_NUM_THREADS := 1
export MPLBACKEND := Agg
export MUJOCO_GL ?= egl
export SDL_VIDEODRIVER ?= dummy

.PHONY: help demo test check format format-check lint types fuzz bench bench-smoke lowest docs site clean

help: ## Show this list.
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 20

$(READY): requirements/pinned.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "rewardspec needs Python 3.11 or newer with the venv module: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(PY) || "$(PYTHON)" -m venv .venv
	@echo "Installing into .venv (once, a few minutes) ..."
	$(PIP) $(TORCH)
	$(PIP) -r requirements/pinned.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Train an agent on a declared reward and open the report.
	$(PY) examples/demo.py

test: $(READY) ## Run tests and doctests.
	$(PY) -m pytest -q -n $(WORKERS) --dist worksteal

check: format-check lint types test bench-smoke ## Run what CI runs: format, lint, types, tests, doctests, wheel contents.

format: $(READY) ## Format the code and sort its imports.
	$(PY) -m ruff check -q --select I --fix .
	$(PY) -m ruff format -q .

format-check: $(READY)
	$(PY) -m ruff format --check .

lint: $(READY)
	$(PY) -m ruff check .

types: $(READY)
	$(PY) -m mypy $(CHECKED)

fuzz: $(READY) ## Draw new examples for every property test until MINUTES (10) are over or one fails.
	end=$$((SECONDS + 60 * $(MINUTES))); while ((SECONDS < end)); do \
	  HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest -q -x -n $(WORKERS) -m hypothesis --timeout=0; \
	  FUZZ_SEED=$$RANDOM $(PY) -m pytest -q -x -n $(WORKERS) tests/agreement/test_agreement.py --timeout=0; done

bench: $(READY) ## Measure speed, as ratios within one run.
	$(PY) -m benchmarks speed --install-peers

bench-smoke: $(READY) ## Run a tiny slice of every benchmark, to see that all of them run.
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  $(PY) -m benchmarks run --smoke --out "$$folder" && \
	  $(PY) -m benchmarks speed --quick --json "$$folder/speed.json"

lowest: ## Run the tests with the oldest versions that pyproject allows, in an environment of their own.
	rm -rf build/lowest && "$(PYTHON)" -m venv build/lowest
	build/lowest/bin/python -m pip --disable-pip-version-check install --quiet uv
	build/lowest/bin/uv pip compile --quiet --resolution lowest-direct --extra all --extra dev pyproject.toml \
	  --output-file build/lowest.txt
	build/lowest/bin/uv pip install --python build/lowest/bin/python -r build/lowest.txt
	PYTHONPATH=. build/lowest/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -p no:cacheprovider

docs: $(READY) ## Write the generated pages anew: the error codes and the JSON Schema.
	$(PY) -m docs.generate

site: $(READY) ## Build the documentation as a website, in build/site.
	$(PIP) mkdocs-material==9.8.2
	$(PY) -m docs.site

clean: ## Remove what was built; .venv stays.
	rm -rf build dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
