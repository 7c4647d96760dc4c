# Works on a fresh machine: needs make and Python 3.11 or newer, nothing else. The second time it needs no network.
PYTHON ?= python3
ARGS ?=
MINUTES ?= 30
VENV := .venv

.PHONY: help demo up test lint bench soak lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/.demo ## Run the main job here until Ctrl-C; ARGS=--once ends by itself
	@$(VENV)/bin/touchstream demo $(ARGS)

up: $(VENV)/.demo ## Start Kafka, Redis and workers here until Ctrl-C
	@$(VENV)/bin/touchstream up $(ARGS)

test: $(VENV)/.test ## Set up and pass the tests; ARGS are pytest's
	@sh deploy/install-debian-packages.sh
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy > $(VENV)/mypy.txt 2>&1 & types=$$!; \
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS); tests=$$?; \
	wait $$types; typed=$$?; cat $(VENV)/mypy.txt; exit $$((tests ? tests : typed))

lint: $(VENV)/.test ## Format and check the code
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix . && $(VENV)/bin/mypy

bench: $(VENV)/.bench ## Measure against the peers (about 3 hours); ARGS=--help
	@$(VENV)/bin/python -m tests.benchmarks $(ARGS)

soak: $(VENV)/.test ## Hurt workers, broker and Redis for MINUTES, lose nothing; ARGS=--help
	@$(VENV)/bin/python -m tests.faults --minutes $(MINUTES) $(ARGS)

lock: $(VENV)/.test ## Renew the lock files from pyproject.toml (needs uv on PATH)
	uv pip compile pyproject.toml --extra embedded $(LOCK) -o deploy/requirements.lock
	uv pip compile pyproject.toml --extra embedded --extra report --extra dev $(LOCK) -c deploy/requirements.lock -o tests/requirements.lock
	uv pip compile pyproject.toml --extra embedded --extra report --extra dev --extra bench $(LOCK) -c tests/requirements.lock -o tests/benchmarks/requirements.lock

clean: ## Remove the virtual environment and the embedded stack's data
	rm -rf $(VENV) .touchstream

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q

$(VENV)/.demo: pyproject.toml deploy/requirements.lock deploy/setup.sh
	@PYTHON="$(PYTHON)" sh deploy/setup.sh $(VENV) deploy/requirements.lock
	@touch $@

$(VENV)/.test: pyproject.toml deploy/requirements.lock tests/requirements.lock deploy/setup.sh
	@PYTHON="$(PYTHON)" sh deploy/setup.sh $(VENV) tests/requirements.lock
	@touch $@ $(VENV)/.demo

# The peers' packages come on top: they agree with ours.
$(VENV)/.bench: pyproject.toml tests/benchmarks/requirements.lock deploy/setup.sh
	@PYTHON="$(PYTHON)" sh deploy/setup.sh $(VENV) tests/benchmarks/requirements.lock
	@touch $@ $(VENV)/.test $(VENV)/.demo
