"""Writes the tables of README and docs from the figures in `benchmarks/results`, so that none is typed by hand.

python benchmarks/figures.py
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from amot_figures import (
    AGAINST_HEAD,
    LIGHT_HEAD,
    PLANE_HEAD,
    RECOVERY_HEAD,
    against_rows,
    amot_rows,
    light_rows,
    plane_rows,
    recovery_rows,
)
from amot_figures import RACE_HEAD as LINKS_HEAD
from amot_figures import race_rows as link_rows
from bps_figures import (
    ARRIVING_HEAD,
    BUSY_HEAD,
    LEARNED_HEAD,
    OVERLOAD_HEAD,
    SATURATED_HEAD,
    STEP_HEAD,
    VALIDATION_HEAD,
    WRONG_HEAD,
    arriving_rows,
    bps_rows,
    busy_rows,
    learned_rows,
    overload_rows,
    real_table,
    saturated_rows,
    step_rows,
    validation_rows,
    wrong_rows,
)
from daemon_figures import daemon_rows
from kernel_figures import board_rows, performance_tables, sampling_table
from result_files import RESULTS, read
from slimmable_figures import slimmable_rows, slimmable_tables
from split_figures import AHEAD_HEAD, CUT_HEAD, POINT_HEAD, ahead_rows, cut_rows, feature_rows, point_rows, split_rows

from edge_runtime.models import Bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[1]
START, END = "<!-- made by benchmarks/figures.py -->", "<!-- end -->"

EVALUATE = "`edge-runtime evaluate --data PHOTOS --json`"
WITH_VIT = "`edge-runtime evaluate --data PHOTOS --server-model vit-tokens --limit 1000 --json`"
TOUCHSTONE = "`python benchmarks/deit_touchstone.py --weights W --photos P`"
RACE = "`python benchmarks/kernels.py`"

# Fewer points than two cannot be joined by a line to read an accuracy from.
Curve = list[tuple[float, float]]


def main() -> None:
    """Replace each document's tables between their marks."""
    for path, tables in documents().items():
        head, *rest = path.read_text().split(START)
        parts = [f"{START}\n{found}\n{END}{old.split(END)[1]}" for found, old in zip(tables, rest, strict=True)]
        path.write_text("".join([head, *parts]))


def documents() -> dict[Path, list[str]]:
    """Every document with tables, and the tables in their order."""
    return {
        ROOT / "README.md": [
            table(
                ("what", "measured", "by"),
                [
                    *evaluation_rows(),
                    *touchstone_rows(),
                    *race_rows(),
                    *feature_rows(),
                    *split_rows(),
                    *bps_rows(),
                    *amot_rows(),
                    *slimmable_rows(),
                    *board_rows(),
                    *daemon_rows(),
                ],
            ),
            table(PAY_HEAD, pay_rows()),
        ],
        ROOT / "docs" / "systems" / "attention.md": [
            table(("selection or gate", *(f"cost {cost:g}" for cost in COSTS)), [*zoo_orderings(), *deit_orderings()])
        ],
        ROOT / "docs" / "systems" / "split.md": [
            table(POINT_HEAD, point_rows()),
            table(AHEAD_HEAD, ahead_rows()),
            table(CUT_HEAD, cut_rows()),
        ],
        ROOT / "docs" / "systems" / "bps.md": [
            table(LEARNED_HEAD, learned_rows()),
            table(SATURATED_HEAD, saturated_rows()),
            table(BUSY_HEAD, busy_rows()),
            table(ARRIVING_HEAD, arriving_rows()),
            table(*real_table()),
            table(VALIDATION_HEAD, validation_rows()),
            table(WRONG_HEAD, wrong_rows()),
            table(STEP_HEAD, step_rows()),
            table(OVERLOAD_HEAD, overload_rows()),
        ],
        ROOT / "docs" / "systems" / "amot.md": [
            table(AGAINST_HEAD, against_rows()),
            table(PLANE_HEAD, plane_rows()),
            table(RECOVERY_HEAD, recovery_rows()),
            table(LIGHT_HEAD, light_rows()),
            table(LINKS_HEAD, link_rows()),
        ],
        ROOT / "docs" / "systems" / "slimmable.md": [
            table(*one) for one in slimmable_tables(ROOT / "zoo" / "slimmable")
        ],
        ROOT / "docs" / "kernels.md": [table(RACE_HEAD, fused_rows()), table(*sampling_table())],
        ROOT / "docs" / "performance.md": [table(*one) for one in performance_tables()],
        ROOT / "zoo" / "README.md": [table(ZOO_HEAD, zoo_rows())],
    }


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def evaluation_rows() -> list[tuple[str, str, str]]:
    """The attention system with each of the zoo's servers, and the rival a practical person would pick."""
    rows = []
    for title, name, command in (
        ("patch-tolerant CNN server", "val/evaluate.json", EVALUATE),
        ("ViT server", "val/evaluate-vit.json", WITH_VIT),
    ):
        found = read(name)
        low, high = found["accuracy_interval"]
        rows.append(
            (
                f"accuracy, {title}; that server alone; the device alone ({found['photos']:,} photos)",
                (
                    f"{found['accuracy']:.1%} ({low:.1%} to {high:.1%}); {found['server_accuracy']:.1%}; "
                    f"{found['edge_accuracy']:.1%}"
                ),
                command,
            )
        )
        rows.append(
            (
                f"answered on the device; patches per sent photo; cost, {title}",
                f"{found['share_local']:.1%}; {found['patches_per_sent_photo']:.0f} of 196; {found['cost']:.3f}",
                command,
            )
        )
        cheapest = cheapest_rival(found, "jpeg", gate=False)
        rows.append(
            (
                (
                    f"bytes on the wire per photo, both directions; × every photo as JPEG q{found['gate']['quality']}; "
                    f"× the smallest JPEG quality at that accuracy ({cheapest['sending'] if cheapest else 'none'})"
                ),
                (
                    f"{found['wire_bytes']:.0f}; {found['wire_bytes'] / found['jpeg_wire_bytes']:.2f} ×; "
                    + (f"{found['wire_bytes'] / cheapest['wire_bytes']:.2f} ×" if cheapest else "none reaches it")
                ),
                command,
            )
        )
        rival = cheapest_rival(found, "", gate=True)
        rows.append(
            (
                f"the same gate with whole photos, fewest bytes at that accuracy, {title}",
                f"{rival['sending']}: {rival['accuracy']:.1%}, {rival['wire_bytes']:.0f} bytes" if rival else "none",
                command,
            )
        )
    return rows


