# The same steps for people and for CI. Needs Python 3.11 or newer with venv, and make.
#   make demo    train, export, serve and query, on the clips of examples/
#   make page    open the server's page in a browser, on the gallery of the demo
#   make test    every check, in CI's order; tests run in WORKERS=3 processes, each of which takes 1.5 GB
#   make test-milvus  install and start a Milvus server, and run the galleries' tests on it; on Linux, x86-64
#   make proto   generate gfp_serve/v1 and the description of the HTTP port from proto/
#   make page-files  build the web page's files from page; needs Node.js 20 or newer
#   make fuzz    look for requests that the server answers wrongly, for SECONDS=60; on Linux, x86-64
#   make dist    build the source distribution and the wheel into dist/, and check them
#   make docs    build the site of docs/ into build/docs
#   make clean   remove the environment and everything that tools left behind

PYTHON ?= python3
SECONDS ?= 60
# One more than CI has cores: tests wait for servers and browsers.
WORKERS ?= 3
VENV ?= .venv
BIN := $(VENV)/bin
# The Milvus server has its own environment: its packages are from 2024.
MILVUS := $(VENV)-milvus

.PHONY: help demo page test test-milvus proto page-files fuzz dist docs clean
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/demo.py

page: $(VENV)/demo.stamp
	$(BIN)/python examples/page.py

test: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-milvus: $(VENV)/test.stamp $(MILVUS)/bin/milvus-server
	GFP_TEST_MILVUS_PYTHON=$(abspath $(MILVUS))/bin/python $(BIN)/python -m pytest -m milvus

proto: $(VENV)/test.stamp
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=. --pyi_out=. --grpc_python_out=. proto/gfp_serve/v1/*.proto
	$(BIN)/python docs/_ext/openapi.py

page-files:
	cd page && npm ci --ignore-scripts --no-audit --no-fund && npm run build

fuzz: $(VENV)/fuzz.stamp
	$(BIN)/python -m tests.fuzz.fuzz_wire --seconds $(SECONDS)

dist: $(VENV)/test.stamp
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

docs: $(VENV)/test.stamp
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# A stamp says that the environment holds what pyproject.toml and constraints.txt asked for when it was made.
$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[cpu,train,video]'
	@touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[cpu,train,dev]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/fuzz.stamp: $(VENV)/test.stamp
	$(BIN)/python -m pip install -c constraints.txt -e '.[fuzz]'
	@touch $@

$(MILVUS)/bin/milvus-server: | $(BIN)/python
	$(PYTHON) -m venv $(MILVUS)
	$(MILVUS)/bin/python -m pip install milvus==2.3.5

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: '$(PYTHON)' is not on the PATH; install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: '$(PYTHON)' is $$($(PYTHON) -V 2>&1); 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: '$(PYTHON)' has no venv; on Debian and Ubuntu install it: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) $(MILVUS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find gfp_serve trainer tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
