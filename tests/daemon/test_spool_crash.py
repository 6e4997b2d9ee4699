"""The spool against what a device goes through: its process killed at any moment, its disk full."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from edge_runtime.transport.spool import Spool
from edge_runtime.transport.spool_file import file_bytes

if TYPE_CHECKING:
    from pathlib import Path

CAP = 1 << 20
# Puts items for ever, says which were accepted, and which it is about to acknowledge.
WRITER = """
import os, random, sys
from hashlib import sha256
from pathlib import Path
from edge_runtime.transport.spool import Spool

def say(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

with Spool(Path(sys.argv[1]), int(sys.argv[2]), 1e9, "oldest") as spool:
    while True:
        key = os.urandom(16).hex()
        if spool.put("sink", key, sha256(key.encode()).digest() * random.choice([1, 20, 20, 500, 2000])):
            say("put", key)
        item = spool.next("sink") if random.random() < 0.55 else None
        if item:
            say("acknowledge", item.key)
            spool.acknowledge("sink", item.key)
"""
FULL_DISK = """
import json, os, sys
from pathlib import Path
from edge_runtime.transport.spool import Spool

folder = Path(sys.argv[1])
ballast = folder / "ballast"

def fill():
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass

seen = {}
fill()
with Spool(folder / "spool.db", 16 << 20, 1e9, "oldest") as spool:
    seen["opened full"] = [spool.put("sink", "0", b"0"), spool.trouble]
    os.truncate(ballast, 400_000)
    seen["room"] = [spool.put("sink", "1", bytes(20_000)), spool.trouble]
    kept = 1
    while spool.put("sink", str(kept + 1), bytes(20_000)):
        kept += 1
    seen["full"] = [spool.trouble, dict(spool.dropped) == {("sink", "disk"): 2}]
    fill()
    delivered = []
    while item := spool.next("sink"):
        spool.acknowledge("sink", item.key)
        delivered.append(item.key)
    seen["read while full"] = delivered == [str(number + 1) for number in range(kept)]
    ballast.unlink()
    seen["room again"] = [spool.put("sink", "last", b"0"), spool.trouble]
with Spool(folder / "spool.db", 16 << 20, 1e9, "oldest") as spool:
    seen["left"] = [spool.next("sink").key, spool.items, spool.quarantined]
print(json.dumps(seen))
"""


def on_a_small_disk(program: str, folder: Path) -> dict[str, object]:
    """What a program printed as JSON that had a disk of one mebibyte to itself, its path as argument."""
    mount = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", str(folder), sys.executable, program]
    if subprocess.run([*command[:2], "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk of its own")
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def killed_writers(path: Path, kills: int) -> int:
    """Start writers and kill each at some moment; every item that one promised must be there. Returns how many."""
    chance = random.Random(kills)  # noqa: S311 - moments, no secrets
    promised: set[str] = set()
    total = 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(CAP)], stdout=subprocess.PIPE, text=True
        ) as writer:
            largest = LargestSize(path)
            for _ in range(chance.randint(1, 120)):
                total += note(writer.stdout.readline(), promised)
            time.sleep(chance.uniform(0, 0.01))
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                total += note(line, promised)
        assert largest.stop() <= CAP
        with Spool(path, CAP, 1e9, "oldest") as spool:
            assert spool.quarantined == ""
            found, item = set(), None
            while item := spool.next("sink", after=item):
                found.add(item.key)
                digest = sha256(item.key.encode()).digest()
                assert item.body == digest * (len(item.body) // len(digest)) != b""
            assert promised <= found
            assert spool.items == len(found)
            assert spool.file_bytes <= CAP
            # What the killed process was told to delete, or had kept without having said so, may be there or not.
            promised = found
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return total


def note(line: str, promised: set[str]) -> int:
    """Follow a writer's word; how many items it promised."""
    word, key = line.split()
    if word == "put":
        promised.add(key)
        return 1
    promised.discard(key)
    return 0


class LargestSize:
    """The most bytes that were ever seen on disk, by looking all the time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._largest = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        """Look no more; bytes."""
        self._stopped.set()
        self._thread.join()
        return self._largest

    def _look(self) -> None:
        while not self._stopped.wait(0.001):
            self._largest = max(self._largest, file_bytes(self._path))


def test_what_was_accepted_survives_a_kill(tmp_path):
    """Eight writers are killed while they write, and nothing that one was promised is missing or changed."""
    assert killed_writers(tmp_path / "spool.db", 8) > 100


@pytest.mark.long
def test_what_was_accepted_survives_two_hundred_kills(tmp_path):
    """The same, often enough to meet every moment of a transaction."""
    assert killed_writers(tmp_path / "spool.db", 200) > 3000


def test_a_full_disk_stops_nothing(tmp_path):
    """Opened on one it waits for room; later it refuses, still gives what it has, and goes on when there is room."""
    full = f"spool {tmp_path}/spool.db: database or disk is full; nothing is kept until there is room or"
    full += " the disk is mended"
    assert on_a_small_disk(FULL_DISK, tmp_path) == {
        "opened full": [False, full],
        "room": [True, ""],
        "full": [full, True],
        "read while full": True,
        "room again": [True, ""],
        "left": ["last", 1, ""],
    }
