"""Bytes to a descriptor, all of them."""

from __future__ import annotations

import os
import select


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`, however slowly it is taken.

    Raises:
        BrokenPipeError: nobody reads there any more (`| head`).
        OSError: it can't be written, as on a full disk.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # another process that has it too does not want to wait for it; this one has to
            room = select.poll()
            room.register(descriptor, select.POLLOUT)
            room.poll()
