# Every command of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test ui dashboard bench bench-forecast bench-inventory bench-vn2 check format docs pictures lock clean

help: ## List the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 20

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.11."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## Run the whole graph on the demo retailer (or on what .env names) and print what came out
	@$(BIN)/retail-assets run

test: $(STAMP) ## Lint, check types and run every test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

ui: $(STAMP) ## Dagster webserver and daemon on http://localhost:3000
	@$(BIN)/retail-assets ui

dashboard: $(STAMP) ## The planners' pages on http://localhost:8501
	@$(BIN)/retail-assets dashboard

bench: $(STAMP) ## Benchmarks; tables on the terminal, figures in bench/results
	@$(BIN)/python bench/run_all.py

bench-forecast: $(STAMP) ## Accuracy, coverage and cost of the forecasts, with every contender's row
	@$(BIN)/python -m bench.forecast

bench-inventory: $(STAMP) ## Service achieved against predicted, stock against simpler rules, textbook values, speed
	@$(BIN)/python -m bench.inventory

bench-vn2: $(STAMP) ## Orders in money: six windows of the VN2 challenge, each rule with each forecast; VN2_FOLDER names its data
	@$(BIN)/python -m bench.vn2 $(VN2_FOLDER)

format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

docs: $(STAMP) ## Generate docs/tables.md, entities.md, settings.md and mapping.schema.json from contracts and settings
	@$(BIN)/python docs/generate_tables.py

pictures: $(STAMP) ## Record one run of the demo: README's blocks, docs/first-run.md, docs/images
	@$(BIN)/python docs/screenshots.py build/recorded-run

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile --python-version 3.11 --all-extras --generate-hashes --no-strip-extras --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

clean: ## Delete the environment and .retail, planners' decisions included; asks first
	@if [ "$$CONFIRM" != yes ]; then \
		if [ ! -t 0 ]; then \
			echo "make clean deletes .retail with the planners' decisions and the environment: set CONFIRM=yes to agree." >&2; \
			exit 2; \
		fi; \
		printf "This deletes .retail with the planners' decisions and the environment. Type yes to go on: "; \
		read -r answer || true; \
		[ "$$answer" = yes ] || { echo "Nothing was deleted." >&2; exit 2; }; \
	fi
	rm -rf $(VENV) .retail .pytest_cache .ruff_cache .hypothesis
