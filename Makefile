# The commands a person types. Everything happens in .venv; nothing is installed outside it.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: help pipeline test apps bench clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

pipeline: .venv/installed  ## install, then run all five parts in order on real data (no account needed)
	@$(BIN)/python -m wine.pipeline

test: .venv/tested  ## install, then lint and run every test
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.venv/installed: requirements.txt requirements-daily.txt packages/hopsworks-local/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e packages/hopsworks-local
	@touch $@

.venv/tested: requirements-test.txt .venv/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@

# On data of its own, made by a first run of the pipeline, and never on a cluster. About three hours
# on two cores: one for growth_wines, half of one for search, 27 minutes for hopsworks_local_faults, 15
# for growth_days, 12 for apps, and 40 more for side_by_side when results/side_by_side/ was emptied. What
# can fail for want of a browser or an index comes first; side_by_side and prediction take the model that
# search found. `make bench BENCHMARKS="ladder data"` runs some of them. Each file says what it measures.
BENCHMARKS ?= apps screenshots daily_job data ladder cortez search side_by_side beyond prediction \
	hopsworks_local hopsworks_local_fuzz hopsworks_local_faults growth_days growth_wines

bench: .venv/benched  ## install, then run every benchmark into benchmarks/results (hours)
	@unset $$(env | sed -nE 's/^((HOPSWORKS|WINE|GITHUB)_[A-Za-z0-9_]*)=.*/\1/p'); \
	data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT INT TERM && export HOPSWORKS_LOCAL_ROOT="$$data" && \
	rm -rf model_finder_results && \
	$(BIN)/python -m wine.pipeline && cp reports/summary.json benchmarks/results/pipeline.json && \
	for name in $(BENCHMARKS) readme; do \
		echo "== $$name" && $(BIN)/python -m benchmarks.$$name || exit 1; \
	done

.venv/benched: requirements-benchmarks.txt .venv/tested
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-benchmarks.txt
	@touch $@

PREDICTOR_PORT ?= 7860
MONITOR_PORT ?= 7861

apps: .venv/installed  ## open the predictor (port 7860) and the monitor (7861) on the local Hopsworks
	@spaces=$$(mktemp -d) && trap 'rm -rf "$$spaces"' EXIT INT TERM && export spaces && \
	for space in predictor monitor; do \
		$(BIN)/python -m apps.assemble $$space "$$spaces/$$space" || exit 1; \
	done && \
	$(BIN)/python -m hopsworks_local exec --project wine -- sh -c ' \
		trap "trap - INT TERM; kill 0" INT TERM; \
		GRADIO_SERVER_PORT=$(PREDICTOR_PORT) $(BIN)/python "$$spaces/predictor/app.py" & \
		GRADIO_SERVER_PORT=$(MONITOR_PORT) $(BIN)/python "$$spaces/monitor/app.py" & wait'

clean:  ## remove the environment and everything the pipeline made, the local Hopsworks' data too
	rm -rf .venv .hopsworks reports model_finder_results
