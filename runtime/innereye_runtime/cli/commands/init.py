"""`innereye-run init [FOLDER]`: a project that trains at once, or a manifest and the rest around a class."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, UsageError


class Arguments(argparse.Namespace):
    folder: Path
    model: str | None
    data: str | None


def parser() -> Parser:
    parser = Parser(
        "init",
        usage="[FOLDER] [--from CLASS [--data CLASS]]",
        about="Writes a project: a manifest, a model and its data, requirements, a test and a workflow for CI. A file\n"
        "that is there stays as it is.",
        examples=[
            "innereye-run init lesions && cd lesions && innereye-run manifest.yaml",
            "innereye-run init --from my_project.unet:UNet",
        ],
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        default=Path(),
        help="the project; default: the working directory",
    )
    parser.add_argument(
        "--from",
        dest="model",
        metavar="CLASS",
        help="a LightningModule of the project, as package.module:ClassName:\n"
        "writes a manifest that fits it, and no code",
    )
    parser.add_argument(
        "--data", metavar="CLASS", help="its LightningDataModule; default: the one that the project has"
    )
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.cli.scaffold.project import empty_project, project_from

    folder = arguments.folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{arguments.folder}' is not a folder", hint="name a folder, which need not be there yet")
    if (folder / "manifest.yaml").exists():
        hint = "delete or rename it, or name another folder"
        raise UsageError(f"there is a manifest already: {folder / 'manifest.yaml'}", hint=hint)
    if arguments.model is None and arguments.data is not None:
        raise UsageError("--data names the data of a class, and there is no --from", hint="add --from=CLASS")
    new = empty_project(folder) if arguments.model is None else project_from(folder, arguments.model, arguments.data)
    for name, text in new.files.items():
        path = folder / name
        if path.exists():
            eprint(f"kept {arguments.folder / name}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        eprint(f"wrote {arguments.folder / name}")
    if new.to_fill_in:
        eprint(f"look at these in the manifest first: {', '.join(new.to_fill_in)}")
    go = "" if folder == Path.cwd() else f"cd {arguments.folder} && "
    print(f"{go}innereye-run manifest.yaml")
    return ExitCode.DONE
