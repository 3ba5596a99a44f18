"""Makes docs/images/report.png, and in docs/images/reports the reports of docs/explanation/report.md: each wide and
narrow, light and dark.

    python docs/screenshots.py        # needs Chromium (or its path in CHROMIUM), and the extras train and docs

Everything is trained anew, so that the pictures are those of today's reports.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
README_SIZE = (860, 1196)
HEIGHT = 1500
"""Of the pictures in docs/images/reports, in pixels."""
LARGEST_BYTES = 300_000
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DARK, LIGHT = 0, 1
"""Of Chromium's setting preferredColorScheme."""
MANIFEST = """schema: 1
model: {{class: docs.gallery:{model}, args: {{{arguments}}}}}
data: {{class: docs.gallery:Data}}
trainer: {{num_epochs: {epochs}}}
"""
SEARCH = """schema: 1
container: {class: HelloContainer}
dataset: {id: hello, local: data/hello}
trainer: {num_epochs: 3}
sweep:
  search_space:
    l_rate: {type: loguniform, min_value: 1e-4, max_value: 1e-1}
    num_layers: {type: choice, values: [1, 2, 4]}
    optimizer_type: {type: choice, values: [Adam, SGD, RMSprop]}
  sampling_algorithm: random
  objective: {goal: minimize, primary_metric: val/loss}
  limits: {max_total_trials: 30}
"""
RUNS = {
    "segmentation": ("HeadAndNeck", "", 30),
    "many-metrics": ("ManyMetrics", "", 200),
    "failed": ("Line", "fails_at: 12", 30),
    "interrupted": ("Line", "stops_at: 12", 30),
}
"""The model, its arguments and the number of epochs."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("manifests", "data"):
            shutil.copytree(ROOT / name, project / name)
        (project / "docs").mkdir()
        shutil.copy(ROOT / "docs" / "gallery.py", project / "docs")
        hello = run(project, "manifests/hello.yaml")
        photograph(hello, IMAGES / "report.png", README_SIZE, LIGHT)
        take_all(hello, "hello")
        take_all(run(project, "manifests/sweep.yaml"), "sweep")
        (project / "search.yaml").write_text(SEARCH)
        take_all(run(project, "search.yaml"), "search")
        for name, (model, arguments, epochs) in RUNS.items():
            manifest = MANIFEST.format(model=model, arguments=arguments, epochs=epochs)
            (project / f"{name}.yaml").write_text(manifest)
            report = run(project, f"{name}.yaml")
            take_all(report, name)
        take_all(run(project, "resume", str(report.parent)), "resumed")


def run(project: Path, *words: str) -> Path:
    """The report of the run that the words start or resume."""
    command = [str(Path(sys.executable).with_name("innereye-run")), *words]
    done = subprocess.run(command, cwd=project, check=False, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.splitlines()[-1]) / "report.html"


def take_all(report: Path, name: str) -> None:
    for width in (1280, 390):
        for theme, scheme in (("light", LIGHT), ("dark", DARK)):
            photograph(report, IMAGES / "reports" / f"{name}-{width}-{theme}.png", (width, HEIGHT), scheme)


def photograph(report: Path, to: Path, size: tuple[int, int], scheme: int) -> None:
    """The upper part of the page, without the provenance, which has paths of this machine.

    A window has a least width, so that the page is shown in a frame.
    """
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("docs/screenshots.py: Chromium is not installed; name it in the variable CHROMIUM")
    width, height = size
    page, frame = report.with_name("page.html"), report.with_name("frame.html")
    page.write_text(re.sub(r"<section><h2>Provenance</h2>.*?</section>", "", report.read_text(), flags=re.DOTALL))
    style = f"border: 0; width: {width}px; height: {height}px"
    frame.write_text(f'<body style="margin: 0"><iframe src="page.html" style="{style}"></iframe></body>')
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        options = (
            f"--user-data-dir={folder}/profile",
            f"--window-size={max(width, 600)},{height}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--screenshot={raw}",
        )
        command = [browser, *FLAGS, *options, frame.as_uri()]
        subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shrink(raw, to, size)


def shrink(picture: Path, to: Path, size: tuple[int, int]) -> None:
    """Writes the picture in 128 colours, which a report has fewer of, without what is empty below.

    Raises:
        SystemExit: it is larger than LARGEST_BYTES even so.
    """
    to.parent.mkdir(exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").crop((0, 0, *size)).quantize(128, dither=Image.Dither.NONE).save(to, optimize=True)
    if to.stat().st_size > LARGEST_BYTES:
        sys.exit(f"{to} has {to.stat().st_size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
