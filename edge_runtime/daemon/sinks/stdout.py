"""Lines on standard output."""

from __future__ import annotations

import errno
import select

from edge_runtime.daemon.sinks.json_lines import write_whole

STDOUT = 1
# Who reads more slowly than this for longer misses lines, or the daemon would stand still with them.
PATIENCE_MS = 1000


class LinePipe:
    """A descriptor that is somebody else's, who may have closed the other end or stopped reading."""

    where = "standard output"

    def __init__(self, descriptor: int = STDOUT) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()

    def open(self) -> None:
        """It is open."""
        self._ready.register(self._descriptor, select.POLLOUT)

    def append(self, line: bytes) -> None:
        """Write a line, its end included."""
        if not self._ready.poll(PATIENCE_MS):
            raise BlockingIOError(errno.EAGAIN, f"not read for {PATIENCE_MS} ms")
        write_whole(self._descriptor, line)

    def close(self) -> None:
        """It stays open for others."""
