# The commands a person types. Everything is installed into .venv, nothing outside it.
# PYTHON=python3.12 chooses a Python; otherwise install.sh takes the first that fits.
BIN := .venv/bin
INSTALL := PYTHON='$(PYTHON)' sh install.sh

# Without it, Python keeps what it compiled: each program starts in half the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help pipeline apps check test test-all checks types tests coverage bench lock clean reset

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

pipeline:  ## install, then run all five parts in order on real data (no account needed)
	@$(INSTALL) requirements.txt
	@$(BIN)/python -m wine.pipeline

PREDICTOR_PORT ?= 7860
MONITOR_PORT ?= 7861

apps:  ## open the predictor (port 7860) and the monitor (7861) on what the pipeline made
	@$(INSTALL) requirements.txt
	@$(BIN)/python -m apps.run --predictor-port '$(PREDICTOR_PORT)' --monitor-port '$(MONITOR_PORT)'

# three processes for two cores, since the client waits for half a second at every read
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: TESTS := tests -m 'not system and not slow and not live'
check: checks  ## install, then lint, types and the tests that need only this process (a minute)

test: TESTS := -m 'not slow and not live'
test: checks  ## the same with the pipeline, both apps, the local Hopsworks and the workflows (minutes)

test-all: TESTS := -m 'not live'
test-all: checks  ## the same with all other tests: kills, altered requests, growth, bad input, ... (long)

checks:
	@$(INSTALL) requirements-test.txt
	@$(BIN)/python -m ruff format --check . && $(BIN)/python -m ruff check .
	@$(MAKE) --no-print-directory -j 2 types tests TESTS="$(TESTS)"

types:
	@$(BIN)/python -m mypy

tests:
	@$(PYTEST) $(TESTS)

# without the tests that hold seconds: tracing takes time, too
coverage:  ## how much of the code the tests of make test run; fails below the floor (long)
	@$(INSTALL) requirements-test.txt
	@$(PYTEST) -m "not slow and not live" -k "not takes_long" --cov --cov-report=term

# On data of its own, which the first of them makes, and never on a cluster. What can fail for want of
# a browser or an index comes early; what comes after search takes the model that it found.
# `make bench BENCHMARKS="ladder data"` runs some of them. Each file says what it measures. Not in the
# list, since each takes half an hour or more: growth_wines --scale 100, growth_days --history 3650,
# side_by_side after results/side_by_side/ was emptied, and hopsworks-local's faults.py and fuzz.py.
LOCAL := packages/hopsworks-local/benchmarks
BENCHMARKS ?= apps screenshots monitor daily_job setup $(LOCAL)/speed.py growth_days growth_wines \
	data ladder cortez search prediction fresh_seeds beyond side_by_side settings

bench:  ## install, then run the benchmarks and keep their results (over an hour)
	@$(INSTALL) requirements-benchmarks.txt
	@unset $$(env | sed -nE 's/^((HOPSWORKS|WINE|GITHUB)_[A-Za-z0-9_]*)=.*/\1/p'); \
	data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT INT TERM && export HOPSWORKS_LOCAL_ROOT="$$data" && \
	rm -rf model_finder_results && \
	for name in pipeline $(BENCHMARKS) readme; do \
		case $$name in *.py) run=$$name ;; *) run="-m benchmarks.$$name" ;; esac; \
		echo "== $$name, $$(date +%H:%M:%S)" && $(BIN)/python $$run || exit 1; \
	done

# All files have the versions of requirements-test.txt, since each is compiled over a copy of it; only
# AutoGluon, in requirements-benchmarks.txt, asks for an older pyarrow.
COMPILE := $(BIN)/python -m uv pip compile --quiet --universal \
	--no-emit-package hopsworks-local --custom-compile-command 'make lock'
compile = cp requirements-test.txt $(1) && $(COMPILE) -o $(1) $(2)

lock:  ## compile the requirements files from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@$(INSTALL) requirements-test.txt
	$(COMPILE) $(UPGRADE) --generate-hashes -o requirements-test.txt pyproject.toml --group test
	$(call compile,requirements.txt,--generate-hashes pyproject.toml --group pipeline)
	$(call compile,requirements-daily.txt,--generate-hashes pyproject.toml)
	$(call compile,requirements-benchmarks.txt,--generate-hashes pyproject.toml --group benchmarks)
	$(call compile,requirements-install.txt,--generate-hashes --group install)
	$(call compile,.github/scripts/requirements.txt,--generate-hashes --group publish)
	$(call compile,apps/predictor/requirements.txt,--group predictor)
	$(call compile,apps/monitor/requirements.txt,--group monitor)

clean:  ## remove the environment and the reports; the local Hopsworks' data stay
	rm -rf .venv reports model_finder_results
	@echo "The local Hopsworks' data in .hopsworks stay: make reset removes them, too."

reset:  ## remove all of that and the local Hopsworks' data
	rm -rf .venv reports model_finder_results .hopsworks
	@echo "The local Hopsworks' data are removed, too."
