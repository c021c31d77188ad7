# Everything runs in a virtual environment of its own, .venv, which `make clean` removes.
PYTHON ?= python3

.PHONY: demo test lint types unit coverage docs wheel bench clean

demo: .venv/demo.stamp
	.venv/bin/python examples/quickstart.py

test: lint types unit docs wheel

.venv/demo.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --constraint constraints.txt --editable '.[demo]'
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --constraint constraints.txt --editable '.[test]'
	@touch $@

.venv/docs.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --constraint constraints.txt --editable '.[docs]'
	@touch $@

lint: .venv/test.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/test.stamp .venv/docs.stamp
	.venv/bin/mypy

unit: .venv/test.stamp
	.venv/bin/pytest --numprocesses 3 --dist loadfile

coverage: .venv/test.stamp
	.venv/bin/pytest --numprocesses 3 --dist loadfile --cov --cov-report=term

docs: .venv/docs.stamp
	rm -rf docs/_build
	.venv/bin/sphinx-build -W --keep-going --quiet docs docs/_build

bench: .venv/test.stamp
	.venv/bin/python benchmarks/bench.py

wheel: .venv/test.stamp
	rm -rf dist .venv/fresh
	.venv/bin/python -m build --wheel
	$(PYTHON) -m venv .venv/fresh
	.venv/fresh/bin/pip install --constraint constraints.txt dist/*.whl
	.venv/fresh/bin/python .ci/installed.py

clean:
	rm -rf .venv dist docs/_build
