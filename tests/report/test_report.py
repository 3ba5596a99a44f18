"""report.html as a whole: one known page, one file without links, and a page for every run folder however broken."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.folders import METRICS, RECORD, whole_run, write_record

from innereye_runtime.figures import figure_files
from innereye_runtime.figures.figure_files import add_figure
from innereye_runtime.report import write_report
from innereye_runtime.run.paths import RunPaths

GOLDEN = Path(__file__).with_name("golden.html")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    figure_files._names_given.clear()
    return tmp_path


def written(paths: RunPaths) -> str:
    assert write_report(paths) == paths.report
    html = paths.report.read_text(encoding="utf-8")
    assert_whole(html)
    return html


class _Balance(HTMLParser):
    """Raises where an element is closed that is not the innermost open one."""

    void = frozenset({"meta", "img", "br", "wbr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        self.scripts += tag == "script"
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "poster", "data")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def assert_whole(html: str) -> None:
    """Elements are closed in order, nothing is fetched, and the one script is the report's own."""
    page = _Balance()
    page.feed(html)
    page.close()
    assert page.open == []
    assert page.scripts == 1
    assert all(link.startswith("data:image/") for link in page.links)
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in html


def without_style_and_script(html: str) -> str:
    """What a reader is told; the looks, and the way a version of Pillow packs a picture, may change."""
    html = re.sub(r"base64,[^\"]+", "base64,", html)
    html = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", html, flags=re.DOTALL)
    return re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-", html)


def test_the_page_of_a_known_run(root: Path) -> None:
    shown = without_style_and_script(written(whole_run(root / "2026-11-24T101530Z_HelloContainer")))
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(shown, encoding="utf-8")
    assert shown == GOLDEN.read_text(encoding="utf-8")


def test_a_smoke_run_is_named_as_such(root: Path) -> None:
    paths = whole_run(root / "run")
    assert "smoke run" not in written(paths)
    write_record(paths, {**RECORD, "smoke": True})
    assert "smoke run: two batches of each split" in written(paths)


def test_equal_folders_give_equal_reports_and_leave_nothing_else(root: Path) -> None:
    paths = whole_run(root / "run")
    before = {path for path in root.rglob("*") if path != paths.report}
    assert written(paths) == written(paths)
    assert {path for path in root.rglob("*") if path != paths.report} == before


def test_no_address_is_in_the_page_but_the_names_of_svg(root: Path) -> None:
    html = written(whole_run(root / "run"))
    assert set(re.findall(r"(?:https?:|//)[^\s\"'<>]+", re.sub(r"base64,[^\"]+", "", html))) <= {
        "http://www.w3.org/2000/svg",
    }


@pytest.mark.parametrize(
    "missing", ["run.json", "metrics.csv", "metrics.json", "figures/figures.json", "figures/roc.svg", "manifest.yaml"]
)
@pytest.mark.parametrize("how", ["missing", "empty", "broken"])
def test_a_piece_that_is_missing_or_broken_costs_that_piece_alone(root: Path, missing: str, how: str) -> None:
    paths = whole_run(root / "run")
    file = paths.root / missing
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(b"" if how == "empty" else b'\xff{"metrics": 3, "figures": [1, {"file": 2}], \x00')
    html = written(paths)
    assert html.count("<h2>") >= 3


def test_an_empty_folder_has_a_report_that_says_so(root: Path) -> None:
    html = written(RunPaths(root))
    assert "unknown" in html
    assert "run.json is missing" in html


@pytest.mark.parametrize(
    "value", [None, 3, "x", [], {}, [3], {"a": 3}, {"best": None}, {"best": {"epoch": "x"}}, {"memory_bytes": "x"}]
)
@pytest.mark.parametrize("key", sorted(RECORD))
def test_a_record_of_another_shape_is_no_failure(root: Path, key: str, value: Any) -> None:
    paths = whole_run(root / "run")
    write_record(paths, {**RECORD, key: value})
    written(paths)


def test_hostile_names_and_texts_stay_texts(root: Path) -> None:
    bad = "</script></title><script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>\"'&\x00"
    paths = whole_run(root / "run")
    with contextlib.chdir(paths.root):
        add_figure(np.eye(2), bad, bad)

    def poisoned(value: Any) -> Any:
        match value:
            case str():
                return bad
            case list():
                return [poisoned(item) for item in value]
            case dict():
                return {f"{key}{bad}" if key == "num_layers" else key: poisoned(item) for key, item in value.items()}
        return value

    write_record(paths, poisoned(copy.deepcopy(RECORD)))
    paths.metrics_json.write_text(
        json.dumps({split: {f"{name}{bad}": 1.0 for name in METRICS[split]} for split in METRICS})
    )
    quoted = bad.replace('"', '""')
    paths.metrics_csv.write_text(f'epoch,step,"{quoted}"\n0,0,1\n1,1,2\n')
    paths.manifest.write_text(bad)
    paths.console_log.write_text(bad)
    html = written(paths)
    assert "<script>alert" not in html
    assert "onerror=alert(1)&gt;" in html


