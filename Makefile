# make demo        the demonstration, from nothing
# make test        the fast suite          make test-all   with slow tests; fails without shared data
# make check       format, lint, types, layers, fast unit tests (under 30 s)
# make bench       benchmarks: JSON lines; BENCH=--quick under a minute each
# make peers       other simulators for them, each in an environment of its own
# make accuracy    accuracy over 5 seeds
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test test-all check format bench peers accuracy mutate golden clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "Picojoule needs Python 3.11 or newer, found %d.%d: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/picojoule demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -m 'not slow'

test-all: $(VENV)/.installed
	PICOJOULE_REQUIRE_SHARED=1 $(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff format --check src tests examples benchmarks
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not slow' tests/test_layers.py tests/test_public_api.py tests/fixed tests/rule tests/units

format: $(VENV)/.installed
	$(BIN)/ruff check --fix src tests examples benchmarks
	$(BIN)/ruff format src tests examples benchmarks

bench: $(VENV)/.installed
	@for script in benchmarks/*.py; do $(BIN)/python $$script $(BENCH) || exit 1; done

# versions that are known to work together (brian2-loihi and nengo-loihi need numpy 1)
PEERS_brian  := brian2==2.9.0 brian2-loihi==0.5.2 cython==3.3.1 setuptools numpy==1.26.4
PEERS_nengo  := nengo==3.2.0 nengo-loihi==1.1.0 scipy==1.11.4 numpy==1.23.5
PEERS_sanafe := sanafe==2.2.9 numpy

peers: .venv-peers-brian/.installed .venv-peers-nengo/.installed .venv-peers-sanafe/.installed

.venv-peers-%/.installed: Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else "the peers need Python 3.11, found %d.%d: make peers PYTHON=python3.11" % v)'
	$(PYTHON) -m venv .venv-peers-$*
	.venv-peers-$*/bin/python -m pip install --quiet $(PEERS_$*)
	@touch $@

accuracy: $(VENV)/.installed
	$(BIN)/python -m picojoule.demo.accuracy

mutate: $(VENV)/.installed
	$(BIN)/python tests/golden/mutate.py

golden: $(VENV)/.installed
	$(BIN)/python -m pytest -m 'not slow' --update-golden
	git diff --stat -- tests

clean:
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .hypothesis
