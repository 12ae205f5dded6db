# Each target does all of its own set-up: a bare machine with Python 3.11 and make is enough.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
UV := .venv/bin/uv
RUN := .venv/bin
SPEED ?= 10
PORT ?= 8700

.PHONY: help setup sandbox test check bench lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make .venv with everything that uv.lock names, and .venv/bin/opsbot

.venv/.ready: pyproject.toml uv.lock
	test -x $(RUN)/python || $(PYTHON) -m venv .venv
	$(RUN)/python -m pip --version >/dev/null 2>&1 || $(RUN)/python -m ensurepip >/dev/null
	test -x $(UV) || $(RUN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) sync --quiet --locked --inexact
	touch $@

sandbox: setup ## the whole world and the bot on loopback: open the printed address
	$(RUN)/opsbot sandbox --port $(PORT) --speed $(SPEED)

test: setup ## all tests; parts that need an absent program skip with their reason
	$(RUN)/pytest -n 2 --dist loadgroup

check: setup ## format, lint, types, import rules, unit and architecture tests
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/pytest -q tests/unit tests/architecture

bench: setup ## speeds as ratios of one run
	$(RUN)/python -m tests.bench

lock: setup ## renew uv.lock within the ranges of pyproject.toml
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) lock --upgrade

clean: ## remove .venv and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
