# One word per task; `make` alone lists them. Needs python3 (3.11 or newer) with its venv module, and nothing else:
# everything comes from the package indexes that pip and npm are set to, pinned with hashes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Two workers: the suite starts servers and SDK processes of its own. `make test WORKERS=4` on a larger machine.
WORKERS ?= 2
# What pytest runs; `make test TESTS=tests/unit/wire` for a part of it.
TESTS ?= tests

SOURCES := src tests scripts bench
PURE := errors.py hub/* wire/* dialects/* catalog/* routing/* limits/* providers/*
empty :=
space := $(empty) $(empty)
comma := ,
PURE_FILES := $(subst $(space),$(comma),$(addprefix src/pi_model_proxy/,$(PURE)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Setting up -------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.runtime $(VENV)/.development $(VENV)/.node  ## create .venv with everything that the tests need

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "setup: python 3.11 or newer is needed; '$(PYTHON)' is not. Name another: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "setup: '$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements/build.txt requirements/runtime.txt pyproject.toml
	@echo "setup: installing the product and its locked dependencies"
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements/dev.txt requirements/clients.txt
	@echo "setup: installing the locked checkers, test tools and client libraries (about half a minute)"
	@$(PIP) --require-hashes -r requirements/runtime.txt -r requirements/dev.txt -r requirements/clients.txt
	@touch $@

$(VENV)/.node: $(VENV)/.runtime scripts/node_cache.py requirements/node.txt tests/clients/package.json tests/clients/package-lock.json
	@$(BIN)/python scripts/node_cache.py
	@touch $@

# --- Every day --------------------------------------------------------------------------------------------------------

.PHONY: check
check: $(VENV)/.development  ## formatting, lint, types, import contracts, generated documents
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/settings_docs.py --check
	$(BIN)/python scripts/providers_docs.py --check

.PHONY: test
test: setup check  ## every check and every test (at most 8 minutes on two cores)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations 5 --durations-min 5 $(TESTS)

.PHONY: cov
cov: setup  ## branch coverage; the pure rooms must reach 98 %
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -q --cov --cov-branch --cov-report= $(TESTS)
	$(BIN)/coverage report --skip-empty
	@echo "The pure rooms:"
	$(BIN)/coverage report --include '$(PURE_FILES)' --fail-under 98

.PHONY: demo
demo: $(VENV)/.runtime  ## talk to the scripted demo models, then serve (ONCE=1: end after the conversations)
	@$(BIN)/python scripts/demo.py $(if $(ONCE),--once)

.PHONY: serve
serve: $(VENV)/.runtime  ## serve pi's models on 127.0.0.1:9876 (ARGS="--port 9000 …")
	@$(BIN)/pi-model-proxy serve $(ARGS)

# --- Proofs that take longer ------------------------------------------------------------------------------------------

.PHONY: real
real: setup  ## chat through a real local model server (first time about 12 minutes; needs cmake and g++)
	@$(BIN)/python tests/real/run.py

.PHONY: race
race: setup  ## 1,000 token refreshes at once with the real pi (100 of them are in `make test`)
	RACE_TRIALS=1000 $(BIN)/pytest -m pi -k refresh $(TESTS)

.PHONY: oracle
oracle: setup  ## compare what we send, list and hold of logins with the real pi, every provider
	ORACLE_ALL=1 ACCOUNT_DIRECTORIES=200 $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/oracle \
	  tests/integration/test_accounts_as_pi.py tests/integration/test_logins_as_pi.py

.PHONY: kills
kills: setup  ## 200 SIGKILLs during a refresh (20 of them are in `make test`)
	KILLS=200 $(BIN)/pytest tests/unit/credentials/test_crash_safety.py

.PHONY: fuzz
fuzz: setup  ## strange requests at every endpoint (N=20000 SEED=…; 2,000 of them are in `make test`)
	@$(BIN)/python tests/fuzz/run.py -n $(or $(N),20000) $(if $(SEED),--seed $(SEED))

.PHONY: agents
agents: setup  ## official clients and coding agents in front of the gateway; writes docs/agents.md (first time about 10 minutes)
	@$(BIN)/python tests/agents/run.py $(ARGS)

.PHONY: conformance
conformance: setup  ## our server against every check, with every demo kind
	CONFORMANCE_ALL=1 $(BIN)/pytest tests/integration/test_conformance.py

.PHONY: bench
bench: $(VENV)/.node  ## compare with nginx, LiteLLM, Portkey, pi-ai and 9router here; writes docs/benchmarks.md (FULL=1: every test; KEEP=1: keep the ratios)
	@$(BIN)/python bench/run.py $(if $(FULL),--full) $(if $(KEEP),--keep) $(ARGS)

.PHONY: wheel
wheel: $(VENV)/.runtime  ## build the wheel, install it with pip and with uv into empty environments, run it
	@$(BIN)/python scripts/prove_wheel.py

.PHONY: bare
bare:  ## `make demo` and `make test` on a bare Debian in a folder (needs root and debootstrap)
	@$(PYTHON) scripts/bare_machine.py $(ARGS)

# --- Upkeep -----------------------------------------------------------------------------------------------------------

.PHONY: docs
docs: $(VENV)/.runtime  ## write the generated parts of the documentation and the configuration's JSON Schema
	$(BIN)/python scripts/settings_docs.py
	$(BIN)/python scripts/providers_docs.py

.PHONY: lock
lock:  ## write the lock files again (UPGRADE=1: with the newest versions that fit together)
	@$(PYTHON) scripts/lock.py $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean:  ## remove everything that these commands made (the caches too)
	rm -rf $(VENV) .cache .demo dist build tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache .coverage
	find src tests scripts bench -type d -name __pycache__ -prune -exec rm -rf {} +
