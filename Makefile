# Thin: each target makes .venv from the lock when it is missing or stale, and runs one command in it.
# Needs Python 3.11 or newer and make, nothing else.

SHELL := bash
PYTHON ?= python3
CORES ?= all
STUDY ?= study
VENV := .venv
LOCK := envs/requirements.txt

sha = $(shell { cat $(1); pwd; } | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
# Two stamps, each made when its step has ended: a half-made environment never passes for a whole one.
# Their names change with the lock, pyproject.toml and the folder (an environment cannot be moved).
LOCKED := $(VENV)/.locked-$(call sha,$(LOCK))
INSTALLED := $(VENV)/.installed-$(call sha,$(LOCK) pyproject.toml)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# One thread a job: parallelism is across jobs, and a result must not depend on the number of cores.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME

.PHONY: help install benchmark demo bench reference audit test lint format clean-venv

help:
	@echo 'make benchmark    the whole default study, its report, its results in short (config/config.yaml)'
	@echo 'make demo         the same, tiny, in about a minute (config/test.yaml)'
	@echo 'make reference    a finished study against the reference in docs/reference (STUDY=study)'
	@echo 'make audit        where results come from, and whether they still hold (STUDY=default)'
	@echo 'make bench        how fast it is, beside transformers and TRL: docs/performance.md (half an hour)'
	@echo 'make test         all tests'
	@echo 'make install      only the environment, .venv'
	@echo 'make lint         ruff, pyright, snakefmt (the tests also run snakemake --lint)'
	@echo 'make format       ruff format, snakefmt'
	@echo 'make clean-venv   remove .venv; results stay'
	@echo
	@echo 'STUDY=default     the study that make reference and make audit look at: results/$$STUDY'
	@echo '                  (default: study for reference, default for audit)'
	@echo 'ARTIFACT=results/default/claims.csv   for make audit: one file and its sources'
	@echo 'CORES=2           cores for benchmark and demo (default: all)'
	@echo 'PYTHON=python3.12 the Python to make .venv with (default: python3; 3.11 or newer)'
	@echo 'PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu'
	@echo '                  on Linux without a GPU: the smaller CPU build of torch'

install: $(INSTALLED)

benchmark: $(INSTALLED)
	snakemake --cores $(CORES)
	snakemake --report results/default/report.html
	overopt summary results/default

demo: $(INSTALLED)
	snakemake --cores $(CORES) --configfile config/test.yaml
	snakemake --report results/test/report.html --configfile config/test.yaml
	overopt summary results/test

reference: $(INSTALLED)
	overopt reference results/$(STUDY)

# Makes an environment for TRL in ~/.cache/overopt-benchmarks (2 GB), where there is none.
bench: $(INSTALLED)
	python -m benchmarks

audit: $(INSTALLED)
	overopt audit $(or $(if $(ARTIFACT),"$$ARTIFACT"),--study $(if $(filter file,$(origin STUDY)),default,$(STUDY)))

# Once installed, the tests use no network; HF_HUB_OFFLINE makes sure that none slips in.
test: export HF_HUB_OFFLINE := 1
test: $(INSTALLED)
	python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	pyright
	snakefmt --check Snakefile workflow

format: $(INSTALLED)
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

clean-venv:
	rm -rf $(VENV)

# When .venv/bin/python does not run (Python was upgraded or removed), the stamps mean nothing.
ifneq ($(shell $(VENV)/bin/python -c 'print("runs")' 2>/dev/null),runs)
.PHONY: $(LOCKED) $(INSTALLED)
endif

$(LOCKED):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "overopt needs Python 3.11 or newer; $(PYTHON) is:" \
	    "$$("$(PYTHON)" --version 2>&1 | tail -n 1)."; \
	  echo "Name another, for instance: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; } >&2
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu:" \
	    "apt install python3-venv"; exit 1; } >&2
	@echo "Making .venv from $(LOCK), once: about 2 minutes and 2 GB."
	@rm -rf $(VENV)
	@"$(PYTHON)" -m venv $(VENV)
	@set -o pipefail; python -m pip install --disable-pip-version-check -r $(LOCK) \
	  | awk '/^(Collecting|Processing)/ && ++n % 30 == 0 { print "  " n " packages found"; fflush() } \
	      /^Installing collected/ { print "  downloaded; installing"; fflush() }' \
	  || { echo "The installation failed; pip says why above. The next make starts it anew." >&2; \
	       exit 1; }
	@touch $@

$(INSTALLED): $(LOCKED)
	@python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-*
	@touch $@
