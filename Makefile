# Needs make and Python 3.11 or newer; everything else goes into a virtual environment beside this file.
#   PYTHON     the interpreter that makes the environment (python3)
#   ARGS       passed on to the command behind demo, test, faults, soak, bench, browser and requirements
#   SEED, SECONDS, TASKS  of soak (a random one, 600, 100000)
#   DATABASES  what test runs on (postgres sqlite)
#   JOBS       how many processes test and faults run in, each with servers of its own (2)
#   PYTHONS    the interpreters of matrix (python3.11 python3.12 python3.13)

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
DATABASES ?= postgres sqlite
JOBS ?= 2
PYTHONS ?= python3.11 python3.12 python3.13

SEED ?=
SECONDS ?= 600
TASKS ?= 100000

# They bring databases of their own: once is enough.
ONCE := tests/integration/test_demo.py tests/integration/test_drill.py tests/integration/test_installed_wheel.py

BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help setup demo run check test faults soak bench browser matrix screenshots requirements clean

help: ## Say what can be made
	sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.dev ## Make .venv with all tools; quick when nothing changed

demo: $(VENV)/.site ## See it work: site, worker, scheduler and Redis of its own, in one command
	$(MANAGE) demo $(ARGS)

run: $(VENV)/.site ## Serve the site on port 8000 while you edit it; wants a Redis at REDIS_URL
	mkdir -p .demo
	$(MANAGE) migrate --verbosity 0
	DEBUG=1 SECRET_KEY=$${SECRET_KEY:-of-one-who-edits} $(BIN)/uvicorn analysis.asgi:application --reload

check: $(VENV)/.dev ## Lint, format, types, floors, migrations, deployment, JavaScript
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache > $(VENV)/floors.txt || { cat $(VENV)/floors.txt; exit 1; }
	DATABASE_URL=sqlite://:memory: $(MANAGE) makemigrations --check --dry-run --verbosity 0 \
		|| { echo 'Models changed without a migration: run manage.py makemigrations.'; exit 1; }
	DATABASE_URL=sqlite://:memory: HTTPS=1 ALLOWED_HOSTS=site.example SECRET_KEY=$$(printf '%064d' 0 | tr 0 a)$$(echo 1234567890) \
		$(MANAGE) check --deploy --fail-level WARNING
	if command -v node > /dev/null; then node --test --test-reporter=dot tests/unit/js/*.mjs; \
	elif [ -n "$$CI" ]; then echo 'node is missing: the JavaScript tests cannot run.'; exit 1; \
	else echo 'node is missing: the JavaScript tests did not run.'; fi

test: $(VENV)/.dev ## Unit and integration tests, on PostgreSQL and again on SQLite
	for database in $(DATABASES); do \
		echo "Unit and integration tests on $$database:"; \
		once=; [ $$database = sqlite ] || once='$(ONCE:%=--ignore=%)'; \
		TEST_DATABASE=$$database $(BIN)/pytest -q -n $(JOBS) $$once $(ARGS) || exit; \
	done

faults: $(VENV)/.dev ## Pull plugs: processes killed, Redis lost, workers frozen
	TEST_DATABASE=$${TEST_DATABASE:-postgres} $(BIN)/pytest -q -n $(JOBS) tests/faults $(ARGS)

soak: $(VENV)/.dev ## Many tasks, random kills meanwhile, then every promise is checked
	$(BIN)/python -m tests.soak --seconds $(SECONDS) --tasks $(TASKS) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(VENV)/.dev ## Measure TaskCenter beside its peers: 20 to 30 minutes, the first time more
	$(BIN)/python -m benchmarks $(ARGS)

browser: $(VENV)/.dev ## What people do, in a real Chromium
	TEST_DATABASE=$${TEST_DATABASE:-postgres} $(BIN)/pytest -q tests/browser $(ARGS)

matrix: ## `make test` on every Python and Django we promise, each in an environment of its own
	for python in $(PYTHONS); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit; \
		echo "Python $$version:"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version || exit; \
	done

screenshots: $(VENV)/.dev ## Take the pictures of docs/images anew
	SCREENSHOTS=docs/images TEST_DATABASE=sqlite $(BIN)/pytest -q tests/browser/test_pages.py \
		$(wildcard tests/browser/test_*_looks.py) $(ARGS)

# The newest versions pyproject.toml allows: `make requirements ARGS=--upgrade`.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy requires-python \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml

requirements: $(VENV)/.dev ## Compile requirements/*.txt from pyproject.toml
	$(COMPILE) --group dev --output-file requirements/dev.txt $(ARGS)
	$(COMPILE) --group test --constraints requirements/dev.txt --output-file requirements/test.txt $(ARGS)
	$(COMPILE) --group site --constraints requirements/dev.txt --output-file requirements/site.txt $(ARGS)

clean: ## Remove environments, caches, builds and what the demo kept
	rm -rf .venv .venv-3.* .bench .demo build dist *.egg-info test-results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c '' 2> /dev/null || { echo 'There is no $(PYTHON) here: install Python 3.11 or newer, or name one, as in make $(MAKECMDGOALS) PYTHON=python3.12.'; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "TaskCenter needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): name another one, as in make $(MAKECMDGOALS) PYTHON=python3.12."; exit 1; }
	$(PYTHON) -m venv $(VENV) > $(VENV)-log.txt 2>&1 || { cat $(VENV)-log.txt; rm -rf $(VENV) $(VENV)-log.txt; exit 1; }
	rm $(VENV)-log.txt

PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes

$(VENV)/.site: requirements/site.txt | $(BIN)/python
	echo 'Installing what the site needs into $(VENV); this takes a minute, once.'
	$(PIP_INSTALL) -r requirements/site.txt
	touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	echo 'Installing all tools into $(VENV); this takes some minutes, once.'
	$(PIP_INSTALL) -r requirements/dev.txt
	touch $@ $(VENV)/.site
