"""The daemon and a bad link: cuts in mid-request, a dead server, and its return.

    python benchmarks/daemon_link.py --data PHOTOS --json benchmarks/results/daemon_link.json

The daemon runs in a process of its own, its server in this one, and the link between them goes through the shaper.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from daemon_process import DaemonProcess, put

from edge_runtime.models import Bundle
from edge_runtime.photos import photo_files
from edge_runtime.transport.shaper import LinkShape, Shaper
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

ZOO = Path(__file__).parents[1] / "zoo"
# Every frame is to be asked about: a gate that is sure would hide the link.
SYSTEMS = {
    "attention": (ZOO, '{ kind = "attention", eta = 0.0 }'),
    "amot": (ZOO / "amot", '{ kind = "amot" }'),
    "slimmable": (ZOO / "slimmable", '{ kind = "slimmable" }'),
    "bps": (ZOO / "lite0", '{ kind = "bps" }'),
}
LITE0 = '{ kind = "local", edge_model = "lite0" }'
# Who answers when the server does not.
ANSWERS_ALONE = {
    "attention": "light transformer",
    "amot": "light transformer",
    "slimmable": "light transformer",
    "bps": "lite0",
}
NOBODY = "127.0.0.1:1"
WARM_UP = 10
SHAPE = LinkShape.parse("20mbit/40ms")
DEADLINE_MS = 500
PROBE_FIRST_MS, PROBE_LONGEST_MS = 100, 1000
FRAMES_A_SECOND = 25.0


class Setting(NamedTuple):
    """A source's table and the folder it is run in."""

    folder: Path
    server: str

    def config(self, tables: str) -> Path:
        """Write a configuration with these sources; answers go to a file."""
        path = self.folder / "config.toml"
        path.write_text(
            f"""
[http]
listen = "127.0.0.1:0"
[link]
server = "{self.server}"
probe_first_ms = {PROBE_FIRST_MS}
probe_longest_ms = {PROBE_LONGEST_MS}
[[sink]]
name = "file"
kind = "jsonl"
path = "{self.sink}"
{tables}
"""
        )
        return path

    @property
    def sink(self) -> Path:
        """Where the answers go."""
        return self.folder / "answers.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """All that the sink holds, in files that were renamed meanwhile too, the oldest first."""
        files = sorted(self.folder.glob(f"{self.sink.name}*"), reverse=True)
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def source(name: str, bundle: Path, system: str, kind: str = "http", more: str = "") -> str:
    """A source's table; systems without an answer of their own fall back on the light transformer."""
    return f"""
[[source]]
name = "{name}"
kind = "{kind}"
bundle = "{bundle}"
system = {system}
fallback = "{ZOO}"
deadline_ms = {DEADLINE_MS}
queue = 64
{more}
"""


def cuts(system: str, photos: Sequence[bytes], count: int, seed: int = 0) -> dict[str, Any]:
    """Cut the link so many times at random while frames come by HTTP and by a folder; what became of the frames."""
    bundle, table = SYSTEMS[system]
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Backend.open(Bundle.load(bundle))) as server,
        Shaper(server.address, SHAPE) as shaper,
    ):
        setting = Setting(Path(folder), shaper.address)
        watched = setting.folder / "in"
        tables = source("posted", bundle, table) + source(
            "watched", bundle, table, "folder", f'path = "{watched}"\nafter = "delete"'
        )
        with DaemonProcess(setting.config(tables)) as daemon:
            names = _feed(daemon, watched, photos, shaper, count, chance)
            _await(lambda: not list(watched.glob("*.jpg")) and len(setting.records()) >= len(names), 30)
            assert daemon.stop() == 0
        return _judged(setting.records(), names, count)


def _feed(
    daemon: DaemonProcess, watched: Path, photos: Sequence[bytes], shaper: Shaper, count: int, chance: random.Random
) -> list[str]:
    """Frames at a steady rate, every other one by each way, until the last cut is over; the names that were fed."""
    over, names = threading.Event(), []
    with ThreadPoolExecutor(8) as posting:

        def cut() -> None:
            for _ in range(count):
                over.wait(chance.uniform(0.2, 0.6))
                shaper.cut()
            over.wait(1.0)
            over.set()

        cutter = threading.Thread(target=cut)
        cutter.start()
        posts = []
        start_s = time.monotonic()
        while not over.wait(max(start_s + len(names) / FRAMES_A_SECOND - time.monotonic(), 0.0)):
            number = len(names)
            photo, name = photos[number % len(photos)], f"{number}.jpg"
            if number % 2:
                posts.append(posting.submit(daemon.post, "posted", photo, name))
            else:
                put(watched, name, photo)
            names.append(name)
        cutter.join()
        for post in posts:
            found = post.result()
            assert "label" in found, found
    return names


