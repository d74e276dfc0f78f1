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

# In an environment of its own: its packages are none of retseg's. Strict: a package that nobody answers for fails, too. pip-audit exits 1 for known
# vulnerabilities and for silence alike: its table tells them apart. Who knows of none in Pillow 9.0.0 is not believed about the rest.
AUDIT := $(VENV)/audit
ASK := $(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off $(if $(OSV),--vulnerability-service osv --osv-url '$(OSV)')
audit: ## Look the tested versions up among known vulnerabilities (asks PyPI, or OSV=http://HOST/v1/query; without an answer it fails)
	@$(PYTHON) -m venv $(AUDIT)
	@stop() { echo "make audit: $$1 ($$(tail -n 1 $(AUDIT)/log)), so nothing is known; $$2" >&2; exit 2; }; \
	silent() { stop "no answer from $(or $(OSV),PyPI) on $$1" "try again, or name a service that speaks OSV: make audit OSV=http://HOST/v1/query"; }; \
	$(AUDIT)/bin/python -m pip install --quiet 'pip-audit>=2.10,<3' 2>$(AUDIT)/log || stop "pip-audit cannot be installed" "try again with a connection"; \
	echo 'pillow==9.0.0' >$(AUDIT)/bad.txt; \
	ask() { $(ASK) --requirement $$1 >$(AUDIT)/table 2>$(AUDIT)/log; }; \
	ask $(AUDIT)/bad.txt; grep -q '^pillow' $(AUDIT)/table || silent 'pillow 9.0.0, which has known vulnerabilities'; \
	if ask constraints.txt; then echo "$$(tail -n 1 $(AUDIT)/log) ($$(grep -c == constraints.txt) versions)"; \
	elif test -s $(AUDIT)/table; then cat $(AUDIT)/table; tail -n 1 $(AUDIT)/log; exit 1; else silent constraints.txt; fi

fix: ## Format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## Make docs/commands from the commands and from conf/
	$(BIN)/python -m docs.make_pages

bench: setup ## Measure what data, loss, metrics, Lightning and Grad-CAM cost beside the network
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.fuzz --cases 10000
