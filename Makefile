# Every target does its own set-up in .venv; nothing is installed outside of it.
# Written for GNU make 3.81 and later.

VENV     = .venv
BIN      = $(VENV)/bin
PY       = $(BIN)/python
PIP      = $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes
COVERAGE = 95
# Workers are forks, which a Mac does not bear once it was asked for its proxies: there one process runs all.
workers  = --workers $(if $(filter Darwin,$(shell uname)),0,$(1))
SOURCES  = messages actors adapters run.py tests bench
ARGS     =
PYTEST   = PYTHONDONTWRITEBYTECODE= $(PY) -m pytest
LONG     = tests/test_*.py tests/bench tests/browser tests/process tests/wire

.PHONY: help venv run demo test acceptance check format bench soak campaign mutants lock clean

help:
	@echo "make run        start the daemon on the paper exchange (ARGS='--set http.port=0' adds arguments)"
	@echo "make demo       a minute's tour: six signals, what became of them, and the audit"
	@echo "make test       the test suite, with branch coverage"
	@echo "make acceptance the tests that take long in real time: real processes, and the dashboard in a browser"
	@echo "make check      ruff, mypy --strict and the import contracts"
	@echo "make venv       build .venv from the lock file, which run, demo and test also do by themselves"
	@echo "make bench      the measurements of bench/"
	@echo "make soak       200 executions over a wire that goes wrong all the time, 200 kills, every trouble of a network,"
	@echo "                a disturbance at each message and each step to the world, and 100,000 fuzzed bodies"
	@echo "make campaign   1,000 simulated runs without faults, and 100,000 with, on all cores (SEEDS=0:1000: fewer)"
	@echo "make mutants    planted bugs, and how soon the campaign finds each"
	@echo "make format     let ruff format the tree"
	@echo "make lock       pin the dependencies of setup.cfg anew (ARGS=--upgrade: take the newest)"
	@echo "make clean      remove .venv and what the tools leave behind"

# --- Set-up ---------------------------------------------------------------------------------------------------------
# A stamp in .venv stands for "this lock file is installed", so that nothing is done twice. It says nothing if there is
# no interpreter that starts, as after an upgrade of the system's Python; then all is made anew.

ifneq ($(shell $(PY) -c "print('starts')" 2>/dev/null),starts)
NEW = new-venv
endif

.PHONY: new-venv
new-venv:
	@sh .ci/make-venv $(VENV)

$(VENV)/.run: requirements/run.lock $(NEW)
	@echo "Installing what the daemon needs into $(VENV) ..."
	@$(PIP) -r requirements/run.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(NEW)
	@echo "Installing what the tests and checks need into $(VENV) ..."
	@$(PIP) -r requirements/dev.lock
	@touch $(VENV)/.run $@

venv: $(VENV)/.run

# --- Use ------------------------------------------------------------------------------------------------------------

run: $(VENV)/.run
	@exec $(PY) run.py $(ARGS)

demo: $(VENV)/.run
	@exec $(PY) run.py demo $(ARGS)

# --- Work -----------------------------------------------------------------------------------------------------------

# `make test` is for while one works; what takes long in real time has a marker, and `.ci/run` runs both.
# Processes that tests start find the modules compiled, also where the environment asks for no such files.
# Four workers keep two cores busy, for some tests wait (tests/turns.py).
test: $(VENV)/.dev
	$(PYTEST) $(call workers,4) -m "not acceptance" --cov --cov-report= $(ARGS)
	$(PY) -m coverage report --fail-under=$(COVERAGE)

acceptance: $(VENV)/.dev
	$(PYTEST) $(call workers,3) -m acceptance $(LONG) $(ARGS)

check: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/.run
	$(PY) -m bench $(ARGS)

soak: $(VENV)/.dev
	$(PY) -m tests.soak $(ARGS)
	$(PY) -m tests.kills --rounds $(or $(ROUNDS),200)
	TIDEGATE_CHAOS=all $(PY) -m pytest -q tests/wire/test_chaos.py
	TIDEGATE_CHAOS=all $(PY) -m pytest -q -m acceptance $(LONG)
	TIDEGATE_STEPS=all $(PY) -m pytest -q $(call workers,2) tests/simulation/test_every_step.py tests/simulation/test_crashes.py \
		tests/simulation/test_resting.py
	$(PY) -m pytest -q --seeds 100 tests/actors/test_retention.py
	$(PY) -m pytest -q --seeds 1000 tests/simulation/test_drawn.py
	TIDEGATE_EXAMPLES=30 $(PY) -m pytest -q $(call workers,2) -m hypothesis --timeout 1800
	TIDEGATE_FUZZ=$(or $(BODIES),100000) $(PY) -m pytest -q tests/adapters/intake/test_fuzz.py

# First runs in which nothing goes wrong but the market: no fault must be needed to excuse anything.
campaign: $(VENV)/.run
	$(PY) run.py simulate --seeds $(or $(CALM),0:1000)
	$(PY) run.py simulate --seeds $(or $(SEEDS),0:100000) --faults heavy $(ARGS)

mutants: $(VENV)/.dev
	$(PY) -m tests.simulation.mutants $(ARGS)

lock:
	sh .ci/lock $(ARGS)

clean:
	rm -rf $(VENV) .venv-lock .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build
	rm -rf *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
