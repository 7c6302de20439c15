# Targets for developers and CI. Each sets up the virtual environment that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes: the tests of one file share servers and libraries, so they stay together.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile

.PHONY: help demo serve test test-bucket stress-store parity ray check unit format bench peers lock fuzz image image-test image-check clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.runtime  ## index the example collection in .demo and search it
	$(BIN)/trawl demo .demo

serve: $(VENV)/.runtime  ## serve the demo's library on http://127.0.0.1:8000
	@test -f .demo/library/library.json || $(MAKE) demo
	$(BIN)/trawl serve --library .demo/library

check: $(VENV)/.dev  ## lint, types, layers and unit tests: about two minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST) tests/unit tests/property

test: check $(VENV)/.parity $(VENV)/.ray  ## all tests, with `check`: about twenty-five minutes on two cores
	$(PYTEST) --ignore=tests/unit --ignore=tests/property --ignore=tests/stress --ignore=tests/parity --ignore=tests/on_ray --ignore=tests/quality/test_minilm.py
	$(BIN)/pytest tests/on_ray
	$(BIN)/pytest tests/parity -k "not full and not int8 and not wrong"

$(VENV)/.parity: $(VENV)/.dev requirements-parity.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-parity.lock
	@touch $@

parity: $(VENV)/.parity  ## compare all model families with transformers, and run MiniLM's figures: over half an hour
	$(BIN)/pytest tests/parity tests/quality/test_minilm.py

test-bucket: $(VENV)/.dev  ## tests of the library on one in an object store: minutes
	$(PYTEST) --in-bucket $(addprefix tests/integration/test_,library.py metadata_edits.py moves.py records.py browsing.py)

stress-store: $(VENV)/.dev  ## kill and stop four writers of a library in Ceph, if it is installed: minutes
	$(BIN)/pytest -rsP tests/stress

$(VENV)/.ray: $(VENV)/.dev requirements-ray.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-ray.lock
	@touch $@

ray: $(VENV)/.ray  ## add files with the workers of a Ray cluster: about a minute
	$(BIN)/pytest tests/on_ray

unit: $(VENV)/.dev  ## unit tests only
	$(PYTEST) tests/unit

format: $(VENV)/.dev  ## format the code and apply lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## run the benchmarks; see docs/benchmarks.md
	$(BIN)/python -m benchmarks

peers: $(VENV)/.dev  ## compare vector search with other projects, which it installs: half an hour
	$(BIN)/python benchmarks/peers/peers.py

fuzz: $(VENV)/.dev  ## send thousands of random requests generated from the OpenAPI document: minutes
	$(BIN)/python -m benchmarks.fuzz

image:  ## build the container image with docker, buildah or podman: see docs/deployment.md
	$(PYTHON) deploy/image.py build

image-test:  ## run the built image hardened, with docker or podman, and check it
	$(PYTHON) deploy/image.py test

image-check: $(VENV)/.dev  ## run the Dockerfile without a container engine: minutes
	$(BIN)/python deploy/replay.py

lock:  ## resolve and pin the newest compatible dependencies
	$(PYTHON) scripts/lock.py

screenshot: $(VENV)/.dev  ## render docs/search.svg and docs/page-*.png, the pictures in the documentation
	$(BIN)/python scripts/screenshot.py
	$(BIN)/python scripts/page_screenshots.py

clean:  ## remove generated files
	rm -rf $(VENV) .demo trawl-demo build dist .mypy_cache .ruff_cache .hypothesis
