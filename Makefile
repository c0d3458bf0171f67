# `make help` lists what there is. Every target sets up what it needs first; set-up is a matter of milliseconds when
# nothing has changed (tools/setup.py keeps stamps in .venv and node_modules).

PYTHON ?= python3
BIN := .venv/bin
PYTEST ?= $(BIN)/python -m pytest
# Options for `make demo` (as in ARGS="--orders 500 --exit") and for the test targets (as in ARGS="-k cancel").
ARGS ?=
PURE := $(wildcard tests/unit tests/property)
SPREAD := $(wildcard tests/unit tests/property tests/contract tests/postgres)
PLANNER := $(wildcard tests/unit/test_routing*.py tests/property/test_routing*.py tests/property/test_costs_on_paper.py \
	tests/property/test_simulation_worlds.py)
SERVED := $(wildcard tests/scenarios tests/browser)
# One more than there are cores: who has a server waits for it, and for answers that never come, a third of the time.
BY_FILE := -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist loadfile --no-loadscope-reorder

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup demo check lint types contracts test test-fast peers test-313 test-uncompiled format assets messages docs lock \
	screenshots wheel wheel-compiled audit licences sbom fuzz clean setup-runtime setup-dev

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything for work on Malha: Debian packages (as root), .venv, front-end packages, catalogues; compile
	@$(PYTHON) tools/setup.py test

demo: setup-runtime ## Run a synthetic retailer, from nothing to a console in the browser (ARGS="--orders 500")
	@$(BIN)/malha demo $(ARGS)

# What only the tests need is set up meanwhile: it waits for the network, and these wait for nothing. Ctrl-C ends both.
check: setup-dev ## All that must be green: lint, types, contracts, tests
	@$(PYTHON) tools/setup.py py313 & a=$$!; $(PYTHON) tools/setup.py test & b=$$!; \
	trap 'kill $$a $$b 2>/dev/null' INT TERM; \
	{ $(MAKE) --no-print-directory lint types contracts test-313 test-uncompiled test; done=$$?; wait; exit $$done; }

lint: setup-dev ## Style and format, of Python and of the docs' fences
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup-dev ## The strict type checker on src
	@$(BIN)/mypy

contracts: setup-dev ## The layers, and what is private to whom
	@$(BIN)/lint-imports --no-logo

# What needs a server or a browser of its own comes after the rest, a file at a time: the tests of a file share one. In
# the order of the files, so that no worker comes from a browser back to scenarios: Playwright keeps the thread's event
# loop. With ARGS one of the halves may have nothing to run (exit code 5); ARGS that name files are all that is run.
ifneq (,$(findstring tests/,$(ARGS)))
test: setup ## The whole test suite, on all cores (ARGS="-k cancel")
	@$(PYTEST) $(ARGS)
else
test: setup
	@$(PYTEST) -n auto $(SPREAD) $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }
	@$(PYTEST) $(BY_FILE) $(SERVED) $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }
endif

test-fast: setup-dev ## The tests that need neither database nor browser; seconds
	@$(PYTEST) $(wildcard tests/unit tests/property tests/contract) $(ARGS)

peers: setup-dev ## The real systems and schemas that tests of connectors need (Vendure, Tryton, Shopify): a large download
	@$(PYTHON) tools/setup.py peers

test-313: ## The unit and property tests on Python 3.13, where one is installed
	@$(PYTHON) tools/setup.py py313
	@if [ -x .venv313/bin/python ] && [ -n "$(PURE)" ]; then .venv313/bin/python -m pytest -q -n auto -p no:cacheprovider $(PURE); fi

test-uncompiled: setup ## The tests of the planner once more, from source, where `make setup` has compiled it
	@MALHA_COMPILED=false $(PYTEST) -q -n auto -p no:cacheprovider $(PLANNER)

format: setup-dev ## Put the code in its format and mend what can be mended by itself
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

assets: setup-dev ## Copy the front-end files the console uses to static/vendor (after a change of icons.txt)
	@$(BIN)/python tools/build_assets.py

messages: setup-dev ## Compile the message catalogues
	@$(BIN)/python -m malha.platform.messages compile

docs: setup-dev ## Write the generated reference pages anew and test the docs
	@$(BIN)/python tools/reference.py
	@$(PYTEST) -q tests/contract/test_docs.py

lock: setup-dev ## Write requirements/*.lock anew (ARGS="--upgrade" or "--upgrade-package granian")
	@tools/lock.sh $(ARGS)

screenshots: setup ## Take every page in both languages, wide and narrow, and say what is wrong with it
	@$(BIN)/python tools/screenshots.py

wheel-compiled: setup-dev ## Build a wheel for this machine's kind and Python only, with the planner's inner modules compiled
	@$(BIN)/python tools/compile_routing.py --must
	@MALHA_WHEEL=compiled $(BIN)/python -m hatchling build -t wheel

wheel: setup-runtime ## Build the wheel, front-end files and catalogues included, into dist/
	@$(BIN)/python -m hatchling build -t wheel

audit: setup-dev ## Ask OSV about known weaknesses of every locked package (needs the internet; not part of check)
	@$(BIN)/python tools/supply.py audit

licences: setup-dev ## List every locked package with its licence
	@$(BIN)/python tools/supply.py licences

sbom: setup-dev ## Write the bill of materials to dist/malha.cdx.json (CycloneDX)
	@mkdir -p dist
	@$(BIN)/python tools/supply.py sbom > dist/malha.cdx.json

fuzz: setup ## Search rules, the API and the forms of the console for faults for a long time (another place each time)
	@MALHA_TEST_EXPLORE=$${MALHA_TEST_EXPLORE:-500} $(PYTEST) -n auto tests/property -o timeout=7200 $(ARGS)
	@MALHA_TEST_FUZZ_EXAMPLES=$${MALHA_TEST_FUZZ_EXAMPLES:-100} MALHA_TEST_FUZZ_SEED=$${MALHA_TEST_FUZZ_SEED:-$$$$} \
		$(PYTEST) tests/scenarios/test_api_is_true.py tests/scenarios/test_pages_stand_anything.py -o timeout=7200 $(ARGS)

clean: ## Remove what set-up and runs have made here (.venv, node_modules, caches, build results)
	@rm -rf .venv .venv313 node_modules build dist src/malha/console/static/vendor src/malha/routing/compiled screenshots \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
	@find src -name '*.mo' -delete

setup-runtime:
	@$(PYTHON) tools/setup.py runtime

setup-dev:
	@$(PYTHON) tools/setup.py dev
