# The front door: `make study` and `make test`. README.md says what each needs and makes.

CORES ?= all
ARGS ?=

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help study test test-quick lint venv

help:
	@echo 'make study       run the default study (CORES=all); it ends by naming the report'
	@echo 'make test        every test (ARGS="-k name" passes options on to pytest)'
	@echo 'make test-quick  the tests that are not marked slow'
	@echo 'make lint        ruff, snakefmt and snakemake --lint'
	@echo 'make venv        only create or refresh .venv'

study: venv
	snakemake --cores $(CORES)
	@echo
	@echo 'All reports:               $(CURDIR)/results/report.html'
	@echo 'Multi-architecture report: $(CURDIR)/results/multiarch_report.html'

test: venv
	python -m pytest $(ARGS)

test-quick: venv
	python -m pytest -m 'not slow' $(ARGS)

lint: venv
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile rules
	snakemake --lint

venv:
	@bash envs/venv.sh
