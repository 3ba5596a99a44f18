"""The page of a comparison: readable alone, and nothing of a run can break out of it."""

from __future__ import annotations

import re
from array import array
from html.parser import HTMLParser

from innereye_runtime.report.comparison_page import comparison_page
from innereye_runtime.run.comparison import compare
from innereye_runtime.run.folder import Column

HOSTILE = "</td><script>alert(1)</script>"


def record(seed: int, loss: float, **more: object) -> dict[str, object]:
    weights = {"last": {"weights_sha256": f"{seed:064x}"}}
    metrics = {"test": {"test/loss": loss}}
    return {"state": "completed", "exit_code": 0, "seed": seed, "checkpoints": weights, "metrics": metrics, **more}


def column(values: list[float], *, per_epoch: int = 1) -> Column:
    steps = [float(step) for step in range(len(values))]
    return Column(array("d", [step // per_epoch for step in steps]), array("d", steps), array("d", values))


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


def test_runs_that_differ_are_side_by_side_with_their_curves_over_each_other() -> None:
    diff = "diff --git a/net.py b/net.py\n--- a/net.py\n+++ b/net.py\n@@ -1 +1 @@\n-a\n+b\n"
    records = {"one": record(1, 0.5), HOSTILE: record(2, 0.25, code={"diff": diff}), "three": record(3, 0.5)}
    columns = {
        "one": {"val/loss": column([3, 2, 1]), "val/dice": column([0.1, 0.2]), "lr": column([1.0])},
        HOSTILE: {"val/loss": column([5, 4, 1]), HOSTILE: column([1, 2, 3, 4], per_epoch=2)},
    }
    html = comparison_page(compare(records), columns, links={"one": "../a%20b/report.html"})
    assert "weights and metrics are different" in html
    rows = re.findall(r"<tr><td>parameters</td><td>seed</td><td>(\d)</td><td>(\d)</td><td>(\d)</td></tr>", html)
    assert rows == [("1", "2", "3")]
    assert '<a href="../a%20b/report.html">one</a>' in html
    assert "<pre>diff --git a/net.py" in html and html.count("<details>") == 1
    assert re.search(r"<td>test/loss</td><td>0.5</td><td>0.25</td><td>0.5</td>", html)
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert titles[0] == "val/loss" and len(titles) == 3, "losses first; one value alone is not a curve"
    first = html[html.index("<figure") : html.index("</figure>")]
    assert re.findall(r'<g class="series (s\d)"', first) == ["s0", "s1"], "a line of each run, in the colour of its row"
    assert ">step<" in html[html.rindex("<figure") :], "a metric that has several values in an epoch"
    tags = Tags(html).found
    assert "script" not in tags and "img" not in tags
    assert "default-src 'none'" in html


def test_equal_runs_say_so_and_a_run_without_metrics_is_no_error() -> None:
    html = comparison_page(compare({"a": record(1, 0.5), "b": record(1, 0.5)}), {"a": {}})
    assert "weights and metrics are equal" in html
    assert "None in parameters, manifest, code, packages, data and hardware." in html
    assert "Curves" not in html
