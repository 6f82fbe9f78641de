# Everything that a fresh machine needs, with Python 3.10 or later, pip and git:
#   make demo    deploys a small Django site into a virtualenv on this machine
#   make test    everything the tests need, then the tests; ARGS="-k selectors" goes to pytest

PYTHON ?= python3
ARGS ?=
# Tests at once: a part of their time is waiting for hosts.
WORKERS ?= 4
# Set (to anything) to test the built wheel instead of the source tree.
FROM_WHEEL ?=

# What the tests need from Debian, beside Python. They skip what is not there.
SYSTEM_PACKAGES = openssh-server openssh-client sudo procps tcsh fish zsh chromium postgresql \
    pypy3 mmdebstrap apache2 libapache2-mod-wsgi-py3 nginx sqlite3 systemd haproxy

BIN = .venv/bin
DOWNLOADS = .demo/downloads
BUILD = build/from-wheel
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
PIP = $(BIN)/python -m pip --disable-pip-version-check
FIND_WHEELS = --find-links $(DOWNLOADS)
# pip too: where Python comes without it, a virtualenv is filled by the wheelhouse's own.
DEMO_WHEELS = -r examples/requirements.txt pip

# Debian's Python has no ensurepip without python3-venv; pip can put itself there instead.
PYTHON_VENV = sh -c '$(PYTHON) -m venv "$$0" >/dev/null 2>&1 || \
    { $(PYTHON) -m venv --clear --without-pip "$$0" && $(PYTHON) -m pip --python "$$0/bin/python" install -q pip; }'

.DELETE_ON_ERROR:
.PHONY: help demo demo-wheels demo-clean test test-source test-wheel wheel-checkout coverage system-packages lint docs bench clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed demo-wheels ## deploy the site of examples/ into a virtualenv on this machine
	@BIN=$(BIN) DOWNLOADS=$(DOWNLOADS) examples/demo.sh

# Wheels that were fetched once are taken from the last download.
demo-wheels: .venv/installed
	@mkdir -p $(DOWNLOADS)
	@$(PIP) download --quiet --no-index $(FIND_WHEELS) --dest $(DOWNLOADS) $(DEMO_WHEELS) 2>/dev/null || { \
	  echo 'building the site, and fetching Django' && \
	  $(PIP) wheel --quiet --no-deps --wheel-dir $(DOWNLOADS) ./examples/site && \
	  $(PIP) download --quiet --only-binary :all: $(FIND_WHEELS) --dest $(DOWNLOADS) $(DEMO_WHEELS); }

demo-clean: ## take the demo back: all that it made lies in .demo
	rm -rf .demo

ifdef FROM_WHEEL
test: test-wheel ## install what the tests need, and run them
else
test: test-source
endif

# Compiled beforehand: the tests start `fab` where nothing is written beside the source.
test-source: system-packages .venv/tools
	@$(BIN)/python -m compileall -q envfab
	$(PYTEST) $(ARGS)

coverage: system-packages .venv/tools ## the tests once more, with what they cover: they take half as long again
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

# What was fetched for earlier tests is kept.
test-wheel: wheel-checkout
	cd $(BUILD)/checkout && ../venv/bin/python -m pytest -o cache_dir=$(CURDIR)/.pytest_cache -n $(WORKERS) --dist worksteal $(ARGS)

# The source is out of the way: `envfab` can only be what the wheel holds.
wheel-checkout: system-packages .venv/tools
	rm -rf $(BUILD)
	$(BIN)/python -m build --quiet --wheel --outdir $(BUILD)/dist .
	@$(PYTHON_VENV) $(BUILD)/venv
	$(BUILD)/venv/bin/python -m pip --disable-pip-version-check install --quiet "$$(echo $(BUILD)/dist/*.whl)[test]"
	mkdir $(BUILD)/checkout
	tar -c --exclude=./envfab --exclude='./.[!c]*' --exclude=./build --exclude='./wheels/*.whl' . | tar -x -C $(BUILD)/checkout

# Nothing of it starts a service: the tests start what they need, and stop it.
system-packages:
	@missing=; command -v apt-get >/dev/null || exit 0; \
	for package in $(SYSTEM_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q ' installed$$' || missing="$$missing $$package"; \
	done; \
	test -n "$$missing" || exit 0; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo="sudo"; fi; \
	if [ -n "$$sudo" ] && ! sudo -n true 2>/dev/null; then \
	  echo "without root these are not installed, and tests that need them skip:$$missing"; exit 0; \
	fi; \
	echo "installing$$missing"; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
	  trap "$$sudo rm -f $$policy" EXIT; \
	  printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null; $$sudo chmod 755 $$policy; \
	fi; \
	$$sudo apt-get update -q </dev/null && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing </dev/null

# The agent is written for 2.7, too, so that most rules do not fit it: it is checked for names that are not there.
# vulture twice: what only tests use is dead code, too.
lint: .venv/tools ## check style, types, the direction of imports, and for dead code
	$(BIN)/ruff check
	$(BIN)/ruff check --isolated --select F,E9 envfab/agent
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture envfab docs fabfile.py sample_fabfile.py
	$(BIN)/vulture envfab docs tests benchmarks

docs: .venv/tools ## write the task reference and the picture of a plan
	$(BIN)/python docs/generate.py

bench: .venv/installed ## measure envfab beside its peers (root; ARGS="--hosts 3 --rounds 1": a trial)
	@$(BIN)/python -m benchmarks.fleet $(ARGS)

clean: ## remove what was made here, except the wheelhouse and its log
	rm -rf .venv .demo build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps below are as old as the last installation; pyproject.toml says what to install.
.venv/made:
	@echo 'making .venv'
	@$(PYTHON_VENV) .venv
	@touch $@

.venv/installed: .venv/made pyproject.toml
	$(PIP) install --quiet --editable '.[collector]'
	@touch $@

.venv/tools: .venv/made pyproject.toml
	$(PIP) install --quiet --editable '.[test,lint]'
	@touch $@ .venv/installed
