# `make` lists the targets. A fresh machine needs Python 3.11 or later and a C compiler; the rest is fetched into .venv.
PYTHON ?= python3
BIN := .venv/bin
SAMPLE := docs/images/sample.png
CHECKED := $(CURDIR)/build/checked1/site
# With the Cython in .venv: one that isolation brings is newer than the last build, which then starts over (3 to 57 s).
INSTALL := $(BIN)/pip install --quiet --no-build-isolation

.PHONY: help demo sample test checked bench bench-once peers lint docs clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | expand -t 12

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'  # the first that knows --group
	$(BIN)/pip install --quiet --group compile
	@touch $@

demo: .venv/ready  ## build, then pool the sample image into build/demo/pooled.png
	$(INSTALL) '.[cli]'
	@mkdir -p build/demo
	$(BIN)/cypool pool $(SAMPLE) build/demo/pooled.png --op max --kernel-size 2

sample:
	@echo $(SAMPLE)

test: .venv/ready  ## build, then run the test suite
	$(INSTALL) '.[cli]' --group test
	$(BIN)/pytest --numprocesses auto

# Bounds are checked by what moves pointers, which is the same at every level: the suite runs at the best one.
checked: .venv/ready  ## build with bounds checks on, then run the same suite on that build
	$(INSTALL) '.[cli]' --group test
	CYPOOL_CHECKED=1 $(INSTALL) --no-deps --upgrade --target $(CHECKED) .
	level=$$(PYTHONPATH=$(CHECKED) $(BIN)/python -c "from cypool import dispatch; print(dispatch.level)") && \
		CYPOOL_LEVEL=$$level PYTHONPATH=$(CHECKED) $(BIN)/pytest --numprocesses auto

bench: .venv/ready  ## this tree beside main: times, and instructions, of which half a percent more fails
	$(INSTALL) . --group bench
	$(BIN)/python asv_benchmarks/compare.py main

bench-once: .venv/ready  ## one quick pass of every benchmark on this build
	$(INSTALL) . --group bench
	cd asv_benchmarks && ../$(BIN)/asv machine --yes
	cd asv_benchmarks && ../$(BIN)/asv run --quick --show-stderr --python=same \
		--bench '^(?!instructions|memory|pool)' --bench 'instructions.*1x8x8x8.*v3' \
		--bench 'pool.*1x64x56x56' --bench 'memory.*2x16x32x64x64.*transposed'
	$(BIN)/python asv_benchmarks/peers.py --quick --levels --threads 1 --only '^(Tiny|Odd|Types)'

peers: .venv/ready  ## time the same work in other libraries, side by side, for docs/performance.md
	$(INSTALL) . --group peers
	$(BIN)/python asv_benchmarks/peers.py --levels --out docs/performance

lint: .venv/ready  ## ruff, cython-lint, mypy
	$(INSTALL) '.[cli,plot]' --group lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint src
	$(BIN)/mypy

docs: .venv/ready  ## the documentation, into docs/_build
	$(INSTALL) . --group docs
	$(BIN)/sphinx-build -W docs docs/_build

clean:  ## remove everything that was built
	rm -rf .venv build dist docs/_build docs/auto_gallery docs/reference docs/sg_execution_times.rst src/cypool.egg-info
	find src -name '*.so' -delete
