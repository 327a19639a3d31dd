# Every goal is enough on a fresh machine with make and Python 3.11 or newer: the first one builds .venv.
#   make test PYTHON=/opt/python3.12/bin/python3 WORKERS=8

PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo demo-images test lint types floors bench pictures docs clean

help:  ## list the goals
	@awk -F ':.*## *' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# pyproject.toml says what is needed, constraints.txt which releases; a change in either installs again.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=path"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(READY)  ## audit, prepare and judge data that ships with the package
	$(BIN)/tilth demo

demo-images: $(READY)  ## the same for a folder of images
	$(BIN)/tilth demo --images

# One thread in each test process: the workers are the parallelism, and timings and sums stay steady.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: export VECLIB_MAXIMUM_THREADS = 1
test: lint types floors  ## lint, types, floors, then every test and doctest
	$(BIN)/pytest -n $(WORKERS)

lint: $(READY)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy
	$(BIN)/mypy

floors: $(READY)  ## import-linter: which room may import which
	$(BIN)/lint-imports

# Runs them all before it fails, so that one missed bar does not hide the next.
bench: $(READY)  ## every benchmark, in its quick form
	@scripts=$$(grep -l '^if __name__ == "__main__"' benchmarks/*.py) || { echo "No benchmark found."; exit 1; }; \
	missed=; \
	for script in $$scripts; do \
		echo "== $$script"; $(BIN)/python $$script --quick || missed="$$missed $$script"; \
	done; \
	test -z "$$missed" || { echo "Missed:$$missed"; exit 1; }

pictures: $(READY)  ## the pictures of the docs, from the stages themselves, into docs/pictures/
	$(BIN)/python docs/pictures.py

docs: $(READY)  ## the reference pages, into docs/reference/
	$(BIN)/python docs/build.py

clean:  ## remove what the tools leave behind; keeps .venv and your outputs
	rm -rf build dist tilth-demo tilth-demo-images .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -f benchmarks/results/*.tmp
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
