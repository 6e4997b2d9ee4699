"""Photos that are put into a folder: each is taken once, and kept, deleted or moved when its answer is recorded."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from edge_runtime.daemon.frames import Captured, Dropped
from edge_runtime.daemon.logs import Seldom
from edge_runtime.errors import PhotoError, SourceError
from edge_runtime.photos import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.daemon import config
    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.intake import Intake

REFUSED = "refused"
MAX_BYTES = 64 << 20
# The system's word of a change is waited for so long; then the folder is looked at all the same, now and then as a
# whole: words may be lost when there are many, and network file systems give none.
QUIET_MS = 1000
WHOLE_S = 10.0
# What belongs together comes within so long.
TOGETHER_MS = 100
STEP_MS = 20


class Identity(NamedTuple):
    """What tells a file from another one of its name, and from itself before it was changed."""

    inode: int
    modified_ns: int
    size: int


# What was taken, by folder and name.
Taken = dict[Path, dict[str, Identity]]


class Folder:
    """A watched folder, without those inside it; of one event loop.

    Links are not followed. A file is read when it is its turn, and that is its capture. What was given up without an
    answer stays where it is. ``trouble`` says why nothing comes at the moment, and is empty while all is well.
    ``taken`` remembers what was taken from which folder, so that a source can go on where another one was stopped.
    """

    def __init__(self, settings: config.Folder, taken: Taken) -> None:
        self._settings = settings
        self._memory = taken
        self.trouble = ""
        self._log = structlog.get_logger(source=settings.name)
        self._seldom = Seldom(self._log)

    async def run(self, intake: Intake) -> None:
        """Offer files as they come; raises SourceError for a folder that cannot be made or read at the start."""
        try:
            self._prepare()
            existing = await asyncio.to_thread(_look, self._settings.path, None)
        except OSError as error:
            raise SourceError(
                f"{self._settings.path}: {error.strerror}; give the daemon a folder it may write"
            ) from error
        goes_on = self._settings.path in self._memory
        self._taken = self._memory.setdefault(self._settings.path, {})
        if goes_on or self._settings.existing:
            intake.begun.set()
            await self._settle(None, intake)
        else:
            self._taken |= existing
            intake.begun.set()
        while True:
            await self._watch_on(intake)

    def _prepare(self) -> None:
        for folder in (self._settings.path, self._settings.moved_to):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)

    async def _watch_on(self, intake: Intake) -> None:
        """Watch the folder, or the one that took its place; waits a little where there is none."""
        try:
            self._prepare()
            await self._watch(intake)
        except OSError as error:
            self.trouble = f"{self._settings.path}: {error.strerror or error}"
            await asyncio.sleep(QUIET_MS / 1e3)

    async def _watch(self, intake: Intake) -> None:
        """Offer files until the folder is another one than at the start, or raise OSError when it is gone."""
        from watchfiles import awatch

        path = self._settings.path
        watched, looked_s = _inode(path), float("-inf")
        changes = awatch(
            path,
            watch_filter=None,
            debounce=TOGETHER_MS,
            step=STEP_MS,
            rust_timeout=QUIET_MS,
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(changes):
            async for batch in changes:
                if _inode(path) != watched:
                    return
                self.trouble = ""
                names = {os.path.basename(changed) for _, changed in batch}  # noqa: PTH119 - thousands of them
                whole = time.monotonic() - looked_s > WHOLE_S
                if whole:
                    looked_s = time.monotonic()
                await self._settle(None if whole else names, intake)

    async def _settle(self, names: Iterable[str] | None, intake: Intake) -> None:
        """Offer those of the files (None: all) that nobody is writing any more; of the others news will come."""
        found = await asyncio.to_thread(_look, self._settings.path, names)
        if names is None:
            for name in self._taken.keys() - found.keys():
                del self._taken[name]
        fresh = {name: identity for name, identity in found.items() if self._taken.get(name) != identity}
        if fresh:
            await asyncio.sleep(self._settings.settle_ms / 1e3)
            settled = await asyncio.to_thread(_look, self._settings.path, fresh)
            await self._take({name: fresh[name] for name, now in settled.items() if fresh[name] == now}, intake)

    async def _take(self, files: dict[str, Identity], intake: Intake) -> None:
        """Offer files, the oldest first."""
        for name, identity in sorted(files.items(), key=lambda file: (file[1].modified_ns, file[0])):
            path = self._settings.path / name
            # A file's name may be any bytes, a record's name must be text.
            captured_name = os.fsencode(name).decode(errors="replace")
            if identity.size > MAX_BYTES:
                self._log.warning("refused a photo", photo=captured_name, reason=f"has more than {MAX_BYTES} bytes")
                self._taken[name] = identity
                await asyncio.to_thread(self._put_away, path, identity, self._refused, "")
                continue
            await intake.turn()
            try:
                data = await asyncio.to_thread(_read, path, identity)
            except OSError as error:
                self._seldom.warning("cannot read a photo", photo=captured_name, reason=error.strerror)
                self._taken[name] = identity
                continue
            if data is not None:
                captured = Captured(captured_name, data, time.monotonic() + self._settings.deadline_ms / 1e3)
                # Also when this task has been stopped: answers may still be on their way then.
                captured.recorded.add_done_callback(partial(self._recorded, path, identity, captured.key))
                await intake.offer(captured)
                # Not before: what a stopped source did not come to is the next one's.
                self._taken[name] = identity

    def _recorded(self, path: Path, identity: Identity, key: str, outcome: asyncio.Future[Record]) -> None:
        error = Dropped("stopped", "") if outcome.cancelled() else outcome.exception()
        if error and not isinstance(error, PhotoError):
            return
        target = self._refused if error else self._settings.moved_to
        outcome.get_loop().run_in_executor(None, self._put_away, path, identity, target, key)

    @property
    def _refused(self) -> Path:
        return self._settings.path / REFUSED

    def _put_away(self, path: Path, identity: Identity, target: Path | None, key: str) -> None:
        """Move a file into the target, or delete it where there is none; unless files are kept, or it was changed."""
        if self._settings.after == "keep":
            return
        try:
            if _identity(path.lstat()) != identity:
                return
            if target is None:
                path.unlink()
            else:
                _move(path, target, key)
        except OSError as error:
            self._seldom.warning("could not put a photo away", photo=path.name, reason=str(error))


def _look(folder: Path, names: Iterable[str] | None) -> dict[str, Identity]:
    """The photos of these names, or all, as they are now; raises OSError when there is no folder."""
    found = {}
    for name in os.listdir(folder) if names is None else names:  # noqa: PTH208 - names are wanted, thousands of them
        if not name.startswith(".") and name.lower().endswith(SUFFIXES):
            try:
                status = os.lstat(os.path.join(folder, name))  # noqa: PTH118
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                found[name] = _identity(status)
    return found


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_ino, status.st_mtime_ns, status.st_size)


def _inode(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _read(path: Path, identity: Identity) -> bytes | None:
    """Its bytes; None when it is another file by now, or gone: of that, news will come."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - not a path
        return file.read() if _identity(os.fstat(descriptor)) == identity else None


def _move(path: Path, target: Path, key: str) -> None:
    """Move a file; one of its name that is there already is left alone."""
    target.mkdir(exist_ok=True)
    place = target / path.name
    if place.exists():
        place = target / f"{path.stem}-{key or time.time_ns()}{path.suffix}"
    shutil.move(path, place)
