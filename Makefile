# `make` alone says what there is.
PYTHON := .venv/bin/python
SHELL := /bin/sh
.DEFAULT_GOAL := help
# Hundreds of tests start pgwrap: its own modules are compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE
# A file of scenarios stays in one worker. What is marked thorough is left to the matrix: ARGS=--thorough runs it here.
WORKERS := --numprocesses=2
.PHONY: help demo test unit integration matrix oracle corpus bench lint docs wheel-test clean setup

help: ## say what there is
	@echo 'pgwrap: one spec and one status for pgBackRest and Barman'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo
	@echo 'demo and test install what is missing first (apt-get as root or with sudo, and a .venv here).'

demo: ## a throwaway PostgreSQL, both engines, real backups, one status
	@integration/setup.sh demo
	@$(PYTHON) -m integration.demo

setup:
	@integration/setup.sh test

test: setup ## every test: unit, contract, and real engines
	@$(PYTHON) -m pytest $(WORKERS) integration tests $(ARGS)

unit: setup ## the tests that need no engine
	@$(PYTHON) -m pytest tests $(ARGS)

integration: setup ## the tests on real engines (ARGS="-k timeline -v" to choose)
	@$(PYTHON) -m pytest integration $(ARGS)

matrix: setup ## the same on Debian 12, 13 and testing, in cached root filesystems (root)
	@$(PYTHON) -m integration.matrix $(ARGS)

oracle: setup ## what pgwrap retention foretells against what the engines then delete, on random catalogs
	@$(PYTHON) -m integration.oracle $(ARGS)

bench: setup ## time and memory as ratios of the bare engine calls
	@$(PYTHON) -m integration.bench $(ARGS)

corpus: setup ## pgwrap import over real native files, with the real engines as judges
	@$(PYTHON) -m integration.corpus $(ARGS)

lint: setup ## ruff and mypy, as in review
	@$(PYTHON) -m pip install -q --disable-pip-version-check -e '.[dev]'
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m mypy --strict --explicit-package-bases integration

docs: setup ## write the generated reference again
	@$(PYTHON) docs/generate.py

wheel-test: setup ## build the wheel and run the unit tests against it, away from the checkout
	@$(PYTHON) -m integration.wheel_test

clean: ## remove what the targets above made here
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find pgwrap tests integration -name __pycache__ -type d -exec rm -rf {} +
