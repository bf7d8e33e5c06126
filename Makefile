# make demo   a real network queried, and a machine learned from digits: `make demo MODEL=path/to/any.bif` for your own
# make test   all tests
# make check  lint, types
# make sanitize   the kernels under sanitizers: the tests in C at all lengths of vectors, and those in Python
# make verify the sweeps of random cases at length, before a release: `make verify PIECE=2/8` for the second of eight parts
# make smoke  the wheel alone in a clean environment of each Python there is: `make smoke PYTHONS="python3.12 path/to/other"`
# make browser  a Chromium for the tests of pages, by the system's packages; without it they skip
# make docs   run the examples in the documentation and the notebooks again and write down what they print
# make site   the documentation as pages in site/, every link checked; `python -m http.server -d site` shows them
# make bench  every benchmark, each against a named peer
# make wheels wheels for Linux, macOS and Windows, on x86-64 and arm64, and the source distribution, into dist/
#
# Each target builds the virtual environment it needs; only Python >= 3.11, pip and make have to be there.

VENV ?= .venv
MODEL ?= src/tractable/examples/asia.bif
EVIDENCE ?= $(if $(findstring examples/asia.bif,$(MODEL)),asia=yes$(comma)dysp=yes)

comma := ,
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SOURCES := pyproject.toml hatch_build.py $(wildcard src/tractable/kernels/*.[ch] src/tractable/kernels/*/*.[ch])
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

PIECE ?= 1/1
PYTHONS ?= $(or $(wildcard $(HOME)/.pyenv/versions/3.1[1-9]*/bin/python),python3.11 python3.12 python3.13 python3.14)
SMOKE := build/smoke

.PHONY: demo test verify smoke check sanitize browser docs site bench wheels clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed-demo
	$(BIN)/tractable explain "$(MODEL)"
	$(BIN)/tractable query "$(MODEL)" $(if $(EVIDENCE),--evidence '$(EVIDENCE)')
	$(BIN)/python examples/digits.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist worksteal

verify: $(VENV)/.installed-test
	TRACTABLE_VERIFY=$(PIECE) $(BIN)/python -m pytest -n auto --dist worksteal -m verify \
		--hypothesis-seed=$(firstword $(subst /, ,$(PIECE)))

smoke: $(VENV)/.created
	rm -rf $(SMOKE)
	$(BIN)/python -m pip wheel -q --no-deps -w $(SMOKE) .
	@set -e; ran=; for python in $(PYTHONS); do \
		"$$python" -c '' 2>/dev/null || { echo "$$python: not on this machine"; continue; }; \
		rm -rf $(SMOKE)/env; "$$python" -m venv --without-pip $(SMOKE)/env; \
		inside=$(SMOKE)/env/$(notdir $(BIN))/python; \
		$(BIN)/python -m pip -q --python $$inside install $(SMOKE)/*.whl; \
		$$inside -W error tests/smoke.py; ran=1; \
	done; test -n "$$ran" || { echo "none of $(PYTHONS) is on this machine: name some with make smoke PYTHONS=..." >&2; exit 1; }

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		timeout 300 sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends chromium' </dev/null || \
		echo "no Chromium was installed: tests of pages in a browser will skip"

sanitize: $(VENV)/.installed-test
	$(BIN)/python tests/sanitized.py -n auto --dist worksteal

docs: $(VENV)/.installed-test
	$(BIN)/python tests/test_docs.py
	$(BIN)/python tests/test_notebooks.py

site: $(VENV)/.installed-site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build -q --strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build -q --strict -f mkdocs.zh.yml
	$(BIN)/python docs/check_site.py site

bench: $(VENV)/.installed-bench
	set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script; done

wheels: $(VENV)/.created
	$(BIN)/python -m pip install -q "hatchling>=1.24" "ziglang>=0.13"
	$(BIN)/python hatch_build.py
	$(BIN)/python -m hatchling build -t sdist -d dist

clean:
	rm -rf $(VENV) build dist site src/tractable/kernels/_kernels.*

# A Python without ensurepip (Debian's without python3-venv) cannot put pip into the environment, but its own pip can.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "tractable needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null \
	|| { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip -q --python $(BIN)/python install pip; } \
	|| { echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.installed-demo: $(VENV)/.created $(SOURCES)
	$(BIN)/python -m pip install -q -e ".[machines,sklearn]"
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created $(SOURCES)
	$(BIN)/python -m pip install -q -e ".[test]"
	@$(BIN)/python -m compileall -q src
	@touch $(VENV)/.installed-demo $@

$(VENV)/.installed-bench: $(VENV)/.created $(SOURCES)
	$(BIN)/python -m pip install -q -e ".[bench]"
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.installed-site: $(VENV)/.created $(SOURCES)
	$(BIN)/python -m pip install -q -e ".[site]"
	@touch $@
