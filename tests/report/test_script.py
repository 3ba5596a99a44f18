"""What the report's script does in a browser: switches of the legend, logarithmic axis, smoothing, epochs or
steps or time across, values at a key."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

from innereye_runtime.report import write_report
from innereye_runtime.run.paths import RunPaths

PROBE = """<script>
const figure = document.querySelector("figure.chart"), svg = figure.querySelector("svg"), out = [];
const buttons = figure.querySelectorAll(".legend button"), form = document.querySelector("form.tools");
const state = (what) => out.push([what, svg.dataset.y, figure.querySelectorAll('.series[visibility="hidden"]').length,
  [...svg.querySelectorAll("text.y-tick")].map((text) => text.textContent),
  svg.querySelector(".line").getAttribute("d").split("L").map((pair) => +pair.split(" ")[1])]);
const input = () => form.dispatchEvent(new Event("input"));
state("at rest");
buttons[2].click(); state("one off"); buttons[2].click(); state("on again");
buttons[0].dispatchEvent(new MouseEvent("click", { detail: 2 })); state("alone");
buttons[0].dispatchEvent(new MouseEvent("click", { detail: 2 })); state("all");
form.elements.log.checked = true; input(); state("log");
form.elements.log.checked = false; form.elements.smooth.value = 0.9; input(); state("smooth");
form.elements.smooth.value = 0; input(); state("as it was");
const across = (unit) => {
  form.elements.axis.value = unit; input();
  return [svg.dataset.x, svg.querySelector(".x-label").textContent, figure.querySelectorAll(".x-tick").length,
    [...svg.querySelectorAll(".x-tick")].at(-1).textContent, svg.querySelector(".line").getAttribute("d"),
    svg.querySelector(".marked path").getBoundingClientRect().x - svg.getBoundingClientRect().x];
};
const axes = Object.fromEntries(["", "step", "time", "epoch"].map((unit) => [unit, across(unit)]));
svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
const pre = document.createElement("pre");
pre.id = "out";
pre.textContent = JSON.stringify({ states: out, axes, readout: figure.querySelector(".readout").textContent,
  hidden: form.hidden, pressed: [...buttons].map((each) => each.getAttribute("aria-pressed")) });
document.body.append(pre);
</script></body>"""


def test_the_script_does_what_its_switches_say(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("chromium")
    rows = "".join(f"{e},{e},{math.exp(-e / 4)},{0.5 + e % 2},{40 + e}\n" for e in range(12))
    (tmp_path / "metrics.csv").write_text(f"epoch,step,val/heart/hd,val/lung/hd,val/liver/hd\n{rows}")
    (tmp_path / "logs").mkdir()  # epochs of 10 steps; the second half of them takes three times as long
    seconds = "".join(f"{e},{10 * (e + 1)},{30 * (e + 1) + max(0, e - 5) * 60}\n" for e in range(12))
    (tmp_path / "logs" / "training.csv").write_text(f"epoch,step,seconds\n{seconds}")
    (tmp_path / "run.json").write_text(json.dumps({"state": "completed", "checkpoints": {"best": {"epoch": 5}}}))
    html = write_report(RunPaths(tmp_path)).read_text()
    # The policy lets no script run but the report's own: this copy has the probe in place of the policy.
    page = tmp_path / "probe.html"
    page.write_text(re.sub(r"<meta http-equiv[^>]*>", "", html).replace("</body>", PROBE))
    command = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    dom = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(unescape(dom.split('<pre id="out">')[1].split("</pre>")[0]))
    states = {what: rest for what, *rest in found["states"]}
    limits = {what: [float(limit) for limit in rest[0].split()[:2]] for what, rest in states.items()}
    assert states["at rest"] == states["on again"] == states["all"] == states["as it was"]
    assert limits["at rest"] == [0, 60] and states["one off"][1] == 1 and limits["one off"] == [0, 1.5]
    assert states["alone"][1] == 2 and limits["alone"] == [0, 1]
    assert states["log"][0].endswith(" log") and limits["log"] == [0.01, 100]
    assert states["log"][2] == ["0.01", "0.1", "1", "10", "100"]
    heights = states["smooth"][3]
    assert heights == sorted(heights) and heights[-1] < states["as it was"][3][-1]
    assert found["readout"].startswith("epoch 1 · heart 1 · lung 0.5 · liver 40")
    axes = found["axes"]
    assert axes[""] == axes["epoch"] and axes[""][0].startswith("1 12 ") and axes[""][1] == "epoch"
    assert axes["step"][0].startswith("9 119 ") and axes["step"][1] == "step" and axes["step"][3] == "100"
    assert axes["time"][0].startswith("0.5 12 ") and axes["time"][1] == "time (min)"
    # Equal epochs have equal places by step; by time the best one, the sixth, is at 3 of 12 minutes.
    assert axes["step"][4] == axes[""][4] and abs(axes["step"][5] - axes[""][5]) < 1
    assert axes["time"][5] < axes[""][5] * 0.7
    assert found["hidden"] is False and found["pressed"] == ["true"] * 3
