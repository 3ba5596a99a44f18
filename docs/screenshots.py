"""Makes docs/images/report.png: the report of manifests/hello.yaml, as a browser shows it.

    python docs/screenshots.py        # needs Chromium (or its path in CHROMIUM), and the extras train and docs

The example is trained anew, so that the picture is that of today's report.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "report.png"
SIZE = (860, 1196)
"""Of the window: it ends above the provenance, which has paths of this machine."""
LARGEST_BYTES = 300_000
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = train(Path(folder))
        raw = Path(folder) / "report.png"
        photograph(report, raw, Path(folder) / "profile")
        shrink(raw, PICTURE)


def train(folder: Path) -> Path:
    """The report of a run of hello.yaml whose files are below `folder`."""
    for name in ("manifests", "data"):
        shutil.copytree(ROOT / name, folder / name)
    command = [str(Path(sys.executable).with_name("innereye-run")), "manifests/hello.yaml"]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.splitlines()[-1]) / "report.html"


def photograph(page: Path, picture: Path, profile: Path) -> None:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("docs/screenshots.py: Chromium is not installed; name it in the variable CHROMIUM")
    size = f"--window-size={SIZE[0]},{SIZE[1]}"
    command = [browser, *FLAGS, f"--user-data-dir={profile}", size, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shrink(picture: Path, to: Path) -> None:
    """Writes the picture in 128 colours, which a report has fewer of.

    Raises:
        SystemExit: it is larger than LARGEST_BYTES even so.
    """
    to.parent.mkdir(exist_ok=True)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(to, optimize=True)
    if to.stat().st_size > LARGEST_BYTES:
        sys.exit(f"{to} has {to.stat().st_size} bytes, more than {LARGEST_BYTES}")


if __name__ == "__main__":
    main()
