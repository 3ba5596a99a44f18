"""What to do about errors that code written for other libraries, or other versions of them, meets here."""

from __future__ import annotations

import re
from typing import Final

from innereye_runtime.compat.refused import instead_of

_GUIDE: Final = "https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html"

_REMEDIES: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (
        OSError,
        r"Read-only file system|Permission denied: '/mnt/|Permission denied: '/run/innereye",
        "a dataset is read-only: write to the working directory, which is the run folder (container.outputs_folder)",
    ),
    (
        ImportError,
        r"'pytorch_lightning\b.*'|'pytorch_lightning\.",
        f"it is gone from today's Lightning; {_GUIDE} shows its replacement",
    ),
    (
        TypeError,
        r"missing 1 required positional argument: 'task'",
        "metrics of today ask for their task, as in Accuracy(task='multiclass', num_classes=3) or task='binary'",
    ),
    (
        RuntimeError,
        r"Training with multiple optimizers is only supported with manual optimization",
        f"set automatic_optimization = False and step the optimizers in training_step; {_GUIDE} has an example",
    ),
)
"""The kind of error, a pattern in its message, and the remedy."""


_NOTE: Final = "hint: "
"""How a note of an error begins that says what to do; it is added where more is known than the error's own text."""


def hint_for(error: BaseException) -> str:
    """What to do about `error`, where that is known; else ''."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_NOTE):
            return str(note.removeprefix(_NOTE))
    text = str(error)
    if isinstance(error, ImportError) and error.name and (told := instead_of(error.name)):
        return told
    return next((told for kind, pattern, told in _REMEDIES if isinstance(error, kind) and re.search(pattern, text)), "")
