# `make bench` and `make test` do all set-up: they make the environment if it is missing and reuse it if it is there.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PLUGINS := $(wildcard plugins/*/pyproject.toml)
STAMP := $(VENV)/.installed

.PHONY: bench test format

bench: $(STAMP)
	$(PY) benchmarks/main_job.py --out runs/main

test: export OMP_NUM_THREADS = 1
test: $(STAMP)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -n 2

format: $(STAMP)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# Made anew when what is to be installed changes: the project's requirements or those of a plugin in plugins/.
$(STAMP): pyproject.toml $(PLUGINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vlzoo needs Python 3.11 or later: make PYTHON=...")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -e ".[dev]" $(foreach file,$(PLUGINS),-e $(dir $(file)))
	touch $@
