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
	$(BIN)/python -m pytest -m 'not slow' tests/test_layers.py tests/test_repository.py tests/test_public_api.py tests/fixed tests/rule tests/units

format: $(VENV)/.installed
	$(BIN)/ruff check --fix src tests examples benchmarks
	$(BIN)/ruff format src tests examples benchmarks

bench: $(VENV)/.installed
	@for script in benchmarks/*.py; do $(BIN)/python $$script $(BENCH) || exit 1; done

# versions that are known to work together (brian2-loihi and nengo-loihi need numpy 1)
PEERS_brian  := brian2==2.9.0 brian2-loihi==0.5.2 cython==3.3.1 setuptools numpy==1.26.4
PEERS_nengo  := nengo==3.2.0 nengo-loihi==1.1.0 scipy==1.11.4 numpy==1.23.5
PEERS_sanafe := sanafe==2.2.9 numpy
PEERS_torch  := torch==2.13.0 numpy==2.3.5 scipy==1.17.1 matplotlib h5py==3.16.0 nir==1.0.8 packaging setuptools
# without what they ask for, which would bring another torch
ALONE_torch  := brevitas==0.13.4 snntorch==1.0.0 norse==1.1.0 spikingjelly==2.0.0 nirtorch==2.6 dependencies==2.0.1 unfoldNd==0.2.3 loguru==0.7.3

peers: .venv-peers-torch/.installed .venv-peers-brian/.installed .venv-peers-nengo/.installed .venv-peers-sanafe/.installed

.venv-peers-%/.installed: Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else "the peers need Python 3.11, found %d.%d: make peers PYTHON=python3.11" % v)'
	$(PYTHON) -m venv .venv-peers-$*
	.venv-peers-$*/bin/python -m pip install --quiet $(PEERS_$*)
	$(if $(ALONE_$*),.venv-peers-$*/bin/python -m pip install --quiet --no-deps $(ALONE_$*))
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