def _judged(records: Sequence[dict[str, Any]], names: Sequence[str], count: int) -> dict[str, Any]:
    times = Counter(record["name"] for record in records)
    late = [record["latency_ms"] for record in records if not record["in_time"]]
    lost = [record for record in records if record["decided_by"] == "edge-fallback"]
    return {
        "cuts": count,
        "frames": len(names),
        "not_answered": len(set(names) - times.keys()),
        "answered_twice": sum(1 for found in times.values() if found > 1),
        "late": len(late),
        "latest_ms": max((record["latency_ms"] for record in records), default=0.0),
        "deadline_ms": DEADLINE_MS,
        "decided_by": dict(Counter(record["decided_by"] for record in records)),
        "lost_under_way": sum(1 for record in lost if "not asked" not in record["why"]),
    }


def dead_server(photos: Sequence[bytes], frames: int) -> dict[str, Any]:
    """What a frame costs once the breaker is open, beside the device alone: the same photos, one after the other.

    Each system is held against the network that answers in its server's place.
    """
    alone = {"light transformer": (ZOO, '{ kind = "local" }'), "lite0": (ZOO / "lite0", LITE0)}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), NOBODY)
        names = {name: f"source-{number}" for number, name in enumerate((*alone, *SYSTEMS))}
        tables = "".join(source(names[name], *rest) for name, rest in (alone | SYSTEMS).items())
        with DaemonProcess(setting.config(tables)) as daemon:
            taken: dict[str, list[float]] = {name: [] for name in names}
            for number in range(frames + WARM_UP):
                for name, posted in names.items():
                    record = daemon.post(posted, photos[number % len(photos)])
                    if number >= WARM_UP:
                        taken[name].append(record["latency_ms"])
    found: dict[str, Any] = {"frames": frames}
    for name in SYSTEMS:
        rival = ANSWERS_ALONE[name]
        more = np.array(taken[name]) - np.array(taken[rival])
        low, high = np.percentile(more, [25, 75])
        found[name] = {
            "alone": rival,
            "alone_ms": float(np.median(taken[rival])),
            "more_ms": float(np.median(more)),
            "quartiles_ms": [float(low), float(high)],
        }
    return found


def recovery(photos: Sequence[bytes], times: int, seed: int = 0) -> dict[str, Any]:
    """How long after the server's return requests pass again, in the longest probe intervals."""
    chance = random.Random(seed)
    backend = Backend.open(Bundle.load(ZOO))
    server = Server(backend)
    port = int(server.address.rpartition(":")[2])
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), server.address)
        with DaemonProcess(setting.config(source("posted", *SYSTEMS["attention"]))) as daemon:
            noticed = []
            for _ in range(times):
                assert daemon.post("posted", photos[0])["decided_by"] == "server"
                server.stop()
                daemon.post("posted", photos[0])
                _await(lambda: _breaker(daemon) != "closed", 10)
                # Long enough for the interval to have grown to its longest, and at no fixed phase of it.
                time.sleep(chance.uniform(3.0, 4.0))
                server = Server(backend, port=port)
                start_s = time.monotonic()
                _await(lambda: _breaker(daemon) == "closed", 10)
                noticed.append(time.monotonic() - start_s)
    server.stop()
    intervals = np.array(noticed) / (PROBE_LONGEST_MS / 1e3)
    return {
        "times": times,
        "probe_ms": PROBE_LONGEST_MS,
        "median": float(np.median(intervals)),
        "most": float(intervals.max()),
    }


def _breaker(daemon: DaemonProcess) -> str:
    (link,) = daemon.state()["links"]
    return str(link["breaker"])


def _await(happened: Any, timeout_s: float) -> None:
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, f"still waiting after {timeout_s:.0f} s"
        time.sleep(0.01)


def main() -> None:
    """Run all, or the parts that are named, and replace them in the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photos: a folder or a tar file")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--frames", type=int, default=300, help="of each system with the server dead")
    parser.add_argument("--parts", nargs="*", default=["cuts", "dead", "recovery"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    photos = [data for _, data in photo_files(options.data)[::37][:100]]
    found = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    if "cuts" in options.parts:
        found["cuts"] = {}
        for system in SYSTEMS:
            found["cuts"][system] = cuts(system, photos, options.cuts)
            print(system, found["cuts"][system], flush=True)
    if "dead" in options.parts:
        found["dead"] = dead_server(photos, options.frames)
        print("dead", found["dead"], flush=True)
    if "recovery" in options.parts:
        found["recovery"] = recovery(photos, 20)
        print("recovery", found["recovery"], flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
