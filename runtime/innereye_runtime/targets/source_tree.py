"""The source tree that images and AzureML environments are built from: a checkout, or what a wheel carries of one.

A wheel carries the files around the package in `innereye_runtime/source_tree` (pyproject.toml lists them), so that an
installed package can be laid out as the checkout that it was built from.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from innereye_runtime.errors import ImageError

PARTS = (
    *("Dockerfile.gpu", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"),
    *("data", "images", "manifests", "schema", "runtime"),
)
"""What a build may take from the top of the tree; .dockerignore lets the same through."""
PACKAGE = Path(__file__).resolve().parents[1]
CARRIED = "source_tree"


def checkout() -> Path | None:
    """The checkout that this package runs from; None where it was installed from a wheel."""
    root = PACKAGE.parents[1]
    return root if PACKAGE.parent.name == "runtime" and (root / "Dockerfile.gpu").is_file() else None


def find(part: str) -> Path:
    """Where a file around the package is, such as `images/base`: in the checkout, or in the installed package."""
    root = checkout()
    return root / part if root else PACKAGE / CARRIED / part


@contextmanager
def source_tree() -> Iterator[Path]:
    """The checkout, or a temporary folder that is laid out as one.

    Raises:
        ImageError: the installed package does not carry the files around it.
    """
    root = checkout()
    if root is not None:
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="innereye-runtime-source-") as folder:
        yield write_source_tree(Path(folder) / "source")


def write_source_tree(folder: Path) -> Path:
    """`folder`, filled with PARTS: the same files from a checkout and from a wheel of it.

    Raises:
        ImageError: the installed package does not carry the files around it.
    """
    root = checkout()
    if root is not None:
        folder.mkdir(parents=True)
        for part in PARTS:
            _copy(root / part, folder / part)
    else:
        carried = PACKAGE / CARRIED
        if not (carried / "Dockerfile.gpu").is_file():
            raise ImageError(
                f"{PACKAGE} does not carry the files that an image is built from",
                hint="install innereye-runtime again from a wheel; or build an image from a checkout (image build "
                "--source DIR), and name it in compute.docker.image or compute.azureml.image",
            )
        _copy(carried, folder)
        _copy(PACKAGE / "schema", folder / "schema")
        _copy(PACKAGE, folder / "runtime" / PACKAGE.name, without=(PACKAGE / "schema", carried))
        for name in ("InnerEye", "health_ml", "health_azure"):
            _copy(PACKAGE.parent / name, folder / "runtime" / name)
    return folder


def _copy(source: Path, to: Path, *, without: tuple[Path, ...] = ()) -> None:
    def left_out(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if _is_no_source(name) or Path(folder) / name in without}

    if source.is_dir():
        shutil.copytree(source, to, ignore=left_out)
    else:
        shutil.copy2(source, to)


def _is_no_source(name: str) -> bool:
    hidden = name.startswith(".") and name not in (".dockerignore", ".gitignore")
    return hidden or name == "__pycache__" or name.endswith((".egg-info", ".pyc", ".whl"))
