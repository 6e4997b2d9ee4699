"""Photos from files, tar files and bytes."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_runtime.errors import PhotoError
from edge_runtime.models.bundle import FrameSpec
from edge_runtime.photos import MAX_PIXELS, fit, open_frame, photo_files

if TYPE_CHECKING:
    from pathlib import Path

FRAME = FrameSpec(size=32, patch=16)


@pytest.mark.parametrize("name", ["missing.tar", "text.tar"])
def test_a_source_that_is_no_archive_is_named(tmp_path: Path, name: str) -> None:
    """A missing file and a file that is no tar are one-line errors."""
    (tmp_path / "text.tar").write_text("not a tar file")
    with pytest.raises(PhotoError, match=name):
        photo_files(tmp_path / name)


def test_a_folder_without_photos_says_what_it_expects(tmp_path: Path) -> None:
    """An empty folder is an error, not an empty result."""
    with pytest.raises(PhotoError, match="no photo found"):
        photo_files(tmp_path)


def test_a_photo_becomes_a_frame_of_the_bundles_size() -> None:
    """Whatever its size, it comes out square and three-channelled."""
    out = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(out, "JPEG")
    assert open_frame(out.getvalue(), FRAME).shape == (32, 32, 3)


def test_a_file_that_is_no_picture_is_an_error(tmp_path: Path) -> None:
    """The path is in the message."""
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"x\.jpg"):
        open_frame(tmp_path / "x.jpg", FRAME)


def picture(codec: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> bytes:
    """A file of noise."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(noise[..., 0] * np.uint16(256)) if mode == "I;16" else Image.fromarray(noise).convert(mode)
    image.save(out, codec, **options)
    return out.getvalue()


def png(width: int, height: int) -> bytes:
    """The file of a picture whose header says this size, and that has a few pixels only."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG file whose header says another size than its own."""
    data = bytearray(picture("JPEG"))
    start = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, start + 5, height, width)
    return bytes(data)


def webp(width: int, height: int, form: str) -> bytes:
    """A WebP file of one of the three forms whose header says another size than its own."""
    metadata = {"exif": b"Exif\0\0"} if form == "extended" else {}
    data = bytearray(picture("WEBP", lossless=form == "lossless", **metadata))
    if form == "extended":
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif form == "lossless":
        data[21:25] = (width - 1 | (height - 1) << 14).to_bytes(4, "little")
    else:
        data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP"])
def test_every_codec_gives_the_pixels_that_pillow_gives(codec: str) -> None:
    """The readers are Pillow's own."""
    data = picture(codec)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert open_frame(data, FRAME).tolist() == fit(pixels, FRAME).tolist()


@pytest.mark.parametrize(
    ("codec", "mode"),
    [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "1"), ("PNG", "I;16"), ("PNG", "RGBA"), ("WEBP", "RGBA")],
)
def test_every_mode_becomes_rgb(codec: str, mode: str) -> None:
    """Without a warning, also of palettes with transparent entries."""
    options = {"transparency": bytes([0, 128])} if mode == "P" else {}
    data = picture(codec, mode=mode, **options)
    assert open_frame(data, FRAME).shape == (32, 32, 3)


def test_grey_of_16_bits_keeps_its_shades() -> None:
    """As infrared cameras write it; its upper eight bits are the photo."""
    shades = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64
    out = io.BytesIO()
    Image.fromarray(shades).save(out, "PNG")
    assert open_frame(out.getvalue(), FRAME)[..., 1].tolist() == (shades >> 8).tolist()


@pytest.mark.parametrize("codec", ["PNG", "WEBP"])
def test_of_several_pictures_the_first_is_taken(codec: str) -> None:
    """An animation is a photo too."""
    first, second = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
    out = io.BytesIO()
    first.save(out, codec, save_all=True, append_images=[second], duration=50)
    assert open_frame(out.getvalue(), FRAME)[16, 16].tolist() == pytest.approx([255, 0, 0], abs=8)


@pytest.mark.parametrize("codec", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused(codec: str) -> None:
    """The fewer decoders a stranger's bytes can reach, the better."""
    with pytest.raises(PhotoError, match="neither JPEG, PNG nor WebP"):
        open_frame(picture(codec), FRAME)


@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_photo_is_an_error(codec: str) -> None:
    """Half a photo is not answered as if it were whole."""
    data = picture(codec)
    with pytest.raises(PhotoError, match="photo: cannot be read as a picture"):
        open_frame(data[: len(data) // 2], FRAME)


HUGE = {
    "png": png(10_000, 10_000),
    "png-bomb": png(30_000, 30_000),
    "png-line": png(30_000, 1),
    "jpeg": jpeg(20_000, 20_000),
    "webp": webp(16_383, 16_383, "lossy"),
    "webp-lossless": webp(16_383, 16_383, "lossless"),
    "webp-extended": webp(16_383, 16_383, "extended"),
}


@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE)
def test_a_photo_that_is_too_large_is_refused(data: bytes) -> None:
    """Its size and the limits are named."""
    with pytest.raises(PhotoError, match=rf"\d+ × \d+; take at most {MAX_PIXELS} pixels"):
        open_frame(data, FRAME)


def test_the_limit_is_the_callers() -> None:
    """A photo with just as many pixels is taken."""
    assert open_frame(picture("PNG"), FRAME, max_pixels=1200).shape == (32, 32, 3)
    with pytest.raises(PhotoError, match="40 × 30; take at most 1199 pixels"):
        open_frame(picture("PNG"), FRAME, max_pixels=1199)


def test_no_room_is_made_for_a_photo_that_is_refused() -> None:
    """A process that refuses huge photos, each of which would take 300 MB and more, has not grown by 30 MB."""
    lines = [
        "import resource, sys",
        "from edge_runtime.errors import PhotoError",
        "from edge_runtime.models.bundle import FrameSpec",
        "from edge_runtime.photos import open_frame",
        "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss",
        f"open_frame(bytes.fromhex({picture('WEBP').hex()!r}), FrameSpec(size=32, patch=16))",
        "before = used()",
        f"for data in {[data.hex() for data in HUGE.values()]!r}:",
        "    try: open_frame(bytes.fromhex(data), FrameSpec(size=32, patch=16))",
        "    except PhotoError: pass",
        "    else: sys.exit('was not refused')",
        "sys.exit(f'took {used() - before} KiB' if used() - before > 30 << 10 else 0)",
    ]
    outcome = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


SAMPLES = [picture("JPEG"), picture("PNG", mode="P"), picture("WEBP"), picture("WEBP", lossless=True)]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.sampled_from(SAMPLES).flatmap(lambda one: mutated(one))))
def test_any_bytes_are_a_photo_or_an_error_of_ours(data: bytes) -> None:
    """Whatever a stranger sends."""
    with contextlib.suppress(PhotoError):
        assert open_frame(data, FRAME).shape == (32, 32, 3)


@st.composite
def mutated(draw: st.DrawFn, sample: bytes) -> bytes:
    """A photo with some bytes changed, most of them in its header, and perhaps cut short."""
    data = bytearray(sample)
    for _ in range(draw(st.integers(1, 8))):
        last = draw(st.sampled_from([40, 200, len(data) - 1]))
        data[draw(st.integers(0, last))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])
