# run: three continuations of a sentence   lab: your copy of the lessons in the browser (LESSON=03_generate)
# check: lint, types and the quick tests, for each save   test: all but the rare and long (test-all), the real vLLM (test-server)
# and the long comparison of the site (test-exact)
# lessons: build lessons/*.py into notebooks (LESSONS="03_generate" for one)   lint, format: ruff
# wheels: all that is installed, as files for machines without a network; there: make run WHEELS=folder
# bench: every speed and memory figure we state (an hour; BENCH="--runs 1 --shapes aozora-mini" for a quick look)
# serve: one model for a class, by vLLM (MODEL=rinna/japanese-gpt-1b HOST=this machine's address PORT=8000; docs/class-server.md)
# class: the same, with the site for tablets beside it   test-server: what needs the real vLLM (10 minutes)
# compat: the tests on the newest and on the lowest versions (TORCH=2.13.0 fixes torch, VERSION=3.13 takes that Python), a table in docs/compat.md

PYTHON ?= python3
# Relative on purpose: the checkout may lie in a folder whose name has spaces or kanji.
PY := .venv/bin/python
export PYTHONUTF8 := 1
# With a folder of wheels nothing else is asked.
OFFLINE := $(if $(filter wheels,$(MAKECMDGOALS)),,$(WHEELS))
SOURCE := $(if $(OFFLINE),--no-index --find-links "$(OFFLINE)")

.PHONY: run lab check test test-all test-exact lessons kit lint format wheels compat bench serve class test-server site site-serve

run: .venv/installed
	@$(PY) -m helpers.generate
	@printf '\n%s\n%s\n' 'レッスンを開くには: make lab' 'To open the lessons: make lab'

lab: .venv/installed
	$(PY) -m helpers.open $(LESSON)

check: .venv/test-installed
	$(PY) -m tools.tests check

test: .venv/test-installed .venv-colab/installed site/node_modules/.package-lock.json
	$(PY) -m tools.tests test

test-all: test
	$(PY) -m tools.tests test-all

test-exact: .venv/test-installed site/node_modules/.package-lock.json
	$(PY) -m pytest -m exact

lessons: .venv/test-installed
	$(PY) -m tools.build_lessons $(LESSONS)

# The teacher's handouts, docs/teaching/README.md; the slides need Node.
kit: .venv/test-installed
	$(PY) -m tools.browser
	$(PY) -m tools.teaching

bench: .venv/test-installed
	$(PY) -m benchmarks $(BENCH)

lint: .venv/test-installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: .venv/test-installed
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# The wheels for this system, or for PLATFORM=windows or macos and PYTHON_VERSION=3.13.
wheels: $(if $(PLATFORM),.venv/test-installed,.venv/installed)
	$(PY) -m tools.wheels "$(or $(WHEELS),wheels)" \
		$(if $(PLATFORM),--platform $(PLATFORM)) $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION))

compat: .venv/test-installed
	$(PY) -m tools.compat $(if $(TORCH),--torch $(TORCH)) $(if $(VERSION),--python $(VERSION)) $(TESTS)

.venv/installed: requirements.txt constraints.txt
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv
	@# Lesson 04 wants CTranslate2, and there may be no network by then.
	@$(PY) -m tools.project ctranslate2 > .venv/extra-requirements.txt
	$(PY) -m pip install --disable-pip-version-check $(SOURCE) -c constraints.txt -r requirements.txt -r .venv/extra-requirements.txt
	@# A notebook of these lessons finds them from any working directory.
	@$(PY) -c 'import os, sysconfig; site = sysconfig.get_path("purelib"); open(os.path.join(site, "yukiguni.pth"), "w").write(os.path.relpath(".", site) + "\n")'
	@touch $@

.venv/test-installed: .venv/installed pyproject.toml
	$(PY) -m tools.project ctranslate2 test > .venv/test-requirements.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -r .venv/test-requirements.txt
	@touch $@

.venv-colab/installed: .venv/test-installed tests/data/colab-versions.txt tools/colab_environment.py
	$(PY) -m tools.colab_environment
	@touch $@

SERVE = .venv-server/bin/python -m tools.serve $(MODEL) $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(if $(PUPIL),--pupil $(PUPIL))

serve: .venv-server/installed
	$(SERVE) $(if $(VLLM),--vllm="$(VLLM)")

class: .venv-server/installed site
	$(SERVE) --site build/site $(if $(VLLM),--vllm="$(VLLM)")

test-server: .venv/test-installed .venv-server/installed site/node_modules/.package-lock.json
	$(PY) -m tools.browser
	$(PY) -m pytest -m server

.venv-server/installed: constraints-server.txt tools/server_environment.py
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m tools.server_environment
	@touch $@

# The site: the lab in any browser, and the lessons as pages. Node builds it: https://nodejs.org, 20 or newer.
site: .venv/test-installed site/node_modules/.package-lock.json
	$(PY) -m tools.site

site-serve: site
	$(PY) -m tools.site --serve

site/node_modules/.package-lock.json: site/package-lock.json
	npm ci --prefix site --no-audit --no-fund