def cheapest_rival(found: dict[str, Any], codec: str, *, gate: bool) -> dict[str, Any] | None:
    """The cheapest way of sending whole photos that is at least as accurate, behind the same gate or without one."""
    good = [
        point
        for point in found["rivals"]
        if bool(point["uncertainty"]) == gate
        and point["sending"].startswith(codec)
        and point["accuracy"] >= found["accuracy"]
    ]
    return min(good, key=lambda point: point["wire_bytes"], default=None)


def touchstone_rows() -> list[tuple[str, str, str]]:
    """The published edge model through our exporter."""
    found = read("deit_touchstone.json")
    worst = found["largest_difference"]
    return [
        (
            (
                f"DeiT-Tiny, ONNX against PyTorch: logits (of up to {found['largest_logit']:.0f}); attention "
                f"({found['photos_compared']} photos)"
            ),
            f"{worst['logits']:.1e}; {worst['attention']:.1e}",
            TOUCHSTONE,
        ),
        (f"DeiT-Tiny top-1, NIPS17 DEV ({found['photos']:,} photos)", f"{found['top1']:.1%}", TOUCHSTONE),
        (
            "DeiT-Tiny, patches at δ = 0.97 of photos not answered at η = 0.8 (published: 147.96)",
            f"{found['patches_per_sent_photo']:.2f}",
            TOUCHSTONE,
        ),
    ]


def race_rows() -> list[tuple[str, str, str]]:
    """The fused call against what pip offers and against a copy of what it emits."""
    return [
        (
            (
                f"gate, selection, gather and packing in one call, {kept} patches, {classes} classes: × faster than "
                "bottleneck + NumPy; × the time of a memcpy of its bytes"
            ),
            f"{composition}; {copied}",
            RACE,
        )
        for kept, classes, composition, copied, _ in fused_rows()
    ]


RACE_HEAD = ("patches kept", "classes", "composition ÷ gate", "gate ÷ memcpy", "gate with new arrays every call ÷ gate")


def fused_rows() -> list[tuple[str, ...]]:
    """One row per size: ratios of medians with the 10 % and 90 % quantiles of single rounds."""
    rows = []
    for race in read("kernels.json")["fused"]:
        times = race["times"]
        composition = min((row for name, row in times.items() if "bottleneck" in name), key=lambda row: row["ratio"])
        memcpy = times["memcpy of the emitted bytes"]
        low, high = composition["spread"]
        slowest, fastest = memcpy["spread"]
        rows.append(
            (
                f"{race['kept']} of {race['patches']}",
                str(race["classes"]),
                f"{composition['ratio']:.1f} ({low:.1f} to {high:.1f})",
                f"{1 / memcpy['ratio']:.1f} ({1 / fastest:.1f} to {1 / slowest:.1f})",
                f"{times['fused, new arrays every call']['ratio']:.2f}",
            )
        )
    return rows


