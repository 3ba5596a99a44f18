"""The files of a new project that are no Python."""

from __future__ import annotations

from typing import Final

SCHEMA_FILE: Final = ".innereye/manifest.schema.json"
HEAD: Final = f"# yaml-language-server: $schema={SCHEMA_FILE}\nschema: 1\n"
TAIL: Final = """\
trainer: {num_epochs: 5}
compute:
  target: process     # docker: the same in a container; azureml: in Azure Machine Learning
"""
PYPROJECT: Final = """\
[project]
name = "NAME"
version = "0.1.0"
requires-python = ">=3.11"
"""
REQUIREMENTS: Final = """\
# What the code of this project imports beside the runtime goes here, too.
innereye-runtime[train]
"""
IGNORED: Final = """\
outputs/
.venv/
__pycache__/
.pytest_cache/
"""
WORKFLOW: Final = """\
name: test
on:
  push: {branches: [main]}
  pull_request:
permissions: {contents: read}
jobs:
  smoke:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.11", cache: pip, cache-dependency-path: requirements.txt}
      - run: pip install -r requirements.txt pytest
      - run: innereye-run validate --format github manifest.yaml
      - run: python -m pytest tests
"""
