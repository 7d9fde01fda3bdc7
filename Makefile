# Everything starts from a machine with make and a Python from 3.11 to 3.13.
#   make quickstart   install, build the synthetic data set, train, evaluate, report
#   make test         install if needed, run the tests
#   make help         the rest
# Variables: PYTHON=/path/to/python3.12, ACCELERATOR=cuda12 or tpu, WORKERS=2 (processes of tests),
#   PYTEST_ARGS='-k loop -x'.

ACCELERATOR ?= cpu
PYTHON ?=
PYTEST_ARGS ?=
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(ACCELERATOR)
comma := ,

# Where it is set, every process would compile jax and flax to bytecode anew, 10 s of its time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev quickstart test lint format types bench constraints results clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# uv installs in 3 s what takes pip 50 s; pip is the way out where only pip.conf knows the mirror.
define install
$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[$(1)]' \
  || $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(1)]'
endef

SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

$(BIN)/uv:
	@for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if "$$candidate" -c '$(SUPPORTED)' 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'No Python 3.11, 3.12 or 3.13 with the venv module was found: install one (on Debian' \
	    'and Ubuntu: apt install python3-venv) or name one with make PYTHON=/path/to/python3.' >&2; \
	  exit 1; \
	fi; \
	echo "Creating $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/uv
	@echo 'Installing lesionjax[$(ACCELERATOR)] into $(VENV)'
	@$(call install,$(ACCELERATOR))
	@touch $@

$(INSTALLED)-dev: pyproject.toml constraints.txt | $(BIN)/uv
	@echo 'Installing lesionjax[$(ACCELERATOR),dev] into $(VENV)'
	@$(call install,$(ACCELERATOR)$(comma)dev)
	@touch $@ $(INSTALLED)

install: $(INSTALLED)  ## create .venv and install the training stack
install-dev: $(INSTALLED)-dev  ## the same with tests, linter and type checker

quickstart: install  ## from a clone to runs/quickstart/report.html
	@$(BIN)/python -m data_builders.build synthetic_dermoscopy --data_dir=data
	@$(BIN)/python main.py --config=configs/quickstart.py --workdir=runs/quickstart

test: install-dev  ## all tests (PYTEST_ARGS='-k loop -x')
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: install-dev  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: install-dev  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: install-dev  ## pyright
	@$(BIN)/pyright

bench: install  ## ours against PyTorch (needs the extra: pip install -e '.[bench]')
	@$(BIN)/python -m benchmarks.train_step --model=resnet18 --size=64 --batch=64
	@$(BIN)/python -m benchmarks.input_pipeline

# apache-beam is left out of the one resolve: it holds numpy below 2.5, protobuf below 7 and
# pyarrow below 26, and would hold everybody else there too.
constraints: install-dev  ## resolve constraints.txt anew, for every supported Python
	@$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	  --extra cpu --extra cuda12 --extra tpu --extra gcs --extra tensorboard --extra tf \
	  --extra bench --extra dev --no-emit-index-url --no-annotate --custom-compile-command 'make constraints' \
	  -o constraints.txt

results: install  ## write the tables of docs/results.md and README.md from docs/results/*.json and docs/benchmarks
	@$(BIN)/python -m lesionjax.report.results table
	@$(BIN)/python -m lesionjax.report.model_table

clean:  ## remove caches and build output (data, runs and .venv stay)
	@rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
