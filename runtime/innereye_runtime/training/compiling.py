"""`torch.compile` where there is no compiler, as in the runtime's own images, which leave it out for its size."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger("innereye_runtime")


def missing(*, gpu: bool) -> list[str]:
    """The Debian packages that `torch.compile` lacks here: on a GPU it builds with a C compiler, else with one for C++
    and with Python's headers."""
    if gpu:
        compilers = [os.environ.get("CC", ""), "gcc", "clang"]
        return [] if any(shutil.which(each) for each in compilers if each) else ["gcc"]
    headers = Path(sysconfig.get_paths()["include"], "Python.h").is_file()
    compiler = shutil.which(os.environ.get("CXX") or "g++")
    return ["g++"] * (compiler is None) + ["python3-dev"] * (not headers)


def install(*, gpu: bool) -> None:
    """Lets `torch.compile` go on without a compiler where none is here: the model is traced and run as it is, with the
    same names of its weights, and the first call says so with the remedy. Idempotent."""
    lacking = missing(gpu=gpu)
    if lacking and not hasattr(torch.compile, "_without_compiler"):
        torch.compile = _without(torch.compile, lacking)


def _without(compile: Callable[..., Any], lacking: list[str]) -> Callable[..., Any]:
    told = False

    @functools.wraps(compile)
    def compile_eagerly(*arguments: Any, **named: Any) -> Any:
        nonlocal told
        if named.get("backend", "inductor") != "inductor" or named.get("disable"):
            return compile(*arguments, **named)
        if not told:
            told = True
            log.warning(
                "warning: torch.compile speeds nothing up here: it needs %s, which this machine or image has not, and "
                "the model runs without. For the speed, add 'RUN apt-get update && apt-get install -y %s' to an image "
                "FROM this one (compute.docker.image), or install it on this machine",
                " and ".join(lacking),
                " ".join(lacking),
            )
        kept = {name: value for name, value in named.items() if name not in ("mode", "options", "backend")}
        return compile(*arguments, **kept, backend="eager")

    compile_eagerly._without_compiler = True  # type: ignore[attr-defined]
    return compile_eagerly
