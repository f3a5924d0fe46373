# `make` builds, `make test` tests, `make help` lists the other targets. Requirements: GNU make,
# bash and Python 3.11 or later. Everything else is installed in virtual environments in this
# folder.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ifeq ($(wildcard build.py),)
$(error run make in the folder that contains the Makefile: `make -C FOLDER`)
endif

# To use another interpreter than the one found: make PYTHON=/path/to/python3.11
export PYTHON ?=
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

run := .venv/bin/python
# By file, in the order given here. Tests that wait for an emulated AWS leave two cores room for a
# third process.
in_parallel := -p tests.in_parallel --dist loadscope --no-loadscope-reorder
install := requirements/install.sh

# Tests that import the job images' packages run in a separate environment. Those in tests/local
# do not: they start that environment, as the command line does.
job_tests := $(wildcard tests/scripts)
spark_tests := $(wildcard tests/spark)
# The SDK's tests need an environment of 1 GB: `make test` runs them last, through `make referee`.
# The long ones come first, so that no process is left with one at the end.
long_tests := tests/functions tests/iam tests/templates tests/operations tests/cloud
other_tests := $(long_tests) $(filter-out $(long_tests) tests/unit tests/sdk $(job_tests) $(spark_tests) %.py %__pycache__,$(wildcard tests/*))

.PHONY: all
all: ## Build: emit the templates, package the functions, lint (the default)
	@$(install) build .venv "10 seconds" python3.11 python3.12 python3.13
	@$(run) build.py

.PHONY: check
check: venv ## The fast checks, for every commit: format, lint, types, unit tests, --check
	$(run) -m ruff format --check
	$(run) -m ruff check
	$(run) -m mypy
	$(run) -m pytest $(in_parallel) -n 2 tests/unit
	$(run) build.py --check

.PHONY: test
test: check emulator checkers browser $(if $(job_tests),local) $(if $(spark_tests),spark) ## All tests, exactly as CI runs them: adds the emulated AWS and the job scripts
	$(run) build.py
	$(run) -m pytest $(in_parallel) -n 3 $(other_tests)
	$(if $(job_tests),.venv-local/bin/python -m pytest $(in_parallel) -n 2 $(job_tests))
	$(if $(spark_tests),.venv-spark/bin/python -m pytest $(spark_tests))
	@$(MAKE) referee

.PHONY: audit
audit: venv checkers ## Run the independent checkers on the templates; fail on findings without an exemption
	@$(run) build.py audit

.PHONY: bench
bench: venv emulator local spark tables ## Run the benchmarks and write docs/benchmarks.md
	@for program in tests/bench/bench_*.py; do \
	    echo "measuring: $$program"; \
	    $(run) -m "tests.bench.$$(basename "$$program" .py)"; \
	done

.PHONY: reliability
reliability: venv ## Put faults at every AWS call of every function and write docs/reliability.md
	$(run) -m tests.reliability

.PHONY: tables
tables: ## Install the packages whose tables the benchmarks train on (.venv-bench)
	@$(install) bench .venv-bench "half a minute" python3.11 python3.12 python3.13

.PHONY: referee
referee: ## Compare the pipeline's definition with the one SageMaker's Python SDK produces (1 GB)
	@$(install) sdk .venv-sdk "1 minute" python3.11 python3.12
	.venv-sdk/bin/python -m pytest tests/sdk

.PHONY: format
format: venv ## Format the code and apply ruff's automatic fixes
	$(run) -m ruff check --fix
	$(run) -m ruff format

.PHONY: venv
venv: ## Install the packages to build, check and test the product (.venv)
	@$(install) main .venv "half a minute" python3.11 python3.12 python3.13

.PHONY: emulator
emulator: ## Install the emulated AWS and the real aws command (.venv-emulator, .venv-awscli)
	@requirements/setup.sh emulator

.PHONY: local
local: ## Install the job images' packages (AutoGluon, the model server) (.venv-local)
	@requirements/setup.sh local

.PHONY: spark
spark: ## Install PySpark and Java for the tests of distributed preprocessing (.venv-spark)
	@$(install) spark .venv-spark "2 minutes" python3.12 \
	    "$$(pyenv prefix 3.12 2>/dev/null || true)/bin/python3.12" python3.11

.PHONY: spark-libraries
spark-libraries: venv ## Download the packages that SageMaker's Spark image lacks (dist/libraries/, docs/spark.md)
	$(run) -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	    --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
	    --dest dist/libraries -r requirements/spark-job.txt

.PHONY: checkers
checkers: ## Install the independent checkers (.venv-audit, .venv-node)
	@requirements/setup.sh checkers

.PHONY: browser
browser: venv ## Install a headless browser and Playwright for the tests of pages (.venv-browser, .venv)
	@$(install) browser .venv "10 seconds"
	@$(install) audit .venv-audit "1 minute" python3.11 python3.12 python3.13
	@requirements/install-node.sh browser

.PHONY: clean
clean: ## Remove build output and environments; keep the committed templates
	rm -rf dist .build .mypy_cache .ruff_cache .pytest_cache \
	    .venv .venv-emulator .venv-awscli .venv-local .venv-spark .venv-sdk .venv-audit .venv-node \
	    .venv-browser .venv-bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
