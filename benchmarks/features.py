"""Races feature-map codecs: the accuracy each costs, and its time, at equal bytes per photo.

    edge-export split ... --out BUNDLE
    python benchmarks/features.py --bundle BUNDLE --data PHOTOS --json OUT [--cuts ...] [--picture FOLDER]

At every cut of the bundle's network each photo's map is sent by each codec at the finest setting that fits the budget,
photo by photo. A row's loss is the share of photos answered right without compression less the share answered right
with it. A codec that cannot bring 99 % of the photos under a budget cannot play there. Rows already in the JSON file
are kept, so a run can be cut off and another network added; `--again` measures anew. Without a bundle the summary and
the pictures are made from the file.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from feature_networks import PHOTO, frames, never_negative, open_split
from feature_rate import outcomes, times
from feature_rivals import OURS
from feature_summary import interval, summarise, table, to_text
from kernels import fingerprint, run_single_threaded
from tqdm import tqdm

from edge_runtime.labelled_photos import labelled_photos
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feature_networks import Split
    from feature_rate import Outcome, Times
    from feature_summary import Row
    from numpy.typing import NDArray

    from edge_runtime.labelled_photos import Photo

BUDGETS = (1, 2, 4, 8, 16, 32)
KILOBYTE = 1024
CHUNK = 25
ENOUGH = 0.99
PACKAGES = ("zstandard", "zfpy", "simplejpeg", "lz4", "blosc2", "pillow", "onnxruntime")


@dataclass(frozen=True)
class Job:
    """What every process has to know to measure a cut."""

    folder: Path
    cut: str
    nonnegative: bool
    codecs: tuple[str, ...]
    budgets: tuple[int, ...]


def main() -> None:
    """Measure what is missing, then write, print and draw everything."""
    run_single_threaded()
    options = parse()
    known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    race = Race(options.json, known.get("rows", []))
    if options.bundle:
        race.run(options)
    print(table(race.rows))
    print(json.dumps(summarise(race.rows), indent=1))
    if options.picture:
        from feature_pictures import draw

        draw(race.rows, options.picture)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="written by `edge-export split`")
    parser.add_argument("--data", type=Path, help="labelled photos: folder or tar")
    parser.add_argument("--name", help="what the results call the network (default: as the bundle does)")
    parser.add_argument("--json", type=Path, required=True, help="results, kept and added to")
    parser.add_argument("--cuts", nargs="+", help=f"names of cuts; {PHOTO!r} is the photo itself (default: all)")
    parser.add_argument("--codecs", nargs="+", help="whose accuracy to measure (default: all)")
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS, metavar="KB", help="1 KB is 1,024 bytes")
    parser.add_argument("--photos", type=int, help="an even sample of so many")
    parser.add_argument("--timed", type=int, default=40, help="photos for the clock")
    parser.add_argument("--processes", type=int, default=2, help="for accuracy; the clock runs alone")
    parser.add_argument("--timing-only", action="store_true", help="only take the times of rows already there")
    parser.add_argument("--again", action="store_true", help="measure anew what the file has")
    parser.add_argument("--picture", type=Path, metavar="FOLDER", help="draw into this folder")
    options = parser.parse_args()
    if options.bundle and not options.data:
        parser.error("--bundle needs --data")
    return options


class Race:
    """The rows of a result file, and how to add to them."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self.rows = rows
        self._path = path

    def run(self, options: argparse.Namespace) -> None:
        """Accuracy of all cuts in several processes, then times, cut by cut, in this one."""
        bundle = Bundle.load(options.bundle)
        network = options.name or bundle.manifest.splits[0].network
        photos = labelled_photos(options.data, bundle.manifest, limit=options.photos)
        timed = frames(bundle, photos[:: max(1, len(photos) // options.timed)][: options.timed])
        jobs = [job_of(bundle.folder, cut, timed, options) for cut in options.cuts or cuts_of(bundle)]
        if not options.timing_only:
            self._pair(network, len(photos), again=options.again)
            with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
                for job in jobs:
                    codecs = job.codecs if options.again else self._unmeasured(network, job, len(photos))
                    if codecs:
                        self._add(network, accuracy(pool, replace(job, codecs=codecs), photos))
        for job in jobs:
            if options.again or options.timing_only or self._untimed(network, job):
                codecs = tuple({row["codec"] for row in self._of(network, job.cut)})
                self._add_times(network, job.cut, timing(replace(job, codecs=codecs), timed))

    def _pair(self, network: str, photos: int, *, again: bool) -> None:
        """Refuse, or drop, rows of the network over other photos: only the same photos can be compared."""
        others = [row for row in self.rows if row["network"] == network and row["photos"] != photos]
        if others and not again:
            raise SystemExit(
                f"{self._path}: has {network} with {others[0]['photos']} photos, not {photos}; try --again"
            )
        self.rows = [row for row in self.rows if row not in others]

    def _unmeasured(self, network: str, job: Job, photos: int) -> tuple[str, ...]:
        """Codecs that lack a row of the job."""
        known = {(row["codec"], row["budget"]) for row in self._of(network, job.cut) if row["photos"] == photos}
        return tuple(name for name in job.codecs if any((name, budget) not in known for budget in job.budgets))

    def _untimed(self, network: str, job: Job) -> bool:
        return any("encode_ms" not in row for row in self._of(network, job.cut))

    def _of(self, network: str, cut: str) -> list[Row]:
        return [row for row in self.rows if (row["network"], row["cut"]) == (network, cut)]

    def _add(self, network: str, rows: list[Row]) -> None:
        """Put rows in the place of those for the same network, cut, codec and budget."""
        table = {key_of(row): row for row in self.rows}
        table |= {key_of(row): row for row in ({"network": network, **row} for row in rows)}
        self.rows = list(table.values())
        self._write()

    def _add_times(self, network: str, cut: str, taken: Times) -> None:
        for row in self._of(network, cut):
            own, first = (taken.get((name, row["budget"])) for name in (row["codec"], OURS))
            if own is not None:
                row["encode_ms"], row["decode_ms"] = np.median(own, axis=0).round(4).tolist()
            if own is not None and first is not None:
                row["encode_ratio"], row["decode_ratio"] = ratios(first, own)
        self._write()

    def _write(self) -> None:
        machine = fingerprint()
        machine["packages"] |= {name: version(name) for name in PACKAGES}
        head = json.dumps({"machine": machine, **summarise(self.rows)}, indent=1, ensure_ascii=False)
        rows = ",\n".join(f"  {json.dumps(row)}" for row in self.rows)
        self._path.write_text(f'{head[:-2]},\n "rows": [\n{rows}\n ]\n}}\n', encoding="utf-8")


def key_of(row: Row) -> tuple[Any, ...]:
    """What tells a row from others."""
    return tuple(row[name] for name in ("network", "cut", "codec", "budget"))


def cuts_of(bundle: Bundle) -> list[str]:
    """The photo itself and every cut."""
    return [PHOTO, *(split.cut for split in bundle.manifest.splits)]


def job_of(folder: Path, cut: str, photos: NDArray[np.uint8], options: argparse.Namespace) -> Job:
    """One cut's job; ``photos`` tell whether its values are ever negative."""
    split = open_split(folder, cut)
    names = tuple(codec.name for codec in split.codecs if codec.name in (options.codecs or [codec.name]))
    budgets = tuple(round(budget * KILOBYTE) for budget in options.budgets)
    return Job(folder, cut, never_negative(split, photos), names, budgets)


def accuracy(pool: ProcessPoolExecutor, job: Job, photos: list[Photo]) -> list[Row]:
    """A row for each codec and budget, over all photos."""
    chunks = [photos[start : start + CHUNK] for start in range(0, len(photos), CHUNK)]
    parts = list(tqdm(pool.map(answer, repeat(job), chunks), desc=job.cut, total=len(chunks)))
    labels = np.array([photo.label for photo in photos])
    clean = np.concatenate([part[0] for part in parts])
    shape = open_split(job.folder, job.cut).shape
    about = {"cut": job.cut, "shape": list(shape), "photos": len(photos)}
    rows = []
    for codec, budget in parts[0][1]:
        found = [part[1][codec, budget] for part in parts]
        rows.append({**about, "codec": codec, "budget": budget, **figures(found, budget, clean, labels)})
    return rows


def answer(job: Job, photos: list[Photo]) -> tuple[NDArray[np.int64], dict[tuple[str, int], Outcome]]:
    """Answers of the uncompressed network and what came of every codec and budget; runs in a process of its own."""
    split = open_job(job)
    features = split.prefix(frames(Bundle.load(job.folder), photos))
    clean = split.suffix(features).argmax(axis=1)
    return clean, outcomes(split, split.choose(job.codecs), features, job.budgets)


def figures(parts: list[Outcome], budget: int, clean: NDArray[np.int64], labels: NDArray[np.int64]) -> Row:
    """What a row says of one codec at one budget."""
    sizes, answers, controlled = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    right, wanted = answers == labels, clean == labels
    return {
        "can_play": bool((sizes <= budget).mean() >= ENOUGH),
        "mean_bytes": round(float(sizes.mean()), 1),
        "accuracy": float(right.mean()),
        "clean_accuracy": float(wanted.mean()),
        "loss": round(float(wanted.mean() - right.mean()), 6),
        "loss_interval": [round(bound, 6) for bound in interval(wanted, right)],
        "agreement": float((answers == clean).mean()),
        "own_rate_control": float(controlled.mean()),
        "correct": to_text(right),
    }


def timing(job: Job, photos: NDArray[np.uint8]) -> Times:
    """Times of the cut's codecs, on one processor."""
    split = open_job(job)
    with one_processor():
        return times(split, split.choose(job.codecs), split.prefix(photos), job.budgets)


@contextmanager
def one_processor() -> Iterator[None]:
    """Keep this process on one processor, where the system lets us."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


def open_job(job: Job) -> Split:
    """The job's cut."""
    return replace(open_split(job.folder, job.cut), nonnegative=job.nonnegative)


def ratios(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Our time over theirs, to encode and to decode: of the medians, with the 10 % and 90 % quantiles of photos."""
    medians = np.median(ours, axis=0) / np.median(theirs, axis=0)
    spreads = np.quantile(ours / theirs, [0.1, 0.9], axis=0).T
    return [
        {"ratio": round(float(ratio), 3), "spread": spread.round(3).tolist()}
        for ratio, spread in zip(medians, spreads, strict=True)
    ]


if __name__ == "__main__":
    main()
