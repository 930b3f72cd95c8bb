# Two commands on a fresh machine: `make demo` and `make test`. Each makes the virtual environment it needs.
#   PYTHON=python3.12   another interpreter (3.11 or later)      VENV=/elsewhere   another place for the environment
#   PYTEST_ARGS="-k x"  more arguments for pytest                DEMO_ARGS="…"     more arguments for swe-srl demo
#   WORKERS=2           test processes: they wait for time limits and engines much of the time, so four keep two cores busy

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
WORKERS ?= 4
DEMO_ARGS ?=
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint venv sandbox-tools clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   evaluate the bundled model, train it with SRL, evaluate it again (minutes, no GPU, no Docker)"
	@echo "make test   lint, types, tests"
	@echo "make lint   ruff and mypy only"
	@echo "make venv   the virtual environment in $(VENV)"

demo: venv sandbox-tools
	@command -v bwrap >/dev/null || exit 1
	$(BIN)/swe-srl demo $(DEMO_ARGS)

test: venv sandbox-tools lint
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

venv: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "swe-srl needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	    { echo "$(PYTHON) cannot make virtual environments. On Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "installing swe-srl into $(VENV) (some minutes the first time)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# Commands of an agent run in a sandbox or not at all. Without bubblewrap the demo stops here; the tests that need it are skipped.
sandbox-tools:
	@command -v bwrap >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing bubblewrap (the local sandbox needs it)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap; \
	else \
	    echo "bubblewrap is missing: the local sandbox needs it."; \
	    echo "  Debian, Ubuntu: sudo apt-get install bubblewrap      Fedora: sudo dnf install bubblewrap"; \
	fi

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
