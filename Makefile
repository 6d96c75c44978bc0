# `make` alone lists what there is. Everything runs in .venv, which the first target that needs it sets up.

# Any Python 3.11 or newer; `make demo PYTHON=/path/to/python3.12` chooses one.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
# torch comes first and by itself, so that a machine can choose its build (CPU or CUDA) by pip's own settings.
TORCH ?= torch==2.13.0

BIN := .venv/bin
READY := .venv/.ready
# A second environment without torchtune, on the newest versions of everything (docs/decisions/0005).
LATEST := .venv-latest
# A third one with MLX, whose models ask for newer transformers than torchtune bears.
MLX := .venv-mlx
# Others' validators, which ask for an older rich than ours.
VALIDATORS := .venv-validators

# Proprietary, and no part of this project; its tests are no part of `make test`.
CLAUDE ?= build/claude/node_modules/.bin/claude

# One OpenMP thread a process: two tests with two threads each on two cores run ten times slower.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What was not run, what is known without it, and what runs it where it can be.
STARS := "******************************************************************************"
not_run = printf '%s\n' "" $(STARS) "NOT RUN: $(1), which is not here and was not installed." "$(2)" "    make $(3)" $(STARS) >&2

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-calibrated test ahead fetched lint types pytest pages gallery in-browser test-slurm on-slurm latest mlx prove-metal validators claude inspect soak bench wheel-check clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with everything in it

demo: $(READY) ## run one whole experiment here, end to end
	@$(BIN)/python -m cruijff_kit.cli.demo $(ARGS)

demo-calibrated: $(READY) ## train, calibrate, decide and audit, where the true probabilities are known
	@$(BIN)/python -m cruijff_kit.cli.demo --calibrated $(ARGS)

test: ahead pytest latest ## check and test everything, on every set of versions, and on a Slurm where one can be had
	@if $(BIN)/python -m tests.mlx_here; then \
		$(MAKE) --no-print-directory mlx; \
	else \
		echo "NOT RUN: the tests of MLX, which is not published for this machine" >&2; \
	fi
	@if $(BIN)/python -m tests.browser.chromium --install; then \
		$(MAKE) --no-print-directory in-browser; \
	else \
		$(call not_run,the pages in a real browser,Everything else before this has passed. Run them on a machine with Chromium:,pages); \
	fi
	@if $(BIN)/python -m tests.slurm.cluster check --install; then \
		$(MAKE) --no-print-directory on-slurm; \
	else \
		$(call not_run,the tests on a real Slurm,Everything else has passed. Run them on a machine that has Slurm:,test-slurm); \
	fi

# What is fetched and unpacked waits more than it computes, so the checks run beside it.
ahead: $(READY)
	@$(MAKE) --no-print-directory -j 3 lint types $(LATEST)/.ready fetched

# Whatever cannot be had is told where it is missed.
fetched:
	@! $(BIN)/python -m tests.mlx_here || $(MAKE) --no-print-directory $(MLX)/.ready
	@$(BIN)/python -m tests.browser.chromium --install 2>/dev/null || true
	@$(BIN)/python -m tests.slurm.cluster check --install 2>/dev/null || true

lint: $(READY) ## check style, layers and formatting
	@echo "lint: ruff, formatting, layers"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "hint: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/lint-imports --no-logo

types: $(READY) ## check types
	@echo "types: pyright"
	@$(BIN)/pyright

# Many of them wait for jobs and servers, so one more than the processors of a small machine.
pytest: $(READY) ## run every test, three at a time
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal

pages: $(READY) ## drive the pages in a real Chromium, which is installed where it can be
	@$(BIN)/python -m tests.browser.chromium --install
	@$(MAKE) --no-print-directory in-browser

