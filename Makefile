# Everything a reader or a writer does with this book. Needs Python 3.11 or newer, and make.
# The first run installs into .venv and needs the network; after that all but `make lint` works without.
# Where pip would fetch a CUDA build of torch that is not wanted, put PIP_EXTRA_INDEX_URL=... in front,
# with the address of PyTorch's CPU wheels.

PYTHON ?= python3
PORT ?= 8000
NOTEBOOKS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
SITE := _build/html
BUILT := $(SITE)/.built
LOG := _build/book.log
SOURCES := _config.yml _toc.yml $(shell find book mialab -type f ! -path '*/__pycache__/*' ! -path '*/.ipynb_checkpoints/*')
BENCHMARKS := $(wildcard tests/benchmarks/bench_*.py)
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=600 -o addopts= -o filterwarnings=

# Progress bars write to stderr, which fails the build on purpose.
export TQDM_DISABLE := 1
# On a busy machine two threads that wait for each other are far slower than one. (Benchmarks set their own.)
export OMP_NUM_THREADS ?= 1

.PHONY: help book serve test lint bench clean-notebooks

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' Makefile

book: $(BUILT)  ## Run every notebook and build the site
	@echo "Open $(CURDIR)/$(SITE)/book/index.html, or run: make serve"

serve: $(BUILT)  ## Show the site in a browser
	@echo "http://127.0.0.1:$(PORT)/book/index.html   (Ctrl+C stops it)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

test: $(BUILT)  ## Run all the tests: the package, the pages, every notebook's verdicts
	@echo "Testing the package, the book and its pages"
	@$(BIN)/python -m pytest
	@echo "Running every notebook again and comparing its verdicts"
	@$(BIN)/python -m pytest $(NBVAL) book

lint: $(INSTALLED)  ## Check style and types (the first run fetches the type checker)
	@echo "Checking style"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "Checking types"
	@$(BIN)/pyright

bench: $(INSTALLED)  ## Measure speed, and print tables
	@test -n "$(BENCHMARKS)" || echo "There is no tests/benchmarks/bench_*.py"
	@for bench in $(BENCHMARKS); do echo "$$bench"; $(BIN)/python "$$bench" || exit 1; done

clean-notebooks: $(INSTALLED)  ## Run and strip the notebooks, or NOTEBOOKS="…", before a commit
	@$(BIN)/python book/_tools/notebooks.py clean $(NOTEBOOKS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/it")'
	@test -x $(BIN)/pip || { echo "Making .venv"; $(PYTHON) -m venv .venv; }
	@echo "Installing the package and its tools into .venv (once; a minute or more)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[book,test]"
	@touch $@

$(BUILT): $(INSTALLED) $(SOURCES)
	@echo "Removing the old build"
	@rm -rf $(SITE) _build/.doctrees _build/jupyter_execute
	@mkdir -p _build
	@echo "Running every notebook and building the pages (log: $(LOG))"
	@$(BIN)/jupyter-book build . -W -n --keep-going > $(LOG) 2>&1 || { cat $(LOG); exit 1; }
	@$(BIN)/python book/_tools/pages.py
	@touch $@
