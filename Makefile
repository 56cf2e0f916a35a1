# Needs Python >= 3.11, pip and make; everything else is installed into .venv* folders here.
# PYTHON=python3.13 VENV=.venv313 VENV2=.venv313-openai2 make test   runs another interpreter.
PYTHON ?= python3
VENV   ?= .venv
VENV2  ?= .venv-openai2
BIN    := $(VENV)/bin
JOBS   ?= 2

PIP := -m pip install --quiet --disable-pip-version-check
CORE_TESTS := tests/unit tests/proof tests/devnet tests/langchain tests/llama_index
LINTED := gonka_integrations tests cookbook benchmarks tools

.DEFAULT_GOAL := help
.PHONY: help install format lint typecheck test test-openai3 test-openai2 cov soak bench demo devnet reference docs notebooks build \
	package extras lower-bounds multiplexer-llm peers scale check clean

help:  ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

install: $(VENV)/.ready $(VENV2)/.ready  ## Make the development environments (openai 3 and openai 2)

format: $(VENV)/.ready  ## Format and sort imports
	$(BIN)/ruff format $(LINTED)
	$(BIN)/ruff check --fix $(LINTED)

lint: $(VENV)/.ready  ## Check style and formatting
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)

typecheck: $(VENV)/.ready  ## Check types (mypy --strict)
	$(BIN)/mypy

test: test-openai3 test-openai2  ## Run the whole suite on openai 3 and the core tests on openai 2

test-openai3: $(VENV)/.ready  ## Run the whole suite on openai 3
	$(BIN)/python -m pytest -n $(JOBS)

test-openai2: $(VENV2)/.ready  ## Run the core tests on openai 2
	$(VENV2)/bin/python -m pytest -n $(JOBS) $(wildcard $(CORE_TESTS))

cov: $(VENV)/.ready  ## Run the suite with a coverage report in htmlcov/
	$(BIN)/python -m pytest --cov=gonka_integrations --cov-report=term --cov-report=html

soak: $(VENV)/.ready  ## Run the long jobs: soak, stress, fuzzing
	$(BIN)/python -m pytest -m slow

bench: $(VENV)/.ready  ## Measure CPU against the peers (makes its own environments)
	$(BIN)/python -m benchmarks

demo: .venv-demo/.ready  ## Stream answers of a real small model through a local network with failures
	.venv-demo/bin/python cookbook/demo.py

devnet: $(VENV)/.ready  ## Start a local Gonka network with scripted answers
	$(BIN)/python -m gonka_integrations.devnet

reference: $(VENV)/.ready  ## Regenerate the reference pages and the command-line transcripts
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/transcripts.py

docs: $(VENV)/.ready  ## Build the documentation strictly into site/
	$(BIN)/python tools/reference.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # --quiet would hide warnings from --strict

notebooks: .venv-cookbook/.ready  ## Execute every notebook of the cookbook over the devnet
	.venv-cookbook/bin/python tools/notebooks.py run --skip multiplexer-llm

build: $(VENV)/.ready  ## Build sdist and wheel into dist/
	$(BIN)/python -m build --quiet

package: $(VENV)/.ready  ## Build twice, compare, check the metadata, install the wheel in a clean environment
	$(BIN)/python tools/package.py

extras: $(VENV)/.ready  ## Install the wheel with each extra alone and import what it enables
	$(BIN)/python tools/package.py --extras

lower-bounds: .venv-lowest/.ready  ## Run the core tests on the oldest dependencies that are allowed
	.venv-lowest/bin/python -m pytest -n $(JOBS) $(wildcard $(CORE_TESTS))

multiplexer-llm: .venv-multiplexer/.ready  ## Run the notebook and tests of the published multiplexer-llm
	.venv-multiplexer/bin/python -m pytest tests/published
	.venv-multiplexer/bin/python tools/notebooks.py run --only multiplexer-llm

peers: .venv-peers/.ready  ## Run what docs/langchain.md says of other packages' chat models
	.venv-peers/bin/python -m pytest -W ignore tests/peers

scale: .venv-scale/.ready  ## Run the recipe for many processes on Ray Data (docs/scale.md)
	.venv-scale/bin/python -m pytest -m slow tests/scale

check: lint typecheck test package docs notebooks multiplexer-llm  ## The main job of CI

clean:  ## Remove build products and environments
	rm -rf dist build site htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .venv*

# One stamp file for each environment, renewed when the dependencies change.
define environment
$(PYTHON) -m venv $(@D)
$(@D)/bin/python $(PIP) --upgrade "pip>=25.1"
endef

$(VENV)/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[all]" "openai>=3" --group test --group lint --group docs --group build
	touch $@

$(VENV2)/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[all]" "openai<3" --group test
	touch $@

.venv-demo/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[langchain,llama-index,fast,real-model]" --group demo
	touch $@

.venv-cookbook/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[all]" --group cookbook
	touch $@

.venv-multiplexer/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[devnet,fast]" --group multiplexer
	touch $@

.venv-peers/.ready: pyproject.toml tests/peers/requirements.txt
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[langchain,devnet]" --requirement tests/peers/requirements.txt
	touch $@

.venv-scale/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python $(PIP) -e ".[langchain,devnet,fast]" --group scale
	touch $@

.venv-lowest/.ready: pyproject.toml
	$(environment)
	$(@D)/bin/python tools/lowest.py > $(@D)/constraints.txt
	$(@D)/bin/python $(PIP) -e ".[all]" --group test --constraint $(@D)/constraints.txt
	touch $@
