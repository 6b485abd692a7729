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

# What Python code does all day, timed in milliseconds; a build without profile-guided optimisation takes half as
# long again: 37 to 24 where that was tried.
define SPEED
import time
class Post:
    def __init__(self, number):
        self.number = number
    def place(self):
        return self.number & 255
def work():
    seen, length = {}, 0
    for number in range(60000):
        post = Post(number)
        seen[post.place()] = number
        length += len("%d of %s" % (number, "all")) + seen.get(number & 127, 0)
    return length
def once():
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
print(max(1, round(1000 * min(once() for _ in range(3)))))
endef
export SPEED

# PYTHON=... chooses the interpreter. Without it: the first of the path that is new enough and has venv, unless another
# one is a quarter faster.
$(BIN)/python:
	@chosen= milliseconds= seen= passed=; \
	while IFS= read -r candidate; do \
	  name="$$("$$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable)); sys.exit(sys.version_info < (3, 11))' 2>/dev/null)" \
	    || continue; \
	  case "$$seen" in *"|$$name|"*) continue;; esac; seen+="|$$name|"; \
	  if ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then \
	    passed+="$$candidate has no venv. On Debian and Ubuntu: apt-get install python3-venv"$$'\n'; continue; \
	  fi; \
	  took="$$("$$candidate" -c "$$SPEED")" || continue; \
	  if test -z "$$chosen"; then first="$$candidate" first_took="$$took"; \
	  elif test $$((5 * took)) -gt $$((4 * first_took)) || test "$$took" -ge "$$milliseconds"; then continue; fi; \
	  chosen="$$candidate" milliseconds="$$took"; \
	done < <(type $(if $(PYTHON),-P $(PYTHON),-aP python3 python3.14 python3.13 python3.12 python3.11 python)); \
	if test -z "$$chosen"; then \
	  printf '%s' "$$passed" >&2; \
	  test -n "$$passed" || echo "fedcomm needs Python 3.11 or newer, and $(or $(PYTHON:%=% is),found) none." \
	    "Name one with: make PYTHON=/path/to/python3" >&2; \
	  exit 1; \
	fi; \
	why="first of the path"; \
	test "$$chosen" = "$$first" || why="takes $$milliseconds ms where $$first takes $$first_took"; \
	test -z "$(PYTHON)" || why="as asked for"; \
	echo "Making $(VENV) with $$chosen ($$("$$chosen" -V), $$why)"; \
	"$$chosen" -m venv --clear $(VENV)

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
