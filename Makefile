.DEFAULT_GOAL := help
.PHONY: help setup demo test soak fuzz check bench doctor lock clean

PYTHON := .venv/bin/python
MINUTES := 10
# All tests run in as many processes; those that ARGS select in one.
PROCESSES := 2
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## Install everything a demo needs (bin/setup --dev adds the tests' tools)
	@bin/setup

demo: setup ## Run it all on http://127.0.0.1:8000 (TOLLGATE_PORT, TOLLGATE_DATA_DIR)
	@exec $(PYTHON) -m deploy.supervisor

test: ## Run the tests with their own PostgreSQL and Redis; ARGS="-k name" narrows
	@bin/setup --dev
	@$(PYTHON) -m config.embedded --data-dir "$${TOLLGATE_DATA_DIR:-var/test}" -- \
		$(PYTHON) -m pytest $(or $(ARGS),-n $(PROCESSES))

soak: ## Kill processes at random under load, then compare the books; SECONDS, SEED
	@bin/setup --dev
	@$(PYTHON) -m pytest tests/soak $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: ## Fuzz the REST API by its own document; MINUTES=10
	@bin/setup --dev
	@TOLLGATE_FUZZ_SECONDS=$$(( $(MINUTES) * 60 )) \
		$(PYTHON) -m config.embedded --data-dir "$${TOLLGATE_DATA_DIR:-var/test}" -- \
		$(PYTHON) -m pytest -s tests/fuzz $(ARGS)

check: ## Lint, formats, types, import contracts, migrations, deployment settings
	@bin/setup --dev
	@bin/check

bench: ## Measure beside the peers on loopback; prints JSON lines
	@bin/setup --bench
	@timeout -k 10 90 $(PYTHON) -m benchmarks.search
	@timeout -k 10 60 $(PYTHON) -m benchmarks.decision
	@timeout -k 10 90 $(PYTHON) -m benchmarks.sandbox --rounds 10
	@timeout -k 10 120 $(PYTHON) -m benchmarks.audit
	@timeout -k 10 180 $(PYTHON) -m benchmarks.isolation --seconds 4
	@timeout -k 10 150 $(PYTHON) -m benchmarks.reports --runs 3000 --times 2
	@timeout -k 30 330 $(PYTHON) -m benchmarks.execute $(ARGS)

doctor: ## Check each part of the running installation, and say how to mend it
	@$(PYTHON) manage.py doctor

lock: ## Lock the newest allowed versions of the Python packages, with hashes
	@bin/setup --dev
	$(LOCK) --upgrade requirements/base.in -o requirements/base.txt
	$(LOCK) --upgrade requirements/dev.in -o requirements/dev.txt
	$(LOCK) --upgrade requirements/bench.in -o requirements/bench.txt

clean: ## Remove what set-up and tests made; the demo's data in var/ stays
	rm -rf .venv node_modules static/vendor var/test var/bench var/bench-venv
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