gallery: $(READY) ## take the README's pictures in a real Chromium: the demo's report, and the pages
	@$(BIN)/python -m tests.browser.chromium --install
	@ls demo/*/report/index.html >/dev/null 2>&1 || $(MAKE) --no-print-directory demo
	@$(BIN)/python -m tests.browser.gallery

in-browser:
	@echo "pages: a real Chromium, headless"
	@$(BIN)/python -m pytest -q -m pages tests/browser

test-slurm: $(READY) ## run what needs a real Slurm, which is started from packages
	@$(BIN)/python -m tests.slurm.cluster check --install
	@$(MAKE) --no-print-directory on-slurm

# Each file of these takes minutes, so they begin first, and nobody waits for the last of them.
LONG := $(addprefix tests/slurm/,test_nodes.py remote/test_mirror.py test_resumed.py test_kills.py)

# They wait more than they compute, so there may be more of them than processors.
on-slurm:
	@echo "slurm: a real cluster, several of them"
	@$(BIN)/python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m "slurm and not soak" $(LONG) tests/contracts tests/slurm

latest: $(LATEST)/.ready ## run what stands on libraries that move on their newest versions
	@echo "latest: the newest versions, without torchtune"
	@$(LATEST)/bin/python -m pytest -q -n 2 --dist worksteal -m "libraries and not torchtune and not once and not soak" tests/unit tests/contracts tests/integration

mlx: $(MLX)/.ready ## run what needs MLX, on the CPU where there is no Apple silicon
	@echo "mlx: training, conversion and evaluation in MLX"
	@$(MLX)/bin/python -m pytest -q -n 2 --dist worksteal -m "mlx and not soak" tests/unit tests/contracts tests/integration

prove-metal: $(MLX)/.ready ## prove on a Mac what only Apple's GPU can show
	@$(MLX)/bin/python -m tests.metal_proof

validators: $(READY) $(VALIDATORS)/.ready ## hold exported crates and data sets against others' validators
	@VALIDATORS="$(abspath $(VALIDATORS))/bin" $(BIN)/python -m pytest -q -m validators tests/validators

claude: $(READY) ## drive the real Claude Code with a scripted model, once you have fetched it
	@test -x "$(CLAUDE)" || { \
		echo "there is no Claude Code at $(CLAUDE)"; \
		echo "hint: npm install --prefix build/claude @anthropic-ai/claude-code@2.1.329 (361 MB, its maker's licence)"; \
		echo "      or name one: make claude CLAUDE=/path/to/claude"; exit 1; }
	@CLAUDE_BINARY="$(abspath $(CLAUDE))" $(BIN)/python -m pytest -q -m claude tests/claude

soak: $(READY) ## kill and restart at random points, for minutes
	@$(BIN)/python -m pytest -q -m soak

bench: $(READY) ## measure what benchmarks/README.md lists
	@set -e; for script in benchmarks/*.py; do $(BIN)/python "$$script"; done

inspect: $(READY) ## hold the MCP server against Inspector and the conformance suite (fetches Node 22 once)
	@$(BIN)/python -m tests.inspector --tools .venv-node

wheel-check: $(READY) ## install the wheel in a clean environment and import every module
	@rm -rf dist .venv-wheel
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/python -m venv .venv-wheel
	@.venv-wheel/bin/pip install -qq $(TORCH)
	@.venv-wheel/bin/pip install -qq -c constraints.txt "$$(ls dist/*.whl)[all]"
	@.venv-wheel/bin/pip check
	@cd dist && ../.venv-wheel/bin/python -I ../tests/integration/wheel_probe.py ../.venv-wheel

clean: ## remove what building and testing left, but not .venv
	@rm -rf dist build .venv-wheel .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# --- environments: each is made by its `.ready`, of these extras at these versions ---

$(READY): constraints.txt
$(READY): EXTRAS := all,dev
$(READY): SIZE := 2 GB
$(LATEST)/.ready: constraints-latest.txt
$(LATEST)/.ready: EXTRAS := train,eval,api,mcp,report,ui,tracking,test
$(LATEST)/.ready: SIZE := 2 GB
$(MLX)/.ready: constraints-mlx.txt
$(MLX)/.ready: EXTRAS := mlx,api,eval,mcp,serve,test
$(MLX)/.ready: SIZE := 1.5 GB

$(READY) $(LATEST)/.ready $(MLX)/.ready: pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "cruijff-kit needs Python 3.11 or newer; found: $$(python3 --version 2>&1)"; \
		echo "hint: install one, then run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@echo "setting up $(@D) (once, about $(SIZE), some minutes)"
	@test -x $(@D)/bin/python || "$(PYTHON)" -m venv $(@D) || { \
		echo "hint: on Debian and Ubuntu: apt install python3-venv"; rm -f $(@D)/bin/python; exit 1; }
	@$(@D)/bin/pip install -qq $(TORCH) -c $(filter constraints%,$^)
	@$(@D)/bin/pip install -qq -e ".[$(EXTRAS)]" -c $(filter constraints%,$^)
	@touch $@

# They bring no package of ours: what they look at is made in .venv.
$(VALIDATORS)/.ready: pyproject.toml $(READY)
	@echo "setting up $(@D) (once)"
	@test -x $(@D)/bin/python || "$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/pip install -qq $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["validators"])')
	@touch $@
