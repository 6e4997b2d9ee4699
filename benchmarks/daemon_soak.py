"""The daemon for an hour: frames by HTTP and by a folder, cuts, silences, reloads, a receiver that fails at times.

    python benchmarks/daemon_soak.py --data PHOTOS --json benchmarks/results/daemon_soak.json

Every ten seconds the kernel is asked what the process holds. Memory's slope is that of a line through the samples of
the last three quarters, for what is loaded at first use is no leak, and once more through those of the second half.
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from daemon_link import SHAPE, SYSTEMS, Setting, source
from daemon_process import DaemonProcess, put
from tqdm import tqdm

from edge_runtime.models import Bundle
from edge_runtime.photos import photo_files
from edge_runtime.transport.shaper import Shaper
from server_ref.backend import Backend
from server_ref.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FRAMES_A_SECOND, SAMPLE_S = 10.0, 10.0
MIB = 1 << 20


class Receiver:
    """Takes answers by HTTP, and refuses them for a while now and then; a context manager."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()
        self.away = threading.Event()
        received, away = self.keys, self.away

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if not away.is_set():
                    received[self.headers["Idempotency-Key"]] += 1
                self.send_response(503 if away.is_set() else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/answers"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def soak(photos: Sequence[bytes], seconds: float, seed: int = 0) -> dict[str, Any]:
    """Run so long; what became of the frames, and what the process held meanwhile."""
    chance = random.Random(seed)
    bundle, system = SYSTEMS["attention"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Backend.open(Bundle.load(bundle))) as server,
        Shaper(server.address, SHAPE) as shaper,
        Receiver() as receiver,
    ):
        setting = Setting(Path(folder), shaper.address)
        watched = setting.folder / "in"
        tables = f"""
[spool]
path = "{setting.folder}/spool.db"
[[sink]]
name = "receiver"
kind = "http"
url = "{receiver.url}"
"""
        # Half of the frames are asked about, so that sure answers, audits and the server all have their share.
        tables += source("posted", bundle, '{ kind = "attention", eta = 0.3 }', more="audit = 0.1\nask_later = true")
        tables += source("watched", bundle, system, "folder", f'path = "{watched}"\nafter = "delete"\nmax_fps = 50')
        config = setting.config(tables)
        with DaemonProcess(config) as daemon, ThreadPoolExecutor(8) as posting:
            samples: list[dict[str, float]] = []
            told: Counter[str] = Counter()
            troubles = _troubles(chance, shaper, receiver, daemon, config)
            posts, fed = [], 0
            start_s = trouble_s = sample_s = time.monotonic()
            with tqdm(total=round(seconds), unit="s", mininterval=5) as progress:
                while (now := time.monotonic()) < start_s + seconds:
                    _feed(daemon, watched, photos, fed, posting, posts)
                    fed += 1
                    if now >= trouble_s:
                        kind, act = next(troubles)
                        posting.submit(act).add_done_callback(lambda done: done.result())
                        told[kind] += 1
                        trouble_s = now + chance.uniform(1.0, 6.0)
                    if now >= sample_s:
                        samples.append(_sample(daemon, now - start_s))
                        sample_s += SAMPLE_S
                    progress.update(int(now - start_s) - progress.n)
                    time.sleep(max(start_s + fed / FRAMES_A_SECOND - time.monotonic(), 0.0))
            shaper.resume()
            receiver.away.clear()
            for post in posts:
                post.result()
            _drained(daemon, watched, setting, fed)
            errors = [line for line in daemon.log if '"level": "error"' in line and "kept as it was" not in line]
            assert daemon.stop() == 0
        return _report(setting, receiver, samples, told, fed, errors)


def _feed(
    daemon: DaemonProcess, watched: Path, photos: Sequence[bytes], number: int, posting: ThreadPoolExecutor, posts: Any
) -> None:
    photo, name = photos[number % len(photos)], f"{number}.jpg"
    if number % 2:
        posts.append(posting.submit(daemon.post, "posted", photo, name))
        return
    put(watched, name, photo)


