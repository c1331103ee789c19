# Two environments: .venv runs, exports and reports (no torch); .venv-dev has everything that tests and training need.
PYTHON ?= python3
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --no-compile
DEMO = out/demo

.PHONY: help demo test test-targets lint format bench report soak clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/complete: pyproject.toml
	@echo "making .venv (under 1 GB, no torch) ..." >&2
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) -e '.[openvino,export,report]'
	@touch $@

.venv-dev/complete: pyproject.toml
	@echo "making .venv-dev (3 GB, with torch) ..." >&2
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP_INSTALL) -e '.[dev]'
	@# xdsl, which litert-torch needs, asks for older typing-extensions than model-signing does, and works with the newer.
	.venv-dev/bin/python $(PIP_INSTALL) --no-deps litert-torch==0.10.0 litert-converter==0.5.0 xdsl==0.28.0
	@touch $@

demo: .venv/complete ## a hazy picture in, a clear one out, with a report: everything in out/demo
	.venv/bin/python -m edge.demo --out $(DEMO)

test: .venv-dev/complete ## every test that needs no board
	.venv-dev/bin/python -m pytest -q -n 2 --dist loadgroup

# make test-targets SKIP="npu camera" leaves those out; downloads are kept in ~/.cache/draco-edge/boards.
test-targets: .venv-dev/complete ## prove the targets against real compilers, a Raspberry Pi's userland and camera stack
	.venv-dev/bin/python -m tests.boards $(addprefix --skip ,$(SKIP))

lint: .venv-dev/complete ## ruff and mypy
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: .venv-dev/complete ## let ruff mend what it can
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

bench: .venv-dev/complete ## the project's own speed figures: edge model against AOD-Net and the full model
	.venv-dev/bin/python -m benchmarks.peers --out out/benchmarks

report: .venv/complete ## the project's own report and the README's table; DATA=DIR scores on these pairs (5 minutes)
	.venv/bin/python -m benchmarks.report $(if $(DATA),--data $(DATA)) --readme README.md

soak: .venv-dev/complete ## a stream of 200,000 frames while everything that can break breaks (20 minutes)
	.venv-dev/bin/python -m edge.export --target openvino --precision int8 --out out/soak/bundle
	.venv-dev/bin/python -m benchmarks.soak --bundle out/soak/bundle --out out/soak/soak.json

clean: ## remove environments and everything made
	rm -rf .venv .venv-dev out
