"""Writes docs/images/architecture.svg: from the manifest to the run folder, with the two sides and the targets.

python docs/architecture.py
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

PICTURE = Path(__file__).resolve().parent / "images" / "architecture.svg"
WIDTH, HEIGHT = 860, 330
BLUE, GREEN, GREY = "#3f51b5", "#00796b", "#616161"


def main() -> None:
    PICTURE.write_text(drawing(), encoding="utf-8")


def drawing() -> str:
    """The picture as SVG, readable on a light and on a dark page."""
    parts = [
        side(10, 60, 335, "submitting side: innereye-run", BLUE),
        side(500, 60, 350, "running side: innereye-runtime", GREEN),
        box(25, 100, 140, "manifest", "schema, places", BLUE),
        box(25, 190, 140, "container class", "read, not imported", BLUE),
        box(200, 145, 130, "plan", "pure: no effects", BLUE),
        box(515, 100, 150, "your code", "model, data, hooks", GREEN),
        box(515, 190, 150, "Lightning Trainer", "checkpoints, metrics", GREEN),
        box(700, 145, 135, "run folder", "run.json, report", GREEN),
        arrow(165, 125, 200, 160),
        arrow(165, 215, 200, 180),
        arrow(665, 125, 700, 160),
        arrow(665, 215, 700, 180),
    ]
    for row, (name, about) in enumerate(
        (("process", "a child process"), ("docker", "a container"), ("azureml", "a job in the cloud"))
    ):
        y = 82 + row * 65
        parts += [box(365, y, 115, name, about, GREY), arrow(330, 170, 365, y + 25), arrow(480, y + 25, 500, 170)]
    parts.append(text(422, 300, "targets: each starts the same entrypoint", GREY, size=13))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif">\n'
        "<title>From the manifest to the run folder</title>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" '
        f'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def side(x: int, y: int, width: int, title: str, colour: str) -> str:
    style = f'fill="none" stroke="{colour}" stroke-dasharray="5 4"'
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="215" rx="8" {style}/>'
    return frame + text(x + width // 2, y - 12, title, colour, size=15)


def box(x: int, y: int, width: int, title: str, about: str, colour: str) -> str:
    style = f'fill="#f5f5f7" stroke="{colour}" stroke-width="1.5"'
    frame = f'<rect x="{x}" y="{y}" width="{width}" height="50" rx="6" {style}/>'
    return (
        frame
        + text(x + width // 2, y + 21, title, colour, size=14)
        + text(x + width // 2, y + 39, about, GREY, size=11)
    )


def text(x: int, y: int, words: str, colour: str, *, size: int) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle" font-size="{size}" fill="{colour}">{escape(words)}</text>'


def arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    return (
        f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="{GREY}" stroke-width="1.3" marker-end="url(#head)"/>'
    )


if __name__ == "__main__":
    main()
