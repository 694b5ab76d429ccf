# What a person types. Each target does its own set-up, inside this folder only: a virtual environment, pinned installs.
#
#   .venv        development and tests: the extra [dev], torch included
#   .venv-demo   the demo: the extra [demo], no torch, a tenth of the download
#
# A stamp in each says that it is complete; it is made anew when pyproject.toml or constraints.txt changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# The first of these that runs and is 3.11 to 3.13; `make test PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && echo "$$p" && break; done)
# Handed to what the target runs: make test ARGS="-k codec", make demo ARGS="--seconds 5"
ARGS ?=

DEV := .venv/.dev-is-installed
DEMO := .venv-demo/.demo-is-installed
BENCHMARKS := road serving footprint replaying fidelity live shaper sweeping prediction regret control measuring drift policies guarantee placement exits codec_speed codecs int8

.PHONY: help demo test check bench protos clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO) ## A device and an edge share a network over a thin link; ends with a table
	@.venv-demo/bin/offramp demo $(ARGS)

test: $(DEV) ## The tests; ARGS goes to pytest: make test ARGS="-k codec"
	@.venv/bin/python -m pytest $(ARGS)

check: $(DEV) ## What CI checks beside the tests: style, types, who imports whom, generated code
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	@generated=$$(mktemp -d); trap 'rm -rf "$$generated"' EXIT; .venv/bin/python protos/generate.py "$$generated" >/dev/null; \
	diff --recursive --unified --exclude=__pycache__ core/offramp/wire/v1 "$$generated/offramp/wire/v1" \
	|| { echo "the generated code differs from protos/; run: make protos" >&2; exit 1; }; \
	echo "protos: the generated code is current"

bench: $(DEV) ## Measure every claim of docs/RESULTS.md, for ten minutes; ARGS=--quick has a look
	@failed=0; for one in $(BENCHMARKS); do .venv/bin/python -m benchmarks.$$one $(ARGS) || failed=1; done; exit $$failed

protos: $(DEV) ## Generate core/offramp/wire/v1 from protos/
	.venv/bin/python protos/generate.py

clean: ## Remove caches and build products; the virtual environments stay
	rm -rf build dist htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEV): pyproject.toml constraints.txt | .venv/bin/python
	@$(call install,dev)

$(DEMO): pyproject.toml constraints.txt | .venv-demo/bin/python
	@$(call install,demo)

# The build backend is installed first, so that it is pinned too: an isolated build would fetch the newest.
define install
echo "offramp: installing [$1] into $(@D); the first time downloads it, later calls start at once"; \
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt hatchling; \
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	--no-build-isolation --editable '.[$1]'; \
touch $@
endef

.venv/bin/python .venv-demo/bin/python:
	@python="$(PYTHON)"; \
	if ! "$${python:-false}" -c '$(SUPPORTED)'; then \
		echo "offramp needs Python 3.11 to 3.13, and '$${python:-python3}' is none; install one, or name it:" \
			"make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "'$$python' cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	"$$python" -m venv $(@D:/bin=)
