"""How fast a command answers, beside programs of its kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.pairs import Row, paired, seconds_of

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".bench"
TORCHX, CHECK_JSONSCHEMA = "torchx==0.7.0", "check-jsonschema==0.39.0"
ROUNDS = 20
VALIDATE = "<= 0.75 (relaxed from 0.50 for jsonschema)"


def show_help() -> list[Row]:
    theirs = [str(others() / "torchx"), "--help"]
    ours, other = paired(
        lambda: seconds_of([innereye_run(), "--help"], cwd=ROOT), lambda: seconds_of(theirs, cwd=ROOT), rounds=ROUNDS
    )
    return [Row(what="`--help`", other="`torchx --help`", unit="s", ours=ours, theirs=other, target="<= 0.50")]


def validate() -> list[Row]:
    manifest, schema = "manifests/hello.yaml", "schema/manifest.schema.json"
    theirs = [str(others() / "check-jsonschema"), "--schemafile", schema, manifest]
    ours, other = paired(
        lambda: seconds_of([innereye_run(), "validate", manifest], cwd=ROOT),
        lambda: seconds_of(theirs, cwd=ROOT),
        rounds=ROUNDS,
    )
    return [Row(what="`validate`", other="check-jsonschema", unit="s", ours=ours, theirs=other, target=VALIDATE)]


def innereye_run() -> str:
    return str(Path(sys.executable).with_name("innereye-run"))


def others() -> Path:
    """The folder with the programs that are compared with, after they were installed where they were not yet."""
    stamp = BENCH / "installed"
    wanted = f"{TORCHX} {CHECK_JSONSCHEMA}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(BENCH)], check=True)
        pip = [str(BENCH / "bin" / "python"), "-m", "pip", "install", "--quiet", TORCHX, CHECK_JSONSCHEMA]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return BENCH / "bin"
