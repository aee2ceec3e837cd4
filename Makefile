# The daily verbs. `make` alone lists them. Works with GNU make 3.81 or later, on Linux and macOS.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3; do "$$p" -c "" 2>/dev/null && echo "$$p" && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt

# Two worker processes with one thread each; WORKERS=0 runs the tests in this process.
WORKERS ?= 2
ARGS ?=
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS)
COVERAGE := --cov=pyrovae --cov-report=term --cov-fail-under=90

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all lint format bench clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed ## train on handwritten digits (no download) and leave a run folder under runs/
	$(BIN)/pyrovae train

test: $(VENV)/.installed-test ## the tests and doctests, without the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test ## every test, the slow ones too, with the coverage floor
	$(PYTEST) $(COVERAGE) $(ARGS)

lint: $(VENV)/.installed-lint ## ruff and mypy
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary

format: $(VENV)/.installed-lint ## rewrite the files in the house format
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

bench: $(VENV)/.installed-test $(VENV)/.installed-bench ## run benchmarks/, which takes an hour, and write docs/performance.md
	$(BIN)/python benchmarks/all.py $(ARGS)

clean: ## remove the environment, caches and builds; data/ and runs/ stay
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
	find pyrovae tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each set of requirements: nothing is installed twice until the requirements change.
# torch is installed first, at the pinned version, so that nothing else decides which build is taken.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing pyrovae into $(VENV); the first time takes a few minutes"
	@$(PIP) torch
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.installed
	@echo "Installing what '$*' needs into $(VENV)"
	@$(PIP) --editable ".[$*]"
	@touch $@

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "pyrovae needs Python 3.11 or later; none was found" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "pyrovae needs Python 3.11 or later; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)." \
	        "Name another one: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	}
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@
