"""What to do about the errors that a newcomer's own code raises, found from the frames in which they came up."""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from innereye_runtime.training.lifecycle.tracebacks import is_users_file


@dataclass(frozen=True, slots=True)
class _Frame:
    frame: FrameType
    line: int

    @property
    def place(self) -> str:
        return f"{self.frame.f_code.co_filename}:{self.line}"

    @property
    def is_users(self) -> bool:
        return is_users_file(self.frame.f_code.co_filename)


def remedy(error: BaseException) -> str:
    """What to do about `error`, where its frames show it; else ''. Objects of the user's that can't be looked at cost
    the remedy alone: what called this has the end of a run to record."""
    frames = list(_frames(error))
    for rule in _RULES:
        with suppress(Exception):
            if told := rule(error, frames):
                return told
    return ""


def _frames(error: BaseException) -> Iterator[_Frame]:
    """From the outermost to the innermost."""
    traceback = error.__traceback__
    while traceback is not None:
        yield _Frame(traceback.tb_frame, traceback.tb_lineno)
        traceback = traceback.tb_next


def _no_super(error: BaseException, frames: list[_Frame]) -> str:
    """A class whose `__init__` leaves out that of its base: its first use fails, by a name that nobody wrote."""
    if not isinstance(error, AttributeError | TypeError | RuntimeError):
        return ""
    too_early = "before Module.__init__() call" in str(error)
    objects = [frame.frame.f_locals.get("self") for frame in reversed(frames)]
    objects.append(getattr(error, "obj", None))
    for cls in {id(type(each)): type(each) for each in objects if each is not None}.values():
        for base in cls.__mro__:
            init = vars(base).get("__init__")
            if init is None or base.__mro__[1:] == (object,) or not hasattr(init, "__code__"):
                continue
            code = init.__code__
            if is_users_file(code.co_filename) and (too_early or not _calls_init_of_base(init)):
                place = f"{code.co_filename}:{code.co_firstlineno}"
                return f"call super().__init__() first in {base.__name__}.__init__ ({place})"
    return ""


def _calls_init_of_base(init: Any) -> bool:
    with suppress(OSError, TypeError, SyntaxError):
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        return any(isinstance(func, ast.Attribute) and func.attr == "__init__" for func in calls)
    return True


def _no_dataset(error: BaseException, frames: list[_Frame]) -> str:
    """The container's `local_dataset` is used, and the manifest names none."""
    for each in reversed(frames):
        if each.is_users and "local_dataset" in _source(each):
            self = each.frame.f_locals.get("self")
            if getattr(self, "local_dataset", "") is None:
                return (
                    "no dataset is given, so local_dataset is None: "
                    "add 'dataset: {local: FOLDER}' to the manifest, or --local_dataset=FOLDER"
                )
            return ""
    return ""


def _misspelled(error: BaseException, frames: list[_Frame]) -> str:
    """A name or an attribute that is not there, with the one that was most likely meant."""
    users = [each for each in frames if each.is_users]
    if not users:
        return ""
    frame = users[-1].frame
    if isinstance(error, NameError) and error.name:
        if isinstance(error, UnboundLocalError):
            return ""
        known = {**vars(builtins), **frame.f_globals, **frame.f_locals}
        return f"import or define {error.name} in {users[-1].place}{_near(error.name, known)}"
    if isinstance(error, AttributeError) and error.name and error.obj is not None:
        near = _near(error.name, [name for name in dir(error.obj) if not name.startswith("_")])
        return near.removeprefix("; ")
    return ""


def _near(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, known, 1, cutoff=0.7)
    return f"; did you mean '{found[0]}'?" if found else ""


def _missing_hook(error: BaseException, frames: list[_Frame]) -> str:
    """Lightning needs a method that the model has not, perhaps because it has another name there."""
    found = re.search(r"No `(\w+)\(\)` method defined", str(error))
    model = next((m for each in reversed(frames) if (m := each.frame.f_locals.get("model")) is not None), None)
    if found is None or model is None:
        return ""
    cls = type(model)
    own = [name for base in cls.__mro__ if is_users_file(_file(base)) for name in vars(base)]
    what = {"training_step": "(self, batch, batch_idx)"}.get(found[1], "(self)")
    place = f"{cls.__name__} ({_file(cls)})"
    near = difflib.get_close_matches(found[1], own, 1, cutoff=0.7)
    more = f"; it has '{near[0]}'" if near else ""
    if found[1] == "configure_optimizers" and not near:
        more = ", or derive it from LightningModuleWithOptimizer"
    return f"define {found[1]}{what} in {place}{more}"


def _detached(error: BaseException, frames: list[_Frame]) -> str:
    if "does not require grad and does not have a grad_fn" not in str(error):
        return ""
    return (
        "the loss that training_step returns must be computed from the weights: no detach(), item() or no_grad() before"
    )


def _relative_path(error: BaseException, frames: list[_Frame]) -> str:
    """A file beside the code or the manifest is looked for in the working directory, which is the run folder."""
    name = getattr(error, "filename", None)
    if not isinstance(error, FileNotFoundError) or not isinstance(name, str) or Path(name).is_absolute():
        return ""
    if not any(each.is_users for each in frames):
        return ""
    return (
        f"'{name}' is looked for in the run folder, the working directory: use self.local_dataset for data, "
        "and Path(__file__).parent for files beside the code"
    )


def _source(frame: _Frame) -> str:
    import linecache

    return linecache.getline(frame.frame.f_code.co_filename, frame.line)


def _file(cls: type) -> str:
    with suppress(OSError, TypeError):
        return inspect.getfile(cls)
    return "<unknown>"


_RULES: Final[tuple[Callable[[BaseException, list[_Frame]], str], ...]] = (
    _no_dataset,
    _no_super,
    _misspelled,
    _missing_hook,
    _detached,
    _relative_path,
)
