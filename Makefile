# retseg: two commands do everything, each by itself on a fresh clone: `make train` and `make test`.
PYTHON ?= python3
VENV ?= .venv
ARGS ?= experiment=phantom
BIN := $(VENV)/bin
# The exact tested versions are for Python 3.11 and later; on 3.10 pip picks the newest that fit.
CONSTRAINTS := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info >= (3, 11) else "")')
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS)

.DEFAULT_GOAL := help
.PHONY: help setup train test check audit fix docs bench

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

setup: $(VENV)/.dev ## Make the environment in .venv, with everything that tests need (about 6 GB on Linux)

$(VENV)/.core: pyproject.toml constraints.txt
	@echo "setting up $(VENV): the first time downloads PyTorch, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --editable '.[dev]'
	@touch $@

train: $(VENV)/.core ## Train on the synthetic phantom (minutes on 2 cores); or ARGS="experiment=duke_segnet data.root=DIR"
	$(BIN)/python -m retseg.train $(ARGS)

test: setup check ## Set up, then check

check: ## ruff, mypy --strict, import-linter, pytest (one process a core)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# In an environment of its own: its packages are none of retseg's. Strict: a package that nobody answers for fails, too.
audit: ## Look the tested versions up among known vulnerabilities (asks PyPI; without its answer it fails)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.7,<3'
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement constraints.txt

fix: ## Format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## Make docs/commands from the commands and from conf/
	$(BIN)/python -m docs.make_pages

bench: setup ## Measure what data, loss, metrics, Lightning and Grad-CAM cost beside the network
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.fuzz --cases 10000