PAY_HEAD = (
    "codec",
    "δ",
    "patches sent",
    "payload ÷ whole photo's",
    "the same, plain; detailed photos",
    "photos where smaller",
    "accuracy: patches; whole",
)


def pay_rows() -> list[tuple[str, ...]]:
    """Chosen patches against the whole photo in the same codec and quality, on photos that the gate sends."""
    rows = read("where_patches_pay.json")["rows"]
    by_class = {(row["codec"], row["quality"], row["delta"], row["photos"]): row for row in rows}
    table_rows = []
    for codec, quality, delta, name in by_class:
        if name != "all" or quality != 50:
            continue
        every, plain, detailed = (by_class[codec, quality, delta, which] for which in ("all", "plain", "detailed"))
        table_rows.append(
            (
                f"{codec} q{quality}",
                f"{delta:g}",
                f"{every['patches']:.0f}",
                f"{every['bytes_ratio']:.2f}",
                f"{plain['bytes_ratio']:.2f}; {detailed['bytes_ratio']:.2f}",
                f"{every['share_cheaper']:.0%}",
                f"{every['accuracy_patches']:.1%}; {every['accuracy_whole']:.1%}",
            )
        )
    return table_rows


ZOO_HEAD = ("model", "parameters", "million MACs", "files", "held-out training photos")
CURVES = {
    "edge-vit": "edge-vit-attention",
    "edge-vit-layers": "edge-vit-attention",
    "lite0-patch-tolerant": "patch-tolerant",
    "vit-tokens": "server-vit",
}


def zoo_rows() -> list[tuple[str, ...]]:
    """One row per model of the zoo."""
    rows = []
    for model in Bundle.load(ROOT / "zoo").manifest.models:
        curve = (ROOT / "zoo" / "training" / f"{CURVES[model.name]}.jsonl").read_text().splitlines()
        figures = {key: value for key, value in json.loads(curve[-1]).items() if key.startswith("accuracy")}
        rows.append(
            (
                f"`{model.name}`",
                f"{model.parameters:,}",
                f"{model.macs / 1e6:.0f}",
                ", ".join(f"{file.format} {file.precision} {file.bytes / 1e6:.1f} MB" for file in model.files),
                ", ".join(f"{key.replace('_', ' ')} {value:.1%}" for key, value in figures.items()),
            )
        )
    return rows


COSTS = (0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.75)


def zoo_orderings() -> list[tuple[str, ...]]:
    """Scores and rules with every photo sent; uncertainties with the same patches behind the gate."""
    with (RESULTS / "val" / "sweep.csv").open() as file:
        points = list(csv.DictReader(file))
    # Every selection was tried with the sweep's own codec, only sums with others.
    own = next(p["sending"].split(maxsplit=3)[3] for p in points if p["sending"].startswith("last top-k"))
    delta = read("val/evaluate.json")["gate"]["delta"]

    def curve(wanted: Callable[[dict[str, str]], bool]) -> Curve:
        return [(float(p["cost"]), float(p["accuracy"])) for p in points if wanted(p)]

    rows = []
    for start in ("last sum ", "rollout sum ", "last threshold ", "last top-k ", "last random "):
        found = curve(
            lambda p, start=start: (
                not p["uncertainty"] and p["sending"].startswith(start) and p["sending"].endswith(own)
            )
        )
        rows.append(_row(f"zoo, every photo sent: {start.strip()}", found))
    sending = f"last sum {delta:g} {own}"
    for measure in ("min-entropy", "shannon", "margin"):
        found = curve(lambda p, measure=measure: p["sending"] == sending and p["uncertainty"] == measure)
        rows.append(_row(f"zoo, gate on {measure}, sum {delta:g}", found))
    return rows


def deit_orderings() -> list[tuple[str, ...]]:
    """DeiT-Tiny on both sides, raw patches, every photo sent."""
    curves: dict[str, Curve] = {}
    for point in read("deit_touchstone.json")["orderings"]:
        score, *rest = point["selection"].split()
        if rest:
            curves.setdefault(f"DeiT-Tiny, every photo sent: {score} {rest[0]}", []).append(
                (point["cost"], point["accuracy"])
            )
    return [_row(name, found) for name, found in curves.items() if len(found) > 1]


def _row(name: str, curve: Curve) -> tuple[str, ...]:
    """Accuracy at each cost, read off the line between measured points; empty outside of them."""
    costs, accuracies = zip(*sorted(curve), strict=True)
    read_off = [float(np.interp(cost, costs, accuracies, left=math.nan, right=math.nan)) for cost in COSTS]
    return name, *("" if math.isnan(accuracy) else f"{accuracy:.1%}" for accuracy in read_off)


if __name__ == "__main__":
    main()
