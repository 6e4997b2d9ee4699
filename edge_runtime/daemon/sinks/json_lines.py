"""A file of lines, renamed when it is long."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LineFile:
    """A file that ends in a whole line, whoever crashed before, and whoever moved it meanwhile.

    A line that would make it longer than ``max_bytes`` goes into a new one; the old one becomes ``PATH.1``, that one
    ``PATH.2``, up to ``keep``. Lines are not synced: they survive the process, not a loss of power.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.where = str(path)
        self._path, self._max_bytes, self._keep = path, max_bytes, keep
        self._descriptor: int | None = None

    def open(self) -> None:
        """Make it if need be, and end a line that somebody did not."""
        self._current()

    def append(self, line: bytes) -> None:
        """Write a line, its end included."""
        descriptor = self._current()
        length = os.fstat(descriptor).st_size
        if length and length + len(line) > self._max_bytes:
            self._rotate()
            descriptor, length = self._current(), 0
        try:
            write_whole(descriptor, line)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, length)
            self.close()
            raise

    def close(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _current(self) -> int:
        """The file at the path, which may be another one since somebody moved or deleted the last."""
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                    return self._descriptor
            self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._descriptor = descriptor
        length = os.fstat(descriptor).st_size
        if length and os.pread(descriptor, 1, length - 1) != b"\n":
            os.write(descriptor, b"\n")
        return descriptor

    def _rotate(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{age}") for age in range(1, self._keep + 1))]
        for younger, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                younger.replace(older)
        if not self._keep:
            self._path.unlink()


def write_whole(descriptor: int, line: bytes) -> None:
    """Write all of it, however much the system takes at a time."""
    left = memoryview(line)
    while left:
        left = left[os.write(descriptor, left) :]
