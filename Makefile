# run: three continuations of a sentence   lab: the lessons in the browser   test: every test
# lessons: build lessons/*.py into notebooks (LESSONS="03_generate" for one)   lint, format: ruff

PYTHON ?= python3
# Relative on purpose: the checkout may lie in a folder whose name has spaces or kanji.
PY := .venv/bin/python
export PYTHONUTF8 := 1

.PHONY: run lab test lessons lint format

run: .venv/installed
	@$(PY) -m helpers.generate
	@printf '\n%s\n%s\n' 'レッスンを開くには: make lab' 'To open the lessons: make lab'

lab: .venv/installed
	$(PY) -m jupyterlab --ServerApp.root_dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

test: .venv/test-installed
	$(PY) -m tools.browser
	$(PY) -m pytest

lessons: .venv/test-installed
	$(PY) -m tools.build_lessons $(LESSONS)

lint: .venv/test-installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: .venv/test-installed
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.venv/installed: requirements.txt constraints.txt
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -r requirements.txt
	@touch $@

.venv/test-installed: .venv/installed pyproject.toml
	$(PY) -m tools.project fast test > .venv/test-requirements.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -r .venv/test-requirements.txt
	@touch $@