def test_an_index_of_pictures_does_not_lead_out_of_its_folder(root: Path) -> None:
    paths = whole_run(root / "run")
    (root / "secret.png").write_bytes(b"secret")
    index = paths.figures / "figures.json"
    index.write_text(json.dumps({"schema": 1, "figures": [{"file": "../../secret.png", "title": "x"}]}))
    assert "c2VjcmV0" not in written(paths)


def test_a_failed_run_shows_its_reason_and_the_end_of_its_console(root: Path) -> None:
    paths = whole_run(root / "run")
    write_record(paths, {**RECORD, "state": "failed", "exit_code": 1, "reason": "out of memory <12 GiB>"})
    lines = [f"line {number}" for number in range(200)]
    paths.console_log.write_text("\n".join([*lines, "10%\r 50%\r\x1b[31m100%\x1b[0m\r", "the end"]) + "\n")
    html = written(paths)
    assert "out of memory &lt;12 GiB&gt;" in html
    assert "exit code 1" in html
    assert "line 142\nline 143" in html
    assert "line 141\n" not in html
    assert "line 199\n100%\nthe end</span>" in html


def test_a_failed_run_opens_with_the_command_that_resumes_it_and_its_last_metrics(root: Path) -> None:
    paths = whole_run(root / "outputs" / "run")
    write_record(paths, {**RECORD, "state": "interrupted", "exit_code": 130, "reason": "Ctrl-C"})
    html = written(paths)
    before, _, after = html.partition("innereye-run resume outputs/run")
    assert "Ctrl-C" in before and "<h2>" not in before
    assert "Last metrics in epoch 4: train/Loss 0.125 · val/Loss 0.3 · val_accuracy 0.9375" in after


def test_train_and_val_of_the_tested_checkpoint_stand_beside_the_test(root: Path) -> None:
    html = written(whole_run(root / "run"))
    table = html[html.index('<table class="metrics">') : html.index("</table>")]
    assert re.findall(r'colspan="(\d)">([^<]+)', table) == [("3", "best checkpoint, epoch 3"), ("2", "last epoch, 4")]
    loss = table[table.index("Loss") :]
    assert re.findall(r'title="([\d.]+)"', loss)[:5] == ["0.25", "0.25", "0.28125", "0.125", "0.3"]


def test_where_the_last_epoch_is_the_best_it_stands_once(root: Path) -> None:
    paths = whole_run(root / "run")
    record = copy.deepcopy(RECORD)
    record["checkpoints"]["best"]["epoch"] = 3
    write_record(paths, record)
    assert "best checkpoint, epoch" not in written(paths)


def test_structures_by_metrics_are_one_table_with_their_mean(root: Path) -> None:
    paths = whole_run(root / "run")
    values: dict[str, float | None] = {
        f"test/{s}/{m}": n / 8 for n, s in enumerate(("heart", "lung", "liver")) for m in ("dice", "hd")
    }
    paths.metrics_json.write_text(
        json.dumps({"train": {"loss": 1}, "val": {}, "test": {**values, "test/liver/hd": None}})
    )
    html = written(paths)
    table = html[html.index("<h3>test") : html.index("</table>", html.index("<h3>test"))]
    assert re.findall(r'scope="row">(\w+)</th>', table) == ["heart", "lung", "liver", "mean"]
    assert "not finite" in table
    assert re.findall(r">([\d.]+)</td>", table)[-2:] == ["0.125", "0.0625"]


def test_learning_rate_and_speed_have_curves_of_their_own(root: Path) -> None:
    paths = whole_run(root / "run")
    paths.training_csv.write_text(
        "epoch,step,learning_rate,steps_per_second,gpu_memory_gb,seconds,gpu_load_percent\n"
        "0,4,0.1,50,,1,88.5\n1,8,0.05,60,,2,91\n"
    )
    section = written(paths).split("<h2>Training</h2>")[1].split("</section>")[0]
    assert re.findall(r"<figcaption>([^<]+)", section) == ["learning rate", "steps per second", "gpu load percent"]


def test_a_completed_run_does_not_show_its_console(root: Path) -> None:
    assert "all went well" not in written(whole_run(root / "run"))


def test_a_long_table_is_thinned_with_its_extremes_and_says_so(root: Path) -> None:
    paths = whole_run(root / "run")
    random.seed(3)
    values = [random.random() for _ in range(100_000)]
    values[77_777], values[5] = 9.25, -7.5
    rows = "".join(f"{step // 1000},{step},{value}\n" for step, value in enumerate(values))
    paths.metrics_csv.write_text(f"epoch,step,grad_norm\n{rows}")
    html = written(paths)
    assert "77777,9.25" in html
    assert "5,-7.5" in html
    assert re.search(r"[678]\d\d of 100,000 points", html)
    assert len(html) < 120_000


def test_pictures_beyond_the_limit_are_named(root: Path) -> None:
    paths = whole_run(root / "run")
    (paths.figures / "confusion.png").write_bytes(b"\x89PNG" + bytes(25 * 1024 * 1024))
    html = written(paths)
    assert "figures/confusion.png" in html
    assert len(html) < 100_000


def test_the_report_needs_no_torch() -> None:
    script = (
        "import sys, innereye_runtime.report\nassert not {'torch', 'numpy', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
