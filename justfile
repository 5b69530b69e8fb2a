# `just` lists what can be done. Everything runs in .venv, installed from requirements.lock with its hashes.

python := ".venv/bin/python"

_default:
    @just --list

# Makes .venv and installs the pinned dependencies and Turnout itself.
install:
    @test -x {{ python }} || uv venv --quiet --python ">=3.11" .venv
    @uv pip install --quiet --python .venv --require-hashes --requirements requirements.lock
    @uv pip install --quiet --python .venv --no-deps --editable .

# Serves a tiny real model, embedded: nothing else is needed.
demo *options: install
    .venv/bin/turnout demo {{ options }}

# Serves what turnout.yaml says, or what runs on this machine.
serve *options: install
    .venv/bin/turnout serve {{ options }}

# Lint, format, types, and who may import whom.
check: install
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/basedpyright
    .venv/bin/lint-imports --no-cache

# Everything that CI runs: check, then all tests.
test *options: check
    {{ python }} -m pytest {{ options }}

# Mends what can be mended by itself.
fix: install
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# All tests with branch coverage.
cover: install
    .venv/bin/coverage erase
    .venv/bin/coverage run -m pytest
    .venv/bin/coverage combine --quiet
    .venv/bin/coverage report

# CPU per request and per chunk against a bare relay; `just bench --quick W2`, `--peer COMMAND`.
bench *options: install
    {{ python }} -m bench {{ options }}

# 20,000 requests of all kinds, backends that fail at random; `just soak --short` takes 20 s.
soak *options: install
    {{ python }} -m bench.soak {{ options }}

# The queue against simpler ones on a simulated fleet; `--write` puts the table into router/admission/README.md.
simulate *options: install
    {{ python }} -m bench.simulate {{ options }}

# Writes what is generated: config/README.md and the schema from the settings, docs/clients.md from router/connect.
docs: install
    {{ python }} -m router.config_docs --write
    {{ python }} -m router.connect

# Tries every feature over every kind of backend and writes the table in README.md.
conformance: install
    {{ python }} -m pytest -p tests.sdk.publishing tests/sdk/test_features.py

# Tries every client that is installed over every kind of backend and writes the table in README.md.
works-with: install
    TURNOUT_EVERY_SCENE=1 {{ python }} -m pytest -p tests.clients.publishing tests/clients/test_clients.py

# Looks longer for a body or an answer that breaks the router: so many tries for each kind of backend.
fuzz tries="20000": install
    TURNOUT_FUZZ_EXAMPLES={{ tries }} {{ python }} -m pytest tests/fuzz --timeout 3600 --show-capture no

# Installs the clients that CI drives, beside our own packages.
clients: (_python-clients "tests/clients/python") (_node-clients "tests/sdk/node" "--ignore-scripts") \
        (_node-clients "tests/clients/node" "--ignore-scripts")

# Installs the other clients too: those that are large or slow to start.
clients-all: clients (_python-clients "tests/clients/python-openai2") (_python-clients "tests/clients/python-openai3") \
        (_python-clients "tests/clients/python-aider" ">=3.11,<3.13") (_node-clients "tests/clients/node_all") \
        (_python-clients "tests/clients/python-vibe" ">=3.12")

_python-clients folder version=">=3.11":
    @test -x {{ folder }}/.venv/bin/python || uv venv --quiet --python "{{ version }}" {{ folder }}/.venv
    @uv pip sync --quiet --no-config --python {{ folder }}/.venv --require-hashes {{ folder }}/requirements.txt

_node-clients folder *options:
    @if command -v npm >/dev/null; then \
        cd {{ folder }} && npm install --no-audit --no-fund --no-package-lock --loglevel error {{ options }}; \
        else echo "there is no npm: clients for Node.js are left out" >&2; fi

# Pins what tests/clients/*/requirements.in ask for, with hashes and without addresses.
clients-lock: (_lock-clients "tests/clients/python") (_lock-clients "tests/clients/python-openai2") \
        (_lock-clients "tests/clients/python-openai3") (_lock-clients "tests/clients/python-aider") \
        (_lock-clients "tests/clients/python-vibe" "3.12")

_lock-clients folder version="3.11":
    @uv pip compile --quiet --no-config --universal --python-version {{ version }} --generate-hashes --no-annotate --no-header \
        --no-emit-index-url {{ folder }}/requirements.in --output-file {{ folder }}/requirements.txt

# Pins the newest versions that pyproject.toml allows, with hashes and without addresses.
lock:
    uv lock --upgrade
    uv export --quiet --all-extras --no-emit-project --no-annotate --no-header --prune llm --prune llama-cpp-python --output-file requirements.lock
