# Everything starts here. `make demo` and `make test` set up what they need; nothing else has to be installed by hand
# but Python 3.11 or newer and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-seeds test check lint types contracts house generate render bench bench-load bench-detect bench-coverage bench-peers bench-alternate fuzz format clean

help:           ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(VENV)/.done    ## build .venv with the pinned dependencies
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) scripts/setup.py $(VENV)
	@touch $@

demo: setup     ## the whole story: a model, its service, traffic, a change, the alarm (ARGS=--fast for the short one)
	$(BIN)/python -m examples.demo.run $(ARGS)

demo-seeds: setup  ## the same story in one process on twenty seeds
	$(BIN)/python -m examples.demo.seeds $(ARGS)

test: setup     ## every test this machine can run
	$(BIN)/python scripts/fetch_prometheus.py
	$(BIN)/python scripts/fetch_clients.py
	$(BIN)/python scripts/fetch_datasets.py
	$(BIN)/python -m pytest $(ARGS)

check: lint types contracts house  ## lint, types, import contracts, density

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

house: setup    ## how dense each package is, and whether one got denser (python scripts/house.py --help)
	$(BIN)/python scripts/house.py

format: setup   ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: setup  ## write semconv.py, docs/semconv.md, docs/environment.md and the dashboards from their definitions
	$(BIN)/python semconv/generate.py
	$(BIN)/python scripts/environment_page.py
	$(BIN)/python -m calidris.cli render -c examples/calidris.yaml --out grafana

render: generate

bench: setup    ## what it costs, beside the floors of the same run
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-load: setup  ## 10 000 rows a second for a minute, each acknowledged on disk, beside each form's rates (ARGS="--seconds 10", "--soak 10m")
	$(BIN)/python -m benchmarks.load --rates $(ARGS)

bench-detect: setup  ## false alarms and delays of detection, simulated with fixed seeds (ARGS=--quick for the short one)
	$(BIN)/python -m benchmarks.detect $(ARGS)

bench-coverage: setup  ## how often each interval holds the truth, simulated with fixed seeds (ARGS=--quick for the short one)
	$(BIN)/python -m benchmarks.coverage $(ARGS)

bench-peers: setup  ## beside Evidently and NannyML, each in an environment of its own (the first run builds them)
	$(BIN)/python -m benchmarks.peers

bench-alternate: setup  ## what a change costs the hot paths, two commits in turns (ARGS="BEFORE AFTER", "main --worktree --only caller")
	$(BIN)/python -m benchmarks.alternate $(ARGS)

fuzz: setup     ## look for requests that break a promise (ARGS="--seconds 600")
	$(BIN)/python -m fuzz $(ARGS)

clean:
	rm -rf $(VENV) .tools demo-out bench-out fuzz-finds dist
