# `make bench` and `make test` do all set-up: they make the environment if it is missing and reuse it if it is there.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PLUGINS := $(wildcard plugins/*/pyproject.toml)
STAMP := $(VENV)/.installed
OLDEST ?= build/oldest
# The oldest versions have wheels for the oldest Python alone: that one where it is there, else the environment's.
OLDEST_PYTHON = $(shell $(VENV)/bin/uv python find --no-python-downloads 3.11 2>/dev/null || echo $(PY))
RECIPES := $(shell find zoo_configs plugins -name '*.yaml' -not -path '*/tests/*' -not -path 'zoo_configs/data/*')
# What calls the libraries that have lower bounds, and takes below four minutes on one core.
FAST := $(addprefix tests/,metrics text augment models objectives step golden weights train/test_loop.py train/test_optim.py test_doctests.py test_vlzoo.py)

# Where it is set every process compiles what it imports anew, torch and transformers too: the tests start some 200.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench test oldest format site

bench: $(STAMP)
	$(PY) benchmarks/main_job.py --out runs/main

test: export OMP_NUM_THREADS = 1
test: $(STAMP)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -n 2 --dist worksteal

# The oldest versions that the lower bounds allow, found by uv; 6 GB, removed at the end. A failure leaves them there.
# uv keeps what it fetched in a cache of its own (`uv cache dir`), for the next time.
oldest: export OMP_NUM_THREADS = 1
oldest: $(STAMP)
	rm -rf $(OLDEST)
	$(VENV)/bin/uv venv --quiet --python $(OLDEST_PYTHON) $(OLDEST)
	$(VENV)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct -e ".[dev]" $(foreach file,$(PLUGINS),-e ./$(dir $(file)))
	$(OLDEST)/bin/vlzoo list > $(OLDEST)/said || { cat $(OLDEST)/said; exit 1; }
	$(OLDEST)/bin/vlzoo check $(RECIPES) > $(OLDEST)/said 2>&1 || { cat $(OLDEST)/said; exit 1; }
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -p no:cacheprovider $(FAST)
	rm -rf $(OLDEST)

# The documentation as a site, in build/site; a link that leads nowhere is a failure.
site: $(STAMP)
	$(PY) docs/make/pages.py
	$(VENV)/bin/zensical build --strict

format: $(STAMP)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# Made anew when what is to be installed changes: the project's requirements or those of a plugin in plugins/. Of 6 GB
# little is ever imported, and Python compiles that when it is: pip would compile all for over a minute.
$(STAMP): pyproject.toml $(PLUGINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vlzoo needs Python 3.11 or later: make PYTHON=...")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --no-compile -e ".[dev]" $(foreach file,$(PLUGINS),-e $(dir $(file)))
	touch $@
