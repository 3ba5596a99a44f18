"""Credentials stay out of what is shown and recorded, and what looks like one in a manifest is reported."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest

from innereye_runtime.diagnostics.rendering import Format, render
from innereye_runtime.errors import DataError
from innereye_runtime.manifest.loading import parse
from innereye_runtime.redaction import looks_like_secret, redacted
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.training.lifecycle.run import _Redacting

SECRET = "hush7Hush%2Bhush"
URLS = (
    f"https://a.blob.core.windows.net/c/w.ckpt?sv=2022&sig={SECRET}&se=2030",
    f"https://me:{SECRET}@host/w.ckpt",
    f"https://{SECRET}@host/w.ckpt",
    f"ftp://me:{SECRET}@host/w",
    f"https://host/x?X-Amz-Signature={SECRET}",
    f"https://host/x?a=1&amp;token={SECRET}",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}==;EndpointSuffix=x",
)


@pytest.mark.parametrize("url", URLS)
def test_credentials_are_in_no_message_record_or_log(tmp_path: Path, url: str) -> None:
    assert SECRET not in redacted(f"weights can't be downloaded from '{url}': 403")
    assert SECRET not in str(DataError(f"from {url}", hint=url)) + DataError("", hint=url).hint
    record = RunRecord(id="r", model="M", target="process")
    record.arguments = {"weights_url": {"value": [url], "origin": "manifest"}}
    record.manifest = {"container": {"args": {"weights_url": [url]}}}
    record.write(RunPaths(tmp_path))
    text = RunPaths(tmp_path).run_json.read_text()
    assert SECRET not in text and json.loads(text)["arguments"]
    line = logging.LogRecord("x", logging.ERROR, "f", 1, "downloading %s", (url,), None)
    assert SECRET not in _Redacting("%(message)s").format(line)


def test_what_holds_no_credential_is_left_as_it_is() -> None:
    for text in (
        "abfss://container@account.dfs.core.windows.net/x", "see https://host/path?page=2&sort=name", "a@b.c: d",
        "azure://account/container/path", "lr=0.1; key = 3", "git@host:repo", "https://host:8080/x",
    ):  # fmt: skip
        assert redacted(text) == text


def test_a_long_text_takes_no_time() -> None:
    started = time.monotonic()
    for text in ("a" * 1_000_000, "://" * 300_000, "?sig=" * 200_000, "https://a:" * 100_000):
        redacted(text)
    assert time.monotonic() - started < 2


MANIFEST = """\
schema: 1
container: {class: Tiny}
dataset: {id: "azure://a/c/p?sig=hush7Hush%2Bhush", local: data}
environment:
  WANDB_API_KEY: hush7Hush%2Bhush
  ENDPOINT: https://me:hush7Hush%2Bhush@host
  TOKENIZERS_PARALLELISM: "false"
  MAX_TOKEN_COUNT: "100000000"
  TOKEN_FILE: /run/secrets/token
"""


@pytest.mark.parametrize("format", ["text", "json", "github", "sarif"])
def test_a_literal_secret_in_a_manifest_is_a_warning_that_does_not_show_it(format: Format) -> None:
    found = [each for each in parse(MANIFEST.encode(), path=None, source="m.yaml").diagnostics if each.code == "W006"]
    assert [(each.span.line, each.severity) for each in found] == [(3, "warning"), (5, "warning"), (6, "warning")]
    shown = render(found, format)
    assert SECRET not in shown and "WANDB_API_KEY" in shown


@pytest.mark.parametrize(
    "value",
    ["-----BEGIN RSA PRIVATE KEY-----", "ghp_" + "a1" * 18, "AKIA" + "A1" * 8, "eyJhbGciOiJ9.eyJzdWIiOiJ9.abcdefghij"],
)
def test_known_forms_of_keys_are_noticed_under_any_name(value: str) -> None:
    assert looks_like_secret(value, "X") and not looks_like_secret("plain text", "X")


def test_the_names_of_variables_are_no_credentials() -> None:
    for text in ("https://${NAME}:${TOKEN}@host/simple", "https://$TOKEN@host/simple"):
        assert redacted(text) == text
    assert redacted("https://${NAME}:hunter2@host") == "https://***@host"
