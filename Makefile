# `make demo` and `make test` need only Python 3.11+ and make: they set everything up in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test sim check format bench clean

demo: $(READY)  ## a bank with generated people: balances, alerts and e-mails live in the terminal
	@$(BIN)/streambank demo

test: $(READY)  ## every test; those that need the machine to themselves come last, one by one
	$(BIN)/pytest -n auto --dist loadgroup -m "not alone"
	$(BIN)/pytest -m alone

SEED ?= 1
sim: $(READY)  ## the whole bank in one process, with everything failing that can: SEED=n, HOURS=simulated hours
	@$(BIN)/python -m tests.simulation $(SEED) $(HOURS)

check: $(READY)  ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## the reference workload, windows and joins beside hand-written loops, restore, latency, the ledger, the API
	$(BIN)/python -m benchmarks

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "streambank needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
