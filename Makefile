# What a newcomer needs: `make run`. What a contributor needs: `make check` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Processes that the tests run in, each with a PostgreSQL of its own; 0 runs them in one.
WORKERS ?= logical
CODE := fedcomm activitypub tests benchmarks migrations

# One stamp per set of dependencies; pip runs again only when pyproject.toml is newer.
RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test
CHECK_STAMP := $(VENV)/.installed-check

# Packages come from an index over the network, which fails now and then: one more try.
define pip_install
	@echo "Installing $(1) into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(1) \
	  || { echo "That failed; trying once more."; sleep 5; \
	       $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); }
endef

.PHONY: help run demo test test-tools check format bench clean-demo clean

help:
	@echo "make run         start the demo: a hub on :8080 and a second server on :8081"
	@echo "make test        run all tests (installs PostgreSQL and Chromium on Debian, as root)"
	@echo "make check       formatting, lint, types, layers"
	@echo "make format      mend formatting and what lint can mend"
	@echo "make bench       run the benchmarks"
	@echo "make clean-demo  forget the demo's data"
	@echo "make clean       remove the virtual environment and caches"

run demo: $(RUN_STAMP)
	@exec $(BIN)/fedcomm demo

test: $(TEST_STAMP) test-tools
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(CHECK_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(CHECK_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(TEST_STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

clean-demo:
	rm -rf demo

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# PYTHON=... chooses an interpreter; else the newest one that is new enough.
$(BIN)/python:
	@for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  command -v "$$candidate" >/dev/null || continue; \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  if ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$candidate has no venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    lacking=1; continue; \
	  fi; \
	  echo "Making $(VENV) with $$candidate ($$("$$candidate" -V))"; \
	  "$$candidate" -m venv --clear $(VENV); exit 0; \
	done; \
	test -n "$${lacking:-}" || echo "fedcomm needs Python 3.11 or newer, and found none." \
	  "Name one with: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(RUN_STAMP): $(BIN)/python pyproject.toml
	$(call pip_install,-e .)
	@touch $@

$(TEST_STAMP): $(BIN)/python pyproject.toml
	$(call pip_install,-e '.[test]')
	@touch $@ $(RUN_STAMP)

$(CHECK_STAMP): $(BIN)/python pyproject.toml
	$(call pip_install,-e '.[dev]')
	@touch $@ $(RUN_STAMP)

# PostgreSQL and a browser are Debian packages; without them their tests are skipped, and say so.
test-tools:
	@missing=(); \
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null \
	  || missing+=(postgresql); \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium); \
	test $${#missing[@]} -gt 0 || exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	  echo "Installing $${missing[*]} for the tests ..."; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  install_tools() { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; }; \
	  install_tools || { echo "That failed; trying once more."; sleep 5; install_tools; } \
	    || echo "Could not install $${missing[*]}; their tests are skipped." >&2; \
	else \
	  echo "Not installed, so their tests are skipped: $${missing[*]} (apt-get install $${missing[*]})" >&2; \
	fi
