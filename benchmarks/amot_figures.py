"""Tables of the two-round system: the plane, the light second look, recovery, and the race over changing links."""

from __future__ import annotations

from typing import Any

from result_files import read

SWEEP = "`edge-runtime evaluate --system amot --bundle zoo/amot --data PHOTOS --sweep DIR --rivals zoo --limit 650`"
LIGHT = "`python benchmarks/amot_light.py --bundle zoo/amot --data PHOTOS --out JSON`"
CALIBRATION = "`edge-export calibrate zoo/amot --photos TRAIN --out zoo/amot --report JSON`"
RACE = "`make bench-amot PHOTOS=P`"
DECISION = "`python benchmarks/slo_decision.py --tables zoo/amot/rounds.json`"
OURS, LOSSLESS = "A-MOT", "whole photo, lossless"
JPEG, WEBP = "whole photo, JPEG", "whole photo, WebP"
# What a plan may send on average, as a share of the patches, and the second rounds whose time counts.
MOST_PATCHES, MOST_ASKED = 0.45, 50


def amot_rows() -> list[tuple[str, str, str]]:
    """The README's rows."""
    sweep, light, race = read("val/amot.json"), read("amot_calibration.json")["light"], read("amot_traces.json")
    fewest = frugal(sweep)
    overall = race["overall"]
    ours = overall["policies"][OURS]
    short = [row for row in read("amot_light.json")["looks"] if row["second"] <= MOST_ASKED]
    second = max(short, key=lambda row: float(row["second"]))
    lost, spread = overall["points_lost_for_real"]
    return [
        (
            (
                f"A-MOT: the most accurate of the sweep's plans at {MOST_PATCHES:.0%} of the patches, on the same "
                f"{sweep['photos']} photos; the server on whole photos"
            ),
            f"{_accuracy(fewest)}, {fewest['patches_share']:.0%} of the patches; {sweep['server_accuracy']:.1%}",
            SWEEP,
        ),
        (
            "bytes on the wire, both directions; of the smallest whole photo as accurate: JPEG; WebP",
            "; ".join([f"{fewest['wire_bytes']:,.0f}", *(_smallest(sweep, curve, fewest) for curve in (JPEG, WEBP))]),
            SWEEP,
        ),
        *_on_all_photos(),
        (
            (
                f"A-MOT, light second look at {second['second']} patches ÷ recovering and classifying anew: time; "
                f"accuracy lost ({light['photos']} photos)"
            ),
            f"{_times(second)}; {-100 * light['difference'][0]:.1f} points",
            f"{LIGHT}; {CALIBRATION}",
        ),
        (
            (
                f"A-MOT over changing links, of {overall['meetable']:,} deadlines that an oracle could meet: met; "
                "accuracy lost against the oracle's plans"
            ),
            f"{ours['meetable_in_time']} ({ours['share_of_meetable']:.2%}); {lost:.1f} ± {spread:.1f} points",
            RACE,
        ),
        ("A-MOT, one decision of the planner", f"{read('slo_decision.json')['us']['p50']:.0f} µs", DECISION),
    ]


def _on_all_photos() -> list[tuple[str, str, str]]:
    """Single plans on the whole validation part."""
    return [
        (
            f"A-MOT, plan {row['plan']}, {row['photos']:,} photos; server on whole photos; patches; wire bytes",
            (
                f"{row['accuracy']:.1%}; {row['server_accuracy']:.1%}; {row['patches_share']:.0%}; "
                f"{row['wire_bytes']:,.0f}"
            ),
            "`edge-runtime evaluate --system amot --bundle zoo/amot --data PHOTOS --plan PLAN --json`",
        )
        for row in read("val/amot-plans.json")["plans"]
    ]


def frugal(sweep: dict[str, Any]) -> dict[str, Any]:
    """The most accurate of our points that sends few patches."""
    few = [point for point in sweep["outcomes"] if point["curve"] == OURS and point["patches_share"] <= MOST_PATCHES]
    best: dict[str, Any] = max(few, key=lambda point: point["accuracy"])
    return best


PLANE_HEAD = ("way", "setting", "accuracy (95 %)", "bytes on the wire", "patches", "second rounds")


def plane_rows() -> list[tuple[str, ...]]:
    """Every point of the plane."""
    return [
        (
            point["curve"],
            point["setting"],
            f"{point['accuracy']:.1%} ({point['low']:.1%} to {point['high']:.1%})",
            f"{point['wire_bytes']:,.0f}",
            f"{point['patches_share']:.0%}" if point["patches_share"] else "-",
            f"{point['second_round_share']:.0%}" if point["second_round_share"] else "-",
        )
        for point in read("val/amot.json")["outcomes"]
    ]


