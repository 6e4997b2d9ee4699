"""What people would rather look at: a frame with its attention and the patches sent, and the accuracy-bytes plane."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from edge_runtime import kernels
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.evaluation.points import frontier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_runtime.evaluation.points import Point

GAP = 8
UNSENT = 235


def triptych(
    pixels: NDArray[np.uint8], scores: NDArray[np.float32], indices: NDArray[np.uint16], patch: int
) -> Image.Image:
    """Frame, frame under its attention, and the patches that left the device, side by side."""
    size = pixels.shape[0]
    sent = np.full_like(pixels, UNSENT)
    kernels.scatter(kernels.gather(pixels, indices, patch), indices, sent)
    gap = np.full((size, GAP, 3), 255, np.uint8)
    return Image.fromarray(np.hstack([pixels, gap, _heat(pixels, scores, patch), gap, sent]))


def _heat(pixels: NDArray[np.uint8], scores: NDArray[np.float32], patch: int) -> NDArray[np.uint8]:
    """Blend the frame into blue (ignored) to yellow (attended), by the rank of each patch."""
    grid = pixels.shape[0] // patch
    rank = scores.argsort().argsort() / max(len(scores) - 1, 1)
    heat = np.kron(rank.reshape(grid, grid), np.ones((patch, patch)))[..., None]
    colour = heat * np.array([255, 220, 40]) + (1 - heat) * np.array([20, 30, 120])
    blend: NDArray[np.uint8] = (0.45 * pixels + 0.55 * colour).astype(np.uint8)
    return blend


def html_page(title: str, introduction: str, rows: Sequence[dict[str, object]], pictures: Sequence[Image.Image]) -> str:
    """One self-contained page: a table of ``rows`` (same keys) and, above each row's caption, its picture."""
    head = "".join(f"<th>{html.escape(key)}</th>" for key in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{_base64(picture)}" alt="photo, attention, patches sent">'
        f"<figcaption>{html.escape(' · '.join(str(value) for value in row.values()))}</figcaption></figure>"
        for row, picture in zip(rows, pictures, strict=True)
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px }}
td, th {{ border-bottom: 1px solid #ddd; padding: .3rem .5rem; text-align: left }}
figure {{ margin: 1.5rem 0 }} figcaption {{ color: #555; font-size: 14px }} img {{ max-width: 100% }}
</style>
<h1>{html.escape(title)}</h1><p>{html.escape(introduction)}</p>
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
{figures}</html>
"""


def _base64(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def pyplot(path: Path) -> Any:
    """Matplotlib's pyplot, without a display; where it is missing the error names ``path``, the picture wanted."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise EdgeRuntimeError(f"{path}: pictures need matplotlib; `pip install edge-runtime[report]`") from error
    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt


def plot_plane(points: Sequence[Point], server_accuracy: float, edge_accuracy: float, path: Path) -> None:
    """Draw accuracy against wire bytes: frontiers of patch selection and of whole photos, with and without the gate."""
    plt = pyplot(path)
    figure, axes = plt.subplots(figsize=(9, 6), constrained_layout=True)
    for (label, colour, marker), group in _families(points).items():
        best = frontier(group)
        axes.plot([p.wire_bytes for p in group], [100 * p.accuracy for p in group], marker, c=colour, alpha=0.15, ms=4)
        axes.plot(
            [p.wire_bytes for p in best], [100 * p.accuracy for p in best], marker + "-", c=colour, label=label, ms=5
        )
    axes.axhline(100 * server_accuracy, c="black", lw=1, ls="--", label="server alone, lossless photos")
    axes.axhline(100 * edge_accuracy, c="grey", lw=1, ls=":", label="device alone")
    axes.set(
        xscale="log",
        xlabel="bytes on the wire per photo, both directions",
        ylabel="accuracy, %",
        title=f"{points[0].photos} photos; lines join the points that no other of their kind beats",
        ylim=(max(100 * edge_accuracy - 8, 0), min(100 * server_accuracy + 1, 100)),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _families(points: Sequence[Point]) -> dict[tuple[str, str, str], list[Point]]:
    """Points by what sends them and whether a gate stands before it."""
    families: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        gate = bool(point.uncertainty)
        codec = point.sending.split()[0]
        if codec in ("jpeg", "webp"):
            label = f"{'gate + ' if gate else ''}whole photo, {codec.upper() if codec == 'jpeg' else 'WebP'}"
            style = ("tab:red" if codec == "jpeg" else "tab:purple", "s" if gate else "^")
        elif codec == "png" or "random" in point.sending:
            continue
        else:
            label = "gate + chosen patches" if gate else "chosen patches"
            style = ("tab:blue" if gate else "tab:cyan", "o")
        families.setdefault((label, *style), []).append(point)
    return families
