# The front door: `make study`, `make test`, `make bench`. README.md says what each needs and makes.

CORES ?= all
ARGS ?=
CONFIG ?= config/config.yaml
PYTHON_VERSION ?= 3.12
# Tests of one file, or of one folder whose tests share a run of Snakemake, stay together.
SIDE_BY_SIDE ?= --numprocesses auto --dist loadgroup

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help study ablations plan test test-quick test-cluster bench bench-quick chaos determinism lint \
	venv

help:
	@echo 'make study       run the default study (CORES=all); it ends by naming the report'
	@echo 'make ablations   variants of the spaces on their zoos, as docs/results/variants.md says (hours)'
	@echo 'make plan        all steps of a study (CONFIG=FILE), to be run where there is no Snakemake (docs/guides/steps.md)'
	@echo 'make test        every test (ARGS="-k name" passes options on to pytest)'
	@echo 'make test-quick  the tests that are not marked slow'
	@echo 'make test-cluster  the study on a Slurm of two nodes on this machine (root, slurm-wlm)'
	@echo 'make bench       speed of the zoo engine, the store, embedders and meshing (half an hour)'
	@echo 'make bench-quick the same in about two minutes, less exactly'
	@echo 'make chaos       a small study, killed twenty times: the same results'
	@echo 'make determinism one small study run in many ways; are all digests equal?'
	@echo 'make lint        ruff, snakefmt and snakemake --lint'
	@echo 'make venv        only create or refresh .venv'

study: venv
	snakemake --cores $(CORES)
	@echo
	@echo 'All reports, on one page: $(CURDIR)/results/report.html'

ablations: venv
	snakemake --cores $(CORES) --configfile config/variants.yaml -- all_variants
	snakemake --cores $(CORES) --configfile config/left_out.yaml -- results/left_out/unseen.md

plan: venv
	rm -rf build/packed
	python -m pip install --disable-pip-version-check --quiet --target build/packed --no-deps --no-compile \
		--only-binary=:all: --python-version $(PYTHON_VERSION) -c requirements.txt -r envs/packed.txt
	python workflow/plan.py --configfile $(CONFIG) --out build/plan.json $(ARGS)

test: venv
	python -m pytest --ignore tests/cluster $(SIDE_BY_SIDE) $(ARGS)

test-quick: venv
	python -m pytest -m 'not slow' $(SIDE_BY_SIDE) $(ARGS)

test-cluster: venv
	python -m pytest tests/cluster $(ARGS)

# One after the other, on an idle machine: each takes all of it.
bench: venv
	python -m lib.bench.zoo --out results/bench/zoo.json
	python -m lib.bench.store --out results/bench/store.json
	python -m lib.bench.embedder --out results/bench/embedder.json
	python -m lib.bench.meshing --out results/bench/meshing.json
	python -m lib.bench.dag --out results/bench/dag.json

bench-quick: venv
	python -m lib.bench.zoo --quick --out results/bench/zoo.json
	python -m lib.bench.store --quick --out results/bench/store.json
	python -m lib.bench.embedder --quick --out results/bench/embedder.json
	python -m lib.bench.meshing --quick --out results/bench/meshing.json
	python -m lib.bench.dag --quick --out results/bench/dag.json

determinism: venv
	python tests/determinism.py --write $(ARGS)

# Four kills to each study; CHAOS_SEED=n for other moments.
chaos: venv
	CHAOS_ROUNDS=20 python -m pytest -s tests/chaos/test_killed.py $(ARGS)

lint: venv
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile rules
	snakemake --lint

venv:
	@bash envs/venv.sh
