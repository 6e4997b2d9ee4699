"""The profile's file, and its text and picture."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import ArgumentError
from edge_runtime.profiling import report
from edge_runtime.profiling.pictures import draw
from edge_runtime.profiling.report import Bandwidth, Ceilings, Peak, Sensors
from edge_runtime.profiling.text import text

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "profile.md"
COLUMNS = 120


def test_a_file_gives_the_profile_back(made_up, tmp_path):
    """Whatever is null included."""
    path = tmp_path / "profile.json"
    profile = made_up(ceilings=None)
    path.write_bytes(report.encode(profile))

    assert report.load(path) == profile


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "truncated"),
        (b'{"format": 1}', "missing required field"),
        (None, "no such file; write it with"),
    ],
)
def test_what_is_no_profile_is_refused_in_one_line(tmp_path, content, message):
    """Naming file and key."""
    path = tmp_path / "profile.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ArgumentError, match=message):
        report.load(path)


def test_another_format_is_refused(made_up, tmp_path):
    """Its number is named."""
    path = tmp_path / "profile.json"
    path.write_bytes(report.encode(made_up(format=2)))

    with pytest.raises(ArgumentError, match="format 2 is not supported; this version reads 1"):
        report.load(path)


def test_every_key_has_a_line_in_its_page():
    """docs/formats/profile.md names every struct's keys."""
    page = PAGE.read_text()
    structs = [one for one in vars(report).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    keys = {name for struct in structs for name in struct.__struct_fields__}

    assert keys
    assert set() == {key for key in keys if f"`{key}`" not in page}


def test_ceilings_give_the_best_set_and_the_nearest_memory():
    """One thread unless said otherwise."""
    peaks = (Peak("scalar", 1, 1.0, 1.0), Peak("avx2", 1, 2.0, 2.0), Peak("avx2", 2, 4.0, 4.0))
    ceilings = Ceilings(1e9, peaks, (Bandwidth("L1", 100, 1.0, 2.0), Bandwidth("memory", 1000, 3.0, 1.0)))

    assert ceilings.peak() == peaks[1]
    assert ceilings.peak("scalar") == peaks[0]
    assert ceilings.peak(threads=2) == peaks[2]
    assert ceilings.peak("neon") is None
    assert [ceilings.bandwidth(size).best for size in (100, 101, 5000)] == [2.0, 3.0, 3.0]


def test_the_text_fits_the_terminal(made_up):
    """And names what it is about, stage by stage."""
    found = text(made_up(), "native avx2")

    assert max(map(len, found.splitlines())) <= COLUMNS
    for part in ("Raspberry Pi 5: 4 × Cortex-A76, 4 cores, 1500 to 2400 MHz, governor ondemand", "50 → 81 °C",
                 "clock 2400 → 1800 MHz", "throttled: no → throttled", "L1 (32 KiB) 200", "softmax of 1000",
                 "net-litert.bin", "net-tflite-runtime.bin [tflite-runtime ×1]: cannot load it",
                 "a frame of attention (onnxruntime, fp16)", "JPEG decode", "model net"):  # fmt: skip
        assert part in found


def test_the_text_says_what_is_unknown(made_up, rows):
    """Sensors that are missing, kernels without ceilings, medians that did not settle."""
    loose = msgspec.structs.replace(rows.kernel(), timing=rows.timing(1e-5, stable=False))
    found = text(made_up(before=Sensors(), after=Sensors(), ceilings=None, kernels=(loose,)), "native avx2")

    assert "temperature unknown, clock unknown, throttling unknown" in found
    assert "ceilings: none, the compiled kernels are missing" in found
    assert re.search(r"softmax of 1000 +~10\.0 ", found)
    assert "1 of 1 medians had not settled" in found


def test_a_backend_without_rows_is_named(made_up):
    """As when a pattern left it out."""
    assert "jit: no row was measured" in text(made_up(), "jit")


def test_the_picture_shows_points_and_bars(made_up, tmp_path):
    """In the colours of their backends and stages; without ceilings there are no lines, and no error."""
    for profile in (made_up(), made_up(ceilings=None), made_up(pipelines=()), made_up(kernels=())):
        path = tmp_path / "picture.png"
        draw(profile, path)
        colours = np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0)
        assert len(colours) > 20


def test_a_picture_of_nothing_is_refused(made_up, tmp_path):
    """And so is one without matplotlib."""
    with pytest.raises(ArgumentError, match="nothing was measured that could be drawn"):
        draw(made_up(kernels=(), pipelines=()), tmp_path / "picture.png")


def test_a_picture_needs_matplotlib(made_up, tmp_path, monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(ArgumentError, match="install the extra `report`"):
        draw(made_up(), tmp_path / "picture.png")
