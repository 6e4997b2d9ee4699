"""The spool: what must reach a server and cannot, kept on disk until it has."""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, TypeVar

from edge_runtime.errors import ArgumentError, SpoolError
from edge_runtime.transport.spool_file import OVERFLOW, ROW_PAGES, SMALLEST, SpoolFile, file_bytes, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")
Order = Literal["oldest", "newest"]
Reason = Literal["full", "age", "large", "disk", "corrupt"]

BATCH = 64
FULL = "database or disk is full"  # SQLite's words; its codes come with Python 3.11
# Pages that inserting one row may add to the trees, besides those of its body.
SPLIT_PAGES = 8

_STARTED_S = time.time() - time.monotonic()


def steady_time() -> float:
    """Seconds since 1970 by the wall clock as it was at the process's start, whatever that clock was set to since.

    A board without a battery learns the time when the network is back: just when what it kept could be sent, and would
    all at once look days old.
    """
    return _STARTED_S + time.monotonic()


@dataclass(frozen=True, slots=True)
class Item:
    """What was put. ``sequence`` rises with every item of a spool; ``added_s`` is on the spool's clock."""

    sequence: int
    key: str
    body: bytes
    added_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of a lane is in the spool; ``bytes`` are those of the bodies."""

    items: int
    bytes: int


class Spool:
    """Items in named lanes, in at most ``max_bytes`` on disk with all that SQLite needs, each for ``max_age_s``.

    ``order`` says which item of a lane is next, and what a full spool gives up: with ``oldest`` the new item, with
    ``newest`` the oldest ones of all lanes. What was given up is counted in ``dropped``, by lane and reason: ``full``,
    ``age``, ``large`` (could never fit), ``disk`` (could not be written), ``corrupt``.

    Its calls raise nothing. While the disk does not let it work ``trouble`` says why, and every call tries anew. A
    damaged file is renamed, which ``quarantined`` tells, and a new one begun. Threads may share a spool, processes may
    not. Raises SpoolError where the file cannot be made, or another process has it.
    """

    def __init__(
        self, path: Path, max_bytes: int, max_age_s: float, order: Order, clock: Callable[[], float] = steady_time
    ) -> None:
        if max_bytes < SMALLEST:
            raise ArgumentError(f"spool {path}: max_bytes is {max_bytes}, give at least {SMALLEST}")
        self.path, self.max_bytes, self.order = path, max_bytes, order
        self.trouble, self.quarantined = "", ""
        self.dropped: Counter[tuple[str, Reason]] = Counter()
        self._max_age_s, self._clock = max_age_s, clock
        self._waiting: dict[str, Waiting] = {}
        # Acknowledged, and perhaps not off the disk yet.
        self._owed: dict[tuple[str, str], None] = {}
        self._last = 0
        self._file: SpoolFile | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._run(lambda _: None, opening=True)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; later calls do nothing."""
        with self._lock:
            self._closed = True
            self._let_go()

    @property
    def waiting(self) -> dict[str, Waiting]:
        """What is in each lane; this and the sums do not wait for the disk."""
        return self._waiting

    @property
    def items(self) -> int:
        """Items in all lanes."""
        return sum(lane.items for lane in self._waiting.values())

    @property
    def body_bytes(self) -> int:
        """Bytes of the bodies in all lanes."""
        return sum(lane.bytes for lane in self._waiting.values())

    @property
    def file_bytes(self) -> int:
        """Bytes on disk, never more than ``max_bytes``."""
        return file_bytes(self.path)

    def put(self, lane: str, key: str, body: bytes) -> bool:
        """Keep an item: True once it would survive a loss of power, False if it was given up (and counted).

        A key that its lane has already is kept as it is.
        """
        kept = self._run(lambda file: self._insert(file, lane, key, body))
        if kept is None:
            self.dropped[lane, "disk"] += 1
        return kept or False

    def next(self, lane: str, after: Item | None = None) -> Item | None:
        """The first item in order, or the first ``after`` another; None where there is none, or none can be read."""
        return self._run(lambda file: self._select(file, lane, after))

    def acknowledge(self, lane: str, key: str) -> None:
        """Delete an item. Where the disk does not let it, `next` passes the item over until it can be deleted."""
        with self._lock:
            self._owed[lane, key] = None
        self._run(lambda _: None)

    def forget(self, lane: str) -> None:
        """Delete all items of a lane that nobody will ask for again."""
        self._run(lambda file: self._forget(file, lane))

    # Calls, and what may go wrong with them.

    def _run(self, action: Callable[[SpoolFile], T], opening: bool = False) -> T | None:
        """Do something with the file, and once more with a new one if it is damaged; None in trouble."""
        with self._lock:
            for _ in range(2):
                try:
                    if self._closed:
                        return None
                    file = self._file or self._open()
                    if not self.path.exists():
                        raise sqlite3.DatabaseError("the file is gone")
                    self._clear(file)
                    return action(file)
                except (sqlite3.OperationalError, OSError) as error:  # noqa: PERF203 - two turns at most
                    self._wait_for_disk(error)
                    return None
                except SpoolError as error:
                    if opening:
                        raise
                    self.trouble = str(error)
                    return None
                except sqlite3.ProgrammingError:
                    raise
                except sqlite3.DatabaseError as error:
                    self._quarantine(str(error))
        return None

    def _wait_for_disk(self, error: Exception) -> None:
        self.trouble = f"spool {self.path}: {error}; nothing is kept until there is room or the disk is mended"
        # After anything but a full disk the file may be another one.
        if str(error) != FULL:
            self._let_go()

    def _open(self) -> SpoolFile:
        """Open the file and bring it under the cap, should that have been larger once."""
        file = self._file = SpoolFile(self.path, self.max_bytes)
        (last,) = file.db.execute("SELECT coalesce(max(sequence), 0) FROM items").fetchone()
        self._last = max(self._last, last)
        self._count(file)
        while file.pages > file.max_pages and self._give_up(file, newest=self.order == "oldest"):
            pass
        file.shrink()
        self.trouble = ""
        return file

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _quarantine(self, why: str) -> None:
        """Put a damaged file out of the way."""
        try:
            aside = set_aside(self.path)
        except OSError as error:
            self.trouble = f"spool {self.path}: damaged ({why}), and cannot be renamed ({error.strerror})"
            return
        finally:
            self._let_go()
        for lane, lost in self._waiting.items():
            self.dropped[lane, "corrupt"] += lost.items
        self._waiting, self._owed = {}, {}
        self.quarantined = f"spool {self.path}: damaged ({why}); renamed to {aside}, and a new one begun"

    # What is done with a file.

    @contextmanager
    def _changing(self, file: SpoolFile, pages: int, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with file.writing(pages, durable) as db:
            yield db
        self._count(file)
        self.trouble = ""

    def _count(self, file: SpoolFile) -> None:
        rows = file.db.execute("SELECT name, items, bytes FROM lanes WHERE items > 0")
        self._waiting = {name: Waiting(items, size) for name, items, size in rows}

    def _insert(self, file: SpoolFile, lane: str, key: str, body: bytes) -> bool:
        if file.db.execute("SELECT 1 FROM items WHERE lane = ? AND key = ?", (lane, key)).fetchone():
            self._owed.pop((lane, key), None)
            return True
        pages = -(-len(body) // OVERFLOW) + 1
        if pages + ROW_PAGES > file.log_pages:
            self.dropped[lane, "large"] += 1
            return False
        while file.pages + pages + SPLIT_PAGES > file.max_pages:
            if self.order == "oldest" or not self._give_up(file):
                self.dropped[lane, "full"] += 1
                return False
        # Numbers are not used again while the process runs: `next` may be asked for what follows a deleted item.
        row = (self._last + 1, lane, key, self._clock(), zlib.crc32(body), body)
        with self._changing(file, pages + ROW_PAGES, durable=True) as db:
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", row)
        self._last += 1
        return True

    def _select(self, file: SpoolFile, lane: str, after: Item | None) -> Item | None:
        beyond, direction = (">", "ASC") if self.order == "oldest" else ("<", "DESC")
        query = (
            "SELECT sequence, key, body, added, crc FROM items WHERE lane = ? AND sequence "  # noqa: S608 - constants
            f"{beyond} ? ORDER BY sequence {direction} LIMIT 1"
        )
        sequence = after.sequence if after else 0 if self.order == "oldest" else self._last + 1
        while row := file.db.execute(query, (lane, sequence)).fetchone():
            sequence, key, body, added_s, crc = row
            if zlib.crc32(body) != crc:
                self._delete(file, [(sequence, lane)], "corrupt")
            elif (lane, key) not in self._owed:
                return Item(sequence, key, body, added_s)
        return None

    def _clear(self, file: SpoolFile) -> None:
        """Delete what need not stay; a full disk may keep it, and can still be read from."""
        try:
            self._settle(file)
            self._sweep(file)
        except sqlite3.OperationalError as error:
            if str(error) != FULL:
                raise
            self._wait_for_disk(error)

    def _settle(self, file: SpoolFile) -> None:
        """Delete what was acknowledged."""
        while self._owed:
            lane, key = next(iter(self._owed))
            row = file.db.execute("SELECT sequence FROM items WHERE lane = ? AND key = ?", (lane, key)).fetchone()
            if row:
                self._delete(file, [(row[0], lane)])
            del self._owed[lane, key]

    def _sweep(self, file: SpoolFile) -> None:
        """Give up what is too old; the first item is the oldest."""
        limit_s = self._clock() - self._max_age_s
        while any(added_s < limit_s for _, _, added_s in self._ends(file, 1)):
            old = takewhile(lambda row: row[2] < limit_s, self._ends(file, self._batch(file)))
            self._delete(file, [(sequence, lane) for sequence, lane, _ in old], "age")

    def _give_up(self, file: SpoolFile, newest: bool = False) -> bool:
        """Make room by some items, the oldest or the newest ones; False where there are none."""
        rows = [(sequence, lane) for sequence, lane, _ in self._ends(file, self._batch(file), newest)]
        if rows:
            self._delete(file, rows, "full")
        return bool(rows)

    def _ends(self, file: SpoolFile, count: int, newest: bool = False) -> list[tuple[int, str, float]]:
        """Sequence, lane and time of the first or the last items."""
        query = f"SELECT sequence, lane, added FROM items ORDER BY sequence {'DESC' if newest else 'ASC'} LIMIT ?"  # noqa: S608
        return file.db.execute(query, (count,)).fetchall()

    def _forget(self, file: SpoolFile, lane: str) -> None:
        query = "SELECT sequence, lane FROM items WHERE lane = ? LIMIT ?"
        while rows := file.db.execute(query, (lane, self._batch(file))).fetchall():
            self._delete(file, rows)

    def _delete(self, file: SpoolFile, rows: list[tuple[int, str]], reason: Reason | None = None) -> None:
        """Delete rows, given by sequence and lane; a loss of power may bring the last ones back."""
        with self._changing(file, len(rows) * self._row_pages(file)) as db:
            db.executemany("DELETE FROM items WHERE sequence = ?", [(sequence,) for sequence, _ in rows])
        for _, lane in rows:
            if reason:
                self.dropped[lane, reason] += 1
        if not self._waiting:
            file.shrink()

    def _batch(self, file: SpoolFile) -> int:
        """Rows that one transaction may delete."""
        return max(1, min(BATCH, file.log_pages // self._row_pages(file)))

    def _row_pages(self, file: SpoolFile) -> int:
        """Pages that deleting a row changes at most; its body's become free, in lists of a thousand each."""
        return ROW_PAGES + file.log_pages // 1000 + 1
