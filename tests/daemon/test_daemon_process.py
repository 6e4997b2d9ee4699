"""The daemon as a process, as people and a service manager meet it."""

from __future__ import annotations

import ctypes
import json
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from daemon_process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.host  # processes, which have seconds to start

ZOO = Path(__file__).parents[2] / "zoo"
PR_SET_MDWE, PR_GET_MDWE = 65, 66


def write(folder: Path, more: str = "") -> Path:
    """A configuration with a source of posted photos, one of files, and a file for answers."""
    path = folder / "config.toml"
    path.write_text(
        f"""
bundle = "{ZOO}"
[http]
listen = "127.0.0.1:0"
[[source]]
name = "gate"
kind = "http"
system = {{ kind = "attention", eta = 0.5 }}
queue = 64
[[source]]
name = "yard"
kind = "folder"
path = "{folder}/in"
after = "delete"
system = {{ kind = "local" }}
[[sink]]
name = "file"
kind = "jsonl"
path = "{folder}/answers.jsonl"
{more}
"""
    )
    return path


def answers(folder: Path) -> list[dict[str, Any]]:
    """What the sink has."""
    path = folder / "answers.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(happened: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait until something has happened."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def deny_making_code() -> None:
    """As ``MemoryDenyWriteExecute=`` does: memory that was ever writable cannot become executable."""
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0:
        raise OSError("prctl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's daemon works."""
    return tmp_path_factory.mktemp("daemon")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[DaemonProcess]:
    """A daemon that may make no code, and must not try to."""
    numba = folder / "denied" / "numba.py"
    numba.parent.mkdir()
    numba.write_text(f"open({str(folder / 'imported')!r}, 'w').close()\nraise ImportError('denied')\n")
    environment = {"EDGE_RUNTIME_KERNELS": "native", "PYTHONPATH": str(numba.parent), "OMP_NUM_THREADS": "1"}
    known = ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) >= 0
    before = deny_making_code if known else None
    with DaemonProcess(write(folder), environment=environment, before=before) as started:
        yield started


def test_photos_are_answered_by_both_ways(running: DaemonProcess, folder: Path, photos: list[bytes]) -> None:
    """By the port with the record in the response, by the folder at the sink; numba was not asked for."""
    record = running.post("gate", photos[0], "posted.jpg")
    assert record["decided_by"] in {"edge", "edge-fallback"}
    (folder / "in" / ".put.jpg").write_bytes(photos[1])
    (folder / "in" / ".put.jpg").rename(folder / "in" / "put.jpg")
    wait_for(lambda: {one["name"] for one in answers(folder)} >= {"posted.jpg", "put.jpg"})
    wait_for(lambda: not (folder / "in" / "put.jpg").exists())
    assert running.source("yard")["answers"] == {"edge": 1}
    assert running.state()["kernels"].startswith("native")
    assert not (folder / "imported").exists()


def test_it_says_that_it_is_ready(running: DaemonProcess) -> None:
    """To the service manager, and to whoever asks its port."""
    assert running.notices[0] == "READY=1"
    assert any(notice.startswith("STATUS=") for notice in running.notices)
    status, body = running.request("GET", "/readyz")
    assert (status, json.loads(body)["level"]) == (200, "ok")
    assert running.request("GET", "/livez")[0] == 200
    assert b"edge_runtime_frames_total" in running.request("GET", "/metrics")[1]


def bomb() -> bytes:
    """A PNG of 100 megapixels in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 10_000
    pixels = zlib.compress(bytes(side * (3 * side + 1)), 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_bad_photos_are_refused_and_the_next_one_is_answered(running: DaemonProcess, photos: list[bytes]) -> None:
    """What looks like a photo and is none, or is far more of one than its bytes say."""
    large = bomb()
    assert len(large) < 1 << 20
    resident = running.figures().resident
    for bad in (photos[0][:1000], b"To whom it may concern", photos[0][:4] + bytes(1000), large):
        refused = running.post("gate", bad)
        assert (refused["status"], "cannot be read as a picture" in refused["error"]) == (422, True)
        assert "label" in running.post("gate", photos[0])
    # Its pixels alone would be 300 MB.
    assert running.figures().resident - resident < 100 << 20


def test_a_reload_changes_what_it_says_and_a_broken_one_nothing(
    running: DaemonProcess, folder: Path, photos: list[bytes]
) -> None:
    """The reason is in the log and in the conditions, until the next good one."""
    extra = '[[source]]\nname = "extra"\nkind = "http"\nsystem = { kind = "local" }\n'
    write(folder, extra)
    running.reload()
    assert "label" in running.post("extra", photos[0])
    for broken, reason in [
        ("nonsense = 1", "nonsense"),
        (extra + 'bundle = "/none"\n', "/none/bundle.toml: no such file"),
        ("[[", "is not TOML"),
    ]:
        write(folder, broken)
        running.reload()
        body = json.loads(running.request("GET", "/readyz")[1])
        (condition,) = [one for one in body["conditions"] if one["name"] == "configuration"]
        assert condition["level"] == "degraded"
        assert reason in condition["reason"]
        assert any("kept as it was" in line and reason in line for line in running.log)
        assert "label" in running.post("extra", photos[0])
    write(folder)
    running.reload()
    assert json.loads(running.request("GET", "/readyz")[1])["level"] == "ok"
    assert running.post("extra", photos[0])["status"] == 404


def test_the_end_answers_what_was_captured(tmp_path: Path, photos: list[bytes]) -> None:
    """Told to end with frames in the queue, it answers them, writes them down, and says goodbye."""
    with DaemonProcess(write(tmp_path)) as ending, ThreadPoolExecutor(24) as posting:
        posts = [posting.submit(ending.post, "gate", photos[0], str(number)) for number in range(24)]
        wait_for(lambda: any(post.done() for post in posts))
        assert ending.stop() == 0
        found = [post.exception() or post.result() for post in posts]
        answered = [one["name"] for one in found if isinstance(one, dict) and "label" in one]
        assert "STOPPING=1" in ending.notices
    assert answered
    # A request that had not come to its end may have been cut off; none that was captured was.
    recorded = [one["name"] for one in answers(tmp_path)]
    assert len(set(recorded)) == len(recorded)
    assert set(answered) <= set(recorded)