AGAINST_HEAD = ("A-MOT", "accuracy", "bytes on the wire", "smallest JPEG as accurate", "smallest WebP as accurate")


def against_rows() -> list[tuple[str, ...]]:
    """Each of our points beside the smallest whole photos that are as accurate."""
    sweep = read("val/amot.json")
    return [
        (
            point["setting"],
            f"{point['accuracy']:.1%}",
            f"{point['wire_bytes']:,.0f}",
            *(_smallest(sweep, curve, point) for curve in (JPEG, WEBP)),
        )
        for point in sweep["outcomes"]
        if point["curve"] == OURS
    ]


LIGHT_HEAD = (
    "patches, then more",
    "light ÷ full, time",
    "drift of the logits",
    "answers changed",
    "accuracy: light; full",
    "lost, points (95 %)",
)


def light_rows() -> list[tuple[str, ...]]:
    """Time by the race, drift and accuracy by calibration, each at its own numbers of patches."""
    timed = [(f"{row['first']} + {row['second']}", _times(row), *("",) * 4) for row in read("amot_light.json")["looks"]]
    judged = []
    for row in read("amot_calibration.json")["light_by_second"]:
        mean, low, high = (-100 * value for value in row["difference"])
        judged.append(
            (
                f"any + {row['second']}",
                "",
                f"{row['drift']:.3f}",
                f"{row['changed']:.1%}",
                f"{row['light']:.1%}; {row['full']:.1%}",
                f"{mean:.1f} ({high:.1f} to {low:.1f})",
            )
        )
    return [*timed, *judged]


RECOVERY_HEAD = (
    "patches, then more",
    "first answer; recovered patches shown as well",
    "after asking by recovered patches",
    "by the nearest colour",
    "by grey",
    "at random",
    "PSNR, dB: recovered; nearest",
)


def recovery_rows() -> list[tuple[str, ...]]:
    """What recovered pixels do to the first answer and to the questions, and how good they are."""
    return [
        (
            f"{row['first']} + {row['second']}",
            f"{row['accuracy']['first']:.1%}; {row['accuracy']['first, recovered shown']:.1%}",
            *(f"{row['accuracy'][name]:.1%}" for name in ("recovered", "nearest", "grey", "random")),
            f"{row['psnr_db']['recovered']:.1f}; {row['psnr_db']['nearest']:.1f}",
        )
        for row in read("recovery.json")["rounds"]
    ]


RACE_HEAD = (
    "trace",
    "deadline",
    "policy",
    "of the oracle's deadlines met",
    "accuracy in time",
    "bytes",
    "second rounds",
)


def race_rows() -> list[tuple[str, ...]]:
    """Every policy in every cell, then all cells together."""
    found = read("amot_traces.json")
    rows = []
    for cell in found["cells"]:
        for name, row in cell["policies"].items():
            met = row["meetable_in_time"] / cell["meetable"] if cell["meetable"] else 1.0
            rows.append(
                (
                    cell["trace"],
                    f"{cell['deadline_ms']:.0f} ms",
                    name,
                    f"{met:.1%}",
                    f"{row['accuracy']:.1%}" if row["accuracy"] is not None else "-",
                    f"{row['wire_bytes']:,.0f}",
                    f"{row['second_rounds'] / row['photos']:.0%}",
                )
            )
    for name, row in found["overall"]["policies"].items():
        met, right = row["share_of_meetable"], row["accuracy"]
        shown = f"{right:.1%}" if right is not None else "-"
        rows.append(("all", "", name, f"{met:.1%}", shown, f"{row['wire_bytes']:,.0f}", ""))
    return rows


def _accuracy(point: dict[str, Any]) -> str:
    return f"{point['accuracy']:.1%} ({point['low']:.1%} to {point['high']:.1%})"


def _smallest(sweep: dict[str, Any], curve: str, ours: dict[str, Any]) -> str:
    """The fewest bytes of a curve that are as accurate as our point, and the ratio to them."""
    good = [one for one in sweep["outcomes"] if one["curve"] == curve and one["accuracy"] >= ours["accuracy"]]
    if not good:
        return "none"
    best = min(good, key=lambda one: float(one["wire_bytes"]))
    return f"{best['setting']}: {best['wire_bytes']:,.0f} ({ours['wire_bytes'] / best['wire_bytes']:.2f} ×)"


def _times(row: dict[str, Any]) -> str:
    times = row["times"]["light look"]
    return f"{times['ratio']:.2f} × ({times['spread'][0]:.2f} to {times['spread'][1]:.2f})"
