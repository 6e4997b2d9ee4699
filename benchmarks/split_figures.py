"""Tables of the split system: the race of feature codecs, and every cut over a link."""

from __future__ import annotations

from typing import Any

from result_files import read

FEATURES = "`make bench-features BUNDLE=B PHOTOS=P`"
OURS = "FF"


def feature_rows() -> list[tuple[str, str, str]]:
    """Our feature codec against what a user would pick, over every network, cut and budget of the race."""
    found = read("features.json")
    loss, slow = found["largest_loss_reduction"][0], found["largest_time_reduction"][0]
    rows = [
        (
            (
                f"FF: of {found['ff_points']} points of the race, those where no other feature codec is known to lose "
                "fewer answers (95 %); where none was seen to"
            ),
            f"{found['ff_best_share']:.0%}; {found['ff_lowest_share']:.0%}",
        ),
        (
            f"the same with the whole photo as JPEG or WebP among the rivals, {found['ff_with_photo_points']} points",
            f"{found['ff_with_photo_best_share']:.0%}; {found['ff_with_photo_lowest_share']:.0%}",
        ),
        (f"FF: largest reduction of accuracy loss: against {_place(loss)}", f"{loss['reduction']:.1%}"),
        (f"FF: largest reduction of time to encode and decode: against {_place(slow)}", f"{slow['reduction']:.1%}"),
    ]
    for name, key in (("JPEG tiles (libjpeg-turbo)", "jpeg_tiles"), ("zfp, its fastest mode", "zfp")):
        rows.append((f"FF, time at equal bytes ÷ that of {name}: encode; decode", f"{_ratio(key, found)}"))
    return [(*row, FEATURES) for row in rows]


def _ratio(key: str, found: dict[str, Any]) -> str:
    """Median over points with the 10 % and 90 % quantiles."""
    names = [f"{what}_ratio_vs_{key}" for what in ("encode", "decode")]
    parts = [(found[name], *found[f"{name}_spread"]) for name in names]
    return "; ".join(f"{ratio:.2f} ({low:.2f} to {high:.2f})" for ratio, low, high in parts)


def _place(entry: dict[str, Any]) -> str:
    """A point of the race and the rival there."""
    return f"{entry['codec']}, {entry['network']} at {entry['cut']}, {entry['budget'] // 1024} KB"


POINT_HEAD = ("network", "cut", "photos", "budget", "FF: answers lost", "best other feature codec", "best photo")


def point_rows() -> list[tuple[str, ...]]:
    """Answers lost at every cut and budget; a codec that cannot go so low is not there."""
    rows = [row for row in read("features.json")["rows"] if row["can_play"]]
    photos = [row for row in rows if row["cut"] == "photo"]
    points: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in rows:
        if row["cut"] != "photo":
            points.setdefault((row["network"], row["cut"], row["budget"]), []).append(row)
    found = []
    for (network, cut, budget), here in points.items():
        own = next((row for row in here if row["codec"] == OURS), None)
        others = [row for row in here if row["codec"] != OURS]
        whole = [row for row in photos if (row["network"], row["budget"]) == (network, budget)]
        shape = "×".join(map(str, here[0]["shape"]))
        place = network, f"{cut}, {shape}", f"{here[0]['photos']:,}", f"{budget // 1024} KB"
        found.append((*place, _lost(own), _best(others), _best(whole)))
    return found


def _lost(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    low, high = row["loss_interval"]
    return f"{100 * row['loss']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _best(rows: list[dict[str, Any]]) -> str:
    best = min(rows, key=lambda row: row["loss"], default=None)
    return f"{best['codec']}: {_lost(best)}" if best else ""


AHEAD_HEAD = ("network", "cut", "budget", "rival", "its loss", "FF's")


def ahead_rows() -> list[tuple[str, ...]]:
    """Points where a rival, the photo included, loses significantly fewer answers than FF."""
    return [
        (
            entry["network"],
            entry["cut"],
            f"{entry['budget'] // 1024} KB",
            entry["codec"],
            f"{100 * entry['rival']['loss']:.1f} %",
            f"{100 * entry['ff']['loss']:.1f} %" if entry["ff"] else "cannot go so low",
        )
        for entry in read("features.json")["rivals_ahead"]
        if entry["known"]
    ]


SPLIT = "`edge-runtime evaluate --system split --bundle zoo/lite0 --data PHOTOS --budget 4096 --link 5mbit/20ms --json`"
CUT_HEAD = ("what is sent", "accuracy", "loss", "payload bytes", "device ms", "link ms", "server ms", "total ms, p50")


def cut_rows() -> list[tuple[str, ...]]:
    """Each cut of the zoo's network over a shaped link, beside its rivals."""
    return [
        (
            one["name"],
            f"{one['accuracy']:.1%} ({one['accuracy_interval'][0]:.1%} to {one['accuracy_interval'][1]:.1%})",
            f"{100 * one['loss']:.1f} %",
            f"{one['payload_bytes']:,.0f}",
            *(f"{one['latency_ms'][side]['p50']:.1f}" for side in ("device", "link", "server", "total")),
        )
        for one in read("val/split.json")["outcomes"]
    ]


def split_rows() -> list[tuple[str, str, str]]:
    """The quickest cut and the quickest photo that loses no more, on the same link."""
    outcomes = read("val/split.json")["outcomes"]
    cuts = [one for one in outcomes if one["cut"] and one["codec"] == "ff"]
    best = min(cuts, key=lambda one: one["latency_ms"]["total"]["p50"])
    photos = [one for one in outcomes if not one["cut"] and one["loss"] <= best["loss"]]
    rival = min(photos, key=lambda one: one["latency_ms"]["total"]["p50"])
    return [
        (
            (
                f"split at 5 Mbit/s, 20 ms, {best['photos']:,} photos: {best['name']}; {rival['name']}, the quickest "
                "photo that loses no more: answers lost, payload bytes, time against the other"
            ),
            "; ".join(
                f"{100 * one['loss']:.1f} %, {one['payload_bytes']:,.0f}, "
                f"{one['latency_ms']['total']['p50'] / other['latency_ms']['total']['p50']:.2f} ×"
                for one, other in ((best, rival), (rival, best))
            ),
            SPLIT,
        )
    ]
