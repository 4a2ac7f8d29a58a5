# make run    install what is pinned (once) and open the app on loopback; VLMCAR_PORT=8600 changes the port
# make test   install what tests need (once) and run every check and test
# make bench  print what the sandbox and the cameras cost, as ratios within one run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FILES := pyproject.toml constraints.txt

.PHONY: run test bench

# As `vlmcar` itself does (vlmcar_core/__main__.py): processes side by side would wait for each other's threads.
test bench: export OPENBLAS_NUM_THREADS = 1

run: $(VENV)/.installed
	@$(BIN)/vlmcar app

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses 2 --dist loadfile

bench: $(VENV)/.installed
	$(BIN)/python scripts/bench_sandbox.py
	$(BIN)/python scripts/panda_render_cost.py
	$(BIN)/python scripts/bench_verify.py
	$(BIN)/python scripts/bench_training.py

# torch first and pinned: a plain install may otherwise bring another build of it.
$(VENV)/.installed: $(FILES)
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) was not found; install CPython 3.11 or newer, or: make PYTHON=python3.11 run"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old; CPython 3.11 or newer is needed: make PYTHON=python3.11 run"; exit 1; }
	@echo "Installing pinned versions into $(VENV); the first time takes a few minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable ".[test]"
	@touch $@
