# make run     serve the app on http://127.0.0.1:7860   make run ARGS="--port 7900"
# make test    install what tests need and run them     make test ARGS="-k catalogue"
# TORCH=cpu    take PyTorch from its CPU index          make run TORCH=cpu
SHELL := /bin/bash
.DEFAULT_GOAL := run

ARGS ?=
TORCH ?= default
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test lint format stored manifest screenshots bench

run: $(VENV)/run.stamp
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/test.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(VENV)/test.stamp
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# The results that a tab shows before any model has loaded.
stored: $(VENV)/run.stamp
	for tab in $(notdir $(patsubst %/store.py,%,$(wildcard demos/*/store.py))); do \
		$(BIN)/python -m demos.$$tab.store || exit 1; done

# SHA-256 of every bundled file.
manifest: $(VENV)/run.stamp
	$(BIN)/python -m pipelines.runtime.manifest $(ARGS)

screenshots: $(VENV)/test.stamp
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

bench: $(VENV)/run.stamp
	for topic in $(basename $(notdir $(filter-out %/__init__.py,$(wildcard benchmarks/*.py)))); do \
		$(BIN)/python -m benchmarks.$$topic $(ARGS) || exit 1; done

# make train-zero_shot ARGS="--data FOLDER --device cpu --minutes 30"
train-%: $(VENV)/run.stamp
	$(BIN)/python -m training.$* $(ARGS)

$(VENV)/run.stamp: requirements.txt | $(VENV)/torch-$(TORCH).stamp
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements.txt requirements-dev.txt | $(VENV)/torch-$(TORCH).stamp
	$(PIP) install -r requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

$(VENV)/torch-default.stamp: | $(BIN)/python
	@touch $@

# From that index alone, so that a failure is seen and never ends in the larger build.
$(VENV)/torch-cpu.stamp: requirements.txt | $(BIN)/python
	$(PIP) install --index-url $(TORCH_CPU_INDEX) $$(grep -E '^torch(vision)?==' requirements.txt)
	@touch $@

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Camera Lucida needs Python 3.11 or newer with its venv module; none of python3.13, python3.12, python3.11, python3 is."; \
		echo "On Debian or Ubuntu: apt install python3 python3-venv. Another interpreter: make PYTHON=/path/to/python run"; \
		exit 1; fi
	$(PYTHON) -m venv $(VENV)
