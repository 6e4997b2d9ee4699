"""What the rows of the race say: intervals, where our codec is best, by how much, and where it is not.

Intervals are 95 % of a bootstrap over photos. All codecs see the same photos, so differences are paired: resampling
photos then comes down to drawing how many answered better, alike and worse.
"""

from __future__ import annotations

import base64
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from feature_networks import PHOTO
from feature_rivals import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

Row: TypeAlias = dict[str, Any]
Point: TypeAlias = tuple[str, str, int]
RESAMPLES = 20_000


def interval(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Between which bounds the share of ``first`` exceeds that of ``second``, over the same photos."""
    change = first.astype(int) - second.astype(int)
    counts = np.bincount(change + 1, minlength=3)
    drawn = np.random.default_rng(0).multinomial(len(change), counts / len(change), RESAMPLES)
    low, high = np.quantile((drawn[:, 2] - drawn[:, 0]) / len(change), [0.025, 0.975])
    return float(low), float(high)


def to_text(flags: NDArray[np.bool_]) -> str:
    """Flags as short text, for a row."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


def from_text(row: Row) -> NDArray[np.bool_]:
    """Which photos a row's codec had right."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(row["correct"]), np.uint8))
    return bits[: row["photos"]].astype(bool)


def summarise(rows: list[Row]) -> dict[str, Any]:
    """The figures of the whole race; empty before our codec has run."""
    by_point = points(rows)
    if not any(OURS in codecs for codecs in by_point.values()):
        return {}
    return {
        **_shares("ff", by_point),
        **_shares("ff_with_photo", with_photo(by_point, rows)),
        **_all_ratios(rows),
        "largest_loss_reduction": _largest(by_point, _loss_reduction),
        "largest_time_reduction": _largest(by_point, _time_reduction),
        "rivals_ahead": _rivals_ahead(with_photo(by_point, rows)),
    }


def points(rows: list[Row]) -> dict[Point, dict[str, Row]]:
    """Feature codecs that can play, by network, cut and budget."""
    found: dict[Point, dict[str, Row]] = {}
    for row in rows:
        if row["can_play"] and row["cut"] != PHOTO:
            found.setdefault((row["network"], row["cut"], row["budget"]), {})[row["codec"]] = row
    return found


def with_photo(by_point: dict[Point, dict[str, Row]], rows: list[Row]) -> dict[Point, dict[str, Row]]:
    """The same points with the photo itself among the codecs."""
    photos = [row for row in rows if row["can_play"] and row["cut"] == PHOTO]
    return {
        point: codecs | {row["codec"]: row for row in photos if (row["network"], row["budget"]) == (point[0], point[2])}
        for point, codecs in by_point.items()
    }


def _shares(name: str, by_point: dict[Point, dict[str, Row]]) -> dict[str, Any]:
    """How often our loss is the lowest, or not told from the lowest, where there is a choice."""
    contested = [codecs for codecs in by_point.values() if len(codecs) > 1]
    lowest = [
        OURS in codecs and all(codecs[OURS]["loss"] <= row["loss"] for row in codecs.values()) for codecs in contested
    ]
    level = [OURS in codecs and not any(_beats(row, codecs[OURS]) for row in codecs.values()) for codecs in contested]
    return {
        f"{name}_best_share": _share(level),
        f"{name}_lowest_share": _share(lowest),
        f"{name}_points": len(contested),
    }


def _share(flags: list[bool]) -> float:
    return round(sum(flags) / max(len(flags), 1), 4)


def _beats(row: Row, other: Row) -> bool:
    """Whether ``row`` answers more photos, the paired interval of the difference not reaching zero."""
    return row["loss"] < other["loss"] and interval(from_text(row), from_text(other))[0] > 0


def _all_ratios(rows: list[Row]) -> dict[str, Any]:
    """Our time over each rival's, to encode and to decode; zfp also as its fastest mode at each point."""
    timed = [row for row in rows if row["codec"] != OURS and row["can_play"] and "encode_ratio" in row]
    found: dict[str, Any] = {}
    for what in ("encode", "decode"):
        for codec in dict.fromkeys(row["codec"] for row in timed):
            own = [row[f"{what}_ratio"]["ratio"] for row in timed if row["codec"] == codec]
            found |= _ratios(f"{what}_ratio_vs_{'_'.join(re.findall('[a-z0-9]+', codec.lower()))}", own)
        fastest: dict[Point, float] = {}
        for row in timed:
            if row["codec"].startswith("zfp"):
                point = row["network"], row["cut"], row["budget"]
                fastest[point] = max(fastest.get(point, 0.0), row[f"{what}_ratio"]["ratio"])
        found |= _ratios(f"{what}_ratio_vs_zfp", list(fastest.values()))
    return found


def _ratios(name: str, ratios: list[float]) -> dict[str, Any]:
    """Median over points of our time over the codec's, with the 10 % and 90 % quantiles."""
    if not ratios:
        return {}
    low, high = np.quantile(ratios, [0.1, 0.9])
    return {
        name: round(float(np.median(ratios)), 3),
        f"{name}_spread": [round(low, 3), round(high, 3)],
        f"{name}_points": len(ratios),
    }


def _loss_reduction(own: Row, rival: Row) -> float | None:
    """1 - our loss over the rival's, where the rival's is more than chance; a gain counts as no loss."""
    return 1 - max(own["loss"], 0) / rival["loss"] if rival["loss_interval"][0] > 0 else None


def _time_reduction(own: Row, rival: Row) -> float | None:
    """1 - our time to encode and decode over the rival's."""
    if "encode_ms" not in own or "encode_ms" not in rival:
        return None
    return 1 - (own["encode_ms"] + own["decode_ms"]) / (rival["encode_ms"] + rival["decode_ms"])


def _largest(
    by_point: dict[Point, dict[str, Row]], reduction: Callable[[Row, Row], float | None]
) -> list[dict[str, Any]]:
    """Per existing compressor, the point of the largest reduction; the largest of all first."""
    found = [
        {"codec": name, **_place(own), "reduction": round(share, 4), "ff": _figures(own), "rival": _figures(row)}
        for codecs in by_point.values()
        if (own := codecs.get(OURS))
        for name, row in codecs.items()
        if name != OURS and (share := reduction(own, row)) is not None
    ]
    found.sort(key=lambda entry: (entry["codec"], -entry["reduction"]))
    best = [next(entries) for _, entries in groupby(found, key=lambda entry: entry["codec"])]
    return sorted(best, key=lambda entry: -entry["reduction"])


def _rivals_ahead(by_point: dict[Point, dict[str, Row]]) -> list[dict[str, Any]]:
    """Points where a rival loses less than ours, or ours cannot play; ``known`` where by more than chance."""
    ahead = []
    for codecs in by_point.values():
        own = codecs.get(OURS)
        row = min((row for name, row in codecs.items() if name != OURS), key=lambda row: row["loss"], default=None)
        if row and (own is None or row["loss"] < own["loss"]):
            place = _place(next(iter(codecs.values())))
            known = own is None or _beats(row, own)
            ahead.append({"codec": row["codec"], **place, "ff": _figures(own), "rival": _figures(row), "known": known})
    return ahead


def _place(row: Row) -> dict[str, Any]:
    return {key: row[key] for key in ("network", "cut", "budget")}


def _figures(row: Row | None) -> dict[str, Any] | None:
    return {key: row[key] for key in ("loss", "mean_bytes", "encode_ms", "decode_ms") if key in row} if row else None


def blocks(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows by network and cut."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["network"], row["cut"]), []).append(row)
    return found


def table(rows: Iterable[Row]) -> str:
    """Loss in points by codec and budget, one block per network and cut; a dash where a codec cannot play."""
    lines = []
    for (network, cut), found in blocks(rows).items():
        first, budgets = found[0], sorted({row["budget"] for row in found})
        lines.append(f"{network} {cut} {first['shape']}, {first['photos']} photos, clean {first['clean_accuracy']:.1%}")
        lines.append(" " * 30 + "".join(f"{budget:>9}" for budget in budgets))
        for codec in dict.fromkeys(row["codec"] for row in found):
            losses = {row["budget"]: row["loss"] * 100 for row in found if row["codec"] == codec and row["can_play"]}
            cells = (f"{losses[budget]:9.1f}" if budget in losses else f"{'-':>9}" for budget in budgets)
            lines.append(f"{codec:30}" + "".join(cells))
    return "\n".join(lines)