def _troubles(
    chance: random.Random, shaper: Shaper, receiver: Receiver, daemon: DaemonProcess, config: Path
) -> Iterator[tuple[str, Callable[[], None]]]:
    """What goes wrong next, for ever: its name, and what does it (and mends it again)."""
    fine = config.read_text()

    def silence() -> None:
        shaper.silence()
        time.sleep(1.5)
        shaper.resume()

    def receiver_away() -> None:
        receiver.away.set()
        time.sleep(3.0)
        receiver.away.clear()

    def reload(text: str) -> None:
        config.write_text(text)
        daemon.reload()

    def look_at_the_page() -> None:
        for path in ("/", "/state", "/metrics", "/readyz"):
            daemon.request("GET", path)

    while True:
        changed = fine.replace("max_fps = 50", f"max_fps = {chance.randint(40, 60)}")
        yield chance.choice(
            [
                ("cut", shaper.cut),
                ("cut", shaper.cut),
                ("silence", silence),
                ("receiver away", receiver_away),
                ("page", look_at_the_page),
                ("reload", lambda changed=changed: reload(changed)),
                ("refused reload", lambda: reload(fine + "\nnonsense = 1\n")),
            ]
        )


def _sample(daemon: DaemonProcess, at_s: float) -> dict[str, float]:
    figures = daemon.figures()
    text = daemon.request("GET", "/metrics")[1].decode()
    tasks = next(line.split()[1] for line in text.splitlines() if line.startswith("edge_runtime_loop_tasks "))
    return {"at_s": at_s, **figures._asdict(), "tasks": float(tasks)}


def _drained(daemon: DaemonProcess, watched: Path, setting: Setting, fed: int) -> None:
    """Wait until every frame is at both sinks."""
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        first = sum(1 for record in setting.records() if not record["revises"])
        spooled = daemon.state()["spool"]["items"]
        if not list(watched.glob("*.jpg")) and first >= fed and not spooled:
            return
        time.sleep(0.5)


def _report(
    setting: Setting,
    receiver: Receiver,
    samples: list[dict[str, float]],
    told: Counter[str],
    fed: int,
    errors: list[str],
) -> dict[str, Any]:
    records = [record for record in setting.records() if not record["revises"]]
    times = Counter(record["name"] for record in records)

    def slope(key: str, unit: float = 1.0, after: float = 0.25) -> float:
        settled = samples[int(len(samples) * after) :]
        at_h = np.array([one["at_s"] for one in settled]) / 3600
        values = np.array([one[key] for one in settled]) / unit
        return float(np.polyfit(at_h, values, 1)[0]) if len(settled) > 1 else 0.0

    return {
        "seconds": samples[-1]["at_s"],
        "frames": fed,
        "not_answered": fed - len(times),
        "answered_twice": sum(1 for found in times.values() if found > 1),
        "not_at_receiver": sum(1 for record in records if record["key"] not in receiver.keys),
        "late": sum(1 for record in records if not record["in_time"]),
        "decided_by": dict(Counter(record["decided_by"] for record in records)),
        "troubles": dict(told),
        "errors": errors[:20],
        "resident_mib_an_hour": slope("resident", MIB),
        "resident_mib_an_hour_second_half": slope("resident", MIB, after=0.5),
        "descriptors_an_hour": slope("descriptors"),
        "threads_an_hour": slope("threads"),
        "tasks_an_hour": slope("tasks"),
        "first": samples[0],
        "last": samples[-1],
        "samples": {key: [round(one[key], 1) for one in samples] for key in samples[0]},
    }


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="photos: a folder or a tar file")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    photos = [data for _, data in photo_files(options.data)[::37][:100]]
    found = soak(photos, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: value for key, value in found.items() if key != "samples"}, indent=1))


if __name__ == "__main__":
    main()
