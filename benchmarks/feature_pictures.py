"""Pictures of the race: loss against bytes at every cut, and what encoding and decoding take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from feature_networks import PHOTO
from feature_rivals import OURS
from feature_summary import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from feature_summary import Row

mpl.use("Agg")
COLUMNS = 3
DPI = 80
KILOBYTE = 1024
TICKS = (0.5, 1, 2, 4, 8, 16, 32)


def draw(rows: list[Row], folder: Path) -> None:
    """Two PNG files per network."""
    folder.mkdir(parents=True, exist_ok=True)
    for network in dict.fromkeys(row["network"] for row in rows):
        cuts = {cut: found for (name, cut), found in blocks(rows).items() if name == network}
        _losses(cuts, folder / f"features-{network}-loss.png")
        _times({cut: found for cut, found in cuts.items() if cut != PHOTO}, folder / f"features-{network}-time.png")


def _losses(cuts: dict[str, list[Row]], path: Path) -> None:
    """One panel per cut, one line per codec, the photo itself in each; bars are intervals."""
    photo = cuts.get(PHOTO, [])
    panels = {cut: found for cut, found in cuts.items() if cut != PHOTO} or cuts
    figure, axes = _grid(len(panels), shared=True)
    styles = _styles([row["codec"] for found in cuts.values() for row in found])
    for axis, (cut, found) in zip(axes, panels.items(), strict=False):
        for codec, style in styles.items():
            line = [row for row in (*found, *photo) if row["codec"] == codec and row["can_play"]]
            if line:
                _line(axis, line, style)
        axis.set_title(f"{cut} {'×'.join(map(str, found[0]['shape']))}", fontsize=9)
        axis.set_xscale("log", base=2)
        axis.set_xticks([KILOBYTE * size for size in TICKS], [f"{size:g}" for size in TICKS])
        axis.tick_params(labelsize=8, labelbottom=True)
        axis.set_yscale("symlog", linthresh=1)
        axis.grid(alpha=0.3)
    _finish(figure, axes, "KB per photo", "accuracy lost, points", path)


def _line(axis: Any, rows: list[Row], style: dict[str, Any]) -> None:
    """One codec's losses with their intervals."""
    loss = np.array([row["loss"] for row in rows]) * 100
    low, high = np.array([row["loss_interval"] for row in rows]).T * 100
    reach = np.maximum([loss - low, high - loss], 0)
    axis.errorbar(
        [row["mean_bytes"] for row in rows], loss, reach, label=rows[0]["codec"], elinewidth=0.6, marker=".", **style
    )


def _times(cuts: dict[str, list[Row]], path: Path) -> None:
    """One panel per cut, one bar per codec: medians over the budgets it can play."""
    figure, axes = _grid(len(cuts), shared=False)
    styles = _styles([row["codec"] for found in cuts.values() for row in found])
    for axis, (cut, found) in zip(axes, cuts.items(), strict=False):
        names = [codec for codec in styles if any(_timed(row, codec) for row in found)]
        encode, decode = (
            [float(np.median([row[key] for row in found if _timed(row, codec)])) for codec in names]
            for key in ("encode_ms", "decode_ms")
        )
        axis.barh(names, encode, color="#4477aa", label="encode")
        axis.barh(names, decode, left=encode, color="#ccbb44", label="decode")
        axis.set_title(cut, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.invert_yaxis()
    _finish(figure, axes, "ms, one thread", "", path)


def _timed(row: Row, codec: str) -> bool:
    return row["codec"] == codec and row["can_play"] and "encode_ms" in row


def _styles(codecs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour each; ours thick and black, photos dashed."""
    colours = mpl.colormaps["tab20"]
    return {
        codec: {
            "color": "black" if codec == OURS else colours(place % 20),
            "linewidth": 2.2 if codec == OURS else 1,
            "linestyle": "--" if codec.startswith("photo") else "-",
        }
        for place, codec in enumerate(dict.fromkeys(codecs))
    }


def _grid(count: int, *, shared: bool) -> tuple[Any, list[Any]]:
    """As many panels as are needed, in rows of a few."""
    from matplotlib import pyplot as plt

    rows = -(-count // COLUMNS)
    size = (4.2 * min(count, COLUMNS), 3.2 * rows + 0.8)
    figure, axes = plt.subplots(rows, min(count, COLUMNS), figsize=size, squeeze=False, sharex=shared, sharey=shared)
    flat = list(axes.flat)
    for spare in flat[count:]:
        spare.remove()
    return figure, flat[:count]


def _finish(figure: Any, axes: list[Any], across: str, up: str, path: Path) -> None:
    """Labels, one legend below, and the file."""
    from matplotlib import pyplot as plt

    for axis in axes:
        axis.set_xlabel(across, fontsize=8)
        axis.set_ylabel(up, fontsize=8)
    known = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(known.values(), known, loc="outside lower center", ncols=2 * min(len(axes), COLUMNS), fontsize=7)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
