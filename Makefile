python := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo ui screenshots servers test test-servers test-unit lint bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: ## install what the other targets need (they call it; PYTHON=/path/to/python chooses the interpreter)
	@bash tests/servers/setup.sh

demo: setup ## back up a real database, drill and plan a recovery on private servers, and prove each step
	@$(python) -m tests.demo

ui: setup ## the demo with the Airflow UI left running; Ctrl-C stops everything
	@$(python) -m tests.demo --ui

screenshots: ## the pictures in docs/images, taken anew with Debian's Chromium
	@bash tests/servers/setup.sh browser
	@$(python) -m tests.demo.screenshots

servers: setup # the database servers that this machine's packages do not offer
	@bash tests/servers/flavours.sh

test: setup servers ## every test, on private servers
	@$(python) -m pytest -n 2 --no-loadscope-reorder # one waits for Airflow while the other works

test-servers: setup servers ## only the tests of the database side: MariaDB 10.11 and 11.8, MySQL
	@$(python) -m pytest tests/servers tests/integration/mysql

test-unit: setup ## only the tests that need no server
	@$(python) -m pytest tests/unit

lint: setup ## ruff, mypy, and the direction of imports
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(python) -m mypy
	@PYTHONPATH=.:plugins .venv/bin/lint-imports --no-logo

bench: setup servers ## measure backup and restore beside other tools: benchmarks/README.md
	@bash benchmarks/peers.sh
	@$(python) -m benchmarks

compile := UV_CUSTOM_COMPILE_COMMAND='make lock' .tools/uv/bin/uv --no-config pip compile -q --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url $(UV_FLAGS)

lock: setup ## pin the versions anew (UV_FLAGS=--upgrade takes newer ones)
	$(compile) -o requirements.lock requirements.txt requirements-dev.txt
	$(compile) -o tests/servers/requirements-localstack.txt tests/servers/requirements-localstack.in
	$(compile) -o tests/interop/requirements-cli.txt tests/interop/requirements-cli.in

clean: ## remove everything that the targets have made here
	rm -rf .venv .tools .run .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
