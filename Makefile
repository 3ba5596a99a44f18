# `make run` needs Python >= 3.11 and make, nothing else: it sets up .venv and trains manifests/hello.yaml.
# Any target takes PYTHON=/path/to/python3; `make run` takes ARGS=--num_epochs=5, `make test` TESTS=tests/cli or one test.

# 3.11 first: constraints.txt was tested with it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
MANIFEST ?= manifests/hello.yaml
ARGS ?=
TESTS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help run test lint types docs coverage bench faults clean
.DELETE_ON_ERROR:

help:
	@echo "make run    set up and train $(MANIFEST)"
	@echo "make test   set up and run every test; says what this machine left out"
	@echo "make lint   ruff, on style and on format"
	@echo "make types  mypy --strict"
	@echo "make docs   the documentation, in build/site/index.html"
	@echo "make coverage  the tests, and how much of the code they run (slower)"
	@echo "make bench  the benchmark table of docs/explanation/performance.md"
	@echo "make faults kill and stop jobs at random moments, for hours; ARGS=--seeds=3 for less"
	@echo "make clean  remove what these made, not the runs in outputs/"

run: $(VENV)/train
	@$(BIN)/innereye-run $(MANIFEST) $(ARGS)

test: $(VENV)/dev $(VENV)/npm
	@$(BIN)/python -m pytest --numprocesses=2 $(TESTS)

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev
	@$(BIN)/mypy

docs: $(VENV)/dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

coverage: $(VENV)/dev $(VENV)/npm
	@$(BIN)/python -m pytest --numprocesses=2 --cov --cov-report=term:skip-covered --cov-report=xml:build/coverage.xml $(TESTS)

bench: $(VENV)/dev
	@$(BIN)/python -m tests.benchmarks

faults: $(VENV)/dev
	@$(BIN)/python -m tests.faults $(ARGS)

clean:
	rm -rf $(VENV) .bench node_modules dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each of these files says that the environment holds what it is named after, for these versions.
$(VENV)/train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/dev: pyproject.toml emulator/pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[all,dev,docs,examples]' -e ./emulator
	@touch $@ $(VENV)/train

$(VENV)/npm: package.json | $(BIN)/python
	@if command -v npm >/dev/null; then npm install --no-audit --no-fund --silent; \
	else echo "no npm here: the tests that need Azurite or yaml-language-server are left out"; fi
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 with its venv module here; name one with make PYTHON=/path/to/python3" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
