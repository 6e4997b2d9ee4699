"""A JPEG scan without its header: the entropy-coded bytes alone.

Everything before the scan (623 bytes: quantisation, Huffman tables, size) follows from width, height and quality,
so the decoder writes it itself. Baseline, 4:2:0, quantisation tables of ISO/IEC 10918-1 Annex K scaled the way
libjpeg scales them, Huffman tables of Annex K, no restart markers.
"""

from __future__ import annotations

import io
import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edge_runtime.errors import ArgumentError, PayloadError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE = 65535

# Annex K.1, in raster order.
LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip
# Position in raster order of the n-th coefficient of the zigzag.
ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8))

# Annex K.3: how many codes of each length 1..16, then the symbols.
DC_SYMBOLS = bytes(range(12))
LUMA_DC = bytes.fromhex("00010501010101010100000000000000") + DC_SYMBOLS
CHROMA_DC = bytes.fromhex("00030101010101010101010000000000") + DC_SYMBOLS
LUMA_AC = bytes.fromhex(
    "0002010303020403050504040000017d"
    "0102030004110512213141061351610722711432"
    "8191a1082342b1c11552d1f02433627282090a16"
    "1718191a25262728292a3435363738393a434445"
    "464748494a535455565758595a63646566676869"
    "6a737475767778797a838485868788898a929394"
    "95969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
    "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8"
    "d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
    "f9fa"
)
CHROMA_AC = bytes.fromhex(
    "00020102040403040705040400010277"
    "0001020311040521310612415107617113223281"
    "08144291a1b1c109233352f0156272d10a162434"
    "e125f11718191a262728292a35363738393a4344"
    "45464748494a535455565758595a636465666768"
    "696a737475767778797a82838485868788898a92"
    "939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
    "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6"
    "d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
    "f9fa"
)


def encode(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Compress uint8 ``[height, width, 3]`` at quality 1..100 to the bytes of one scan."""
    height, width = pixels.shape[:2]
    out = io.BytesIO()
    tables = [list(table) for table in _quantisation(quality)]
    Image.fromarray(pixels).save(out, "JPEG", qtables=tables, subsampling="4:2:0", optimize=False, progressive=False)
    file = out.getvalue()
    # The JFIF segment differs between libraries and says nothing that matters here.
    tables_at = file.find(b"\xff\xdb")
    head = _tables(width, height, quality)
    if file[tables_at : tables_at + len(head)] != head:
        raise ArgumentError(
            "codec: 'jpeg' needs a libjpeg that writes baseline scans with the standard tables, "
            "the one under Pillow does not; use 'webp' or 'raw'"
        )
    return file[tables_at + len(head) : -2]


def decode(scan: bytes, width: int, height: int, quality: int) -> NDArray[np.uint8]:
    """Rebuild uint8 ``[height, width, 3]`` from a scan; raises PayloadError."""
    # A marker inside the scan could open a second picture of any size.
    marker = re.search(rb"\xff(?!\x00)", scan)
    if marker is not None:
        raise PayloadError(f"patches: JPEG scan has a marker at byte {marker.start()}, it may have none")
    if not 1 <= quality <= 100:
        raise PayloadError(f"patches: JPEG quality {quality} is outside 1..100")
    file = b"\xff\xd8" + _tables(width, height, quality) + scan + b"\xff\xd9"
    try:
        with Image.open(io.BytesIO(file), formats=["JPEG"]) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise PayloadError(f"patches: JPEG scan of {len(scan)} bytes does not decode: {error}") from None


def _quantisation(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (tuple(min(max((q * scale + 50) // 100, 1), 255) for q in base) for base in (LUMA, CHROMA))
    return luma, chroma


@lru_cache(maxsize=64)
def _tables(width: int, height: int, quality: int) -> bytes:
    """All segments between the start of the picture and its scan."""
    luma, chroma = _quantisation(quality)
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes.fromhex("012200 021101 031101")
    return b"".join(
        (
            *(_segment(0xDB, bytes([i, *(t[z] for z in ZIGZAG)])) for i, t in enumerate((luma, chroma))),
            _segment(0xC0, frame),
            _segment(0xC4, b"\x00" + LUMA_DC),
            _segment(0xC4, b"\x10" + LUMA_AC),
            _segment(0xC4, b"\x01" + CHROMA_DC),
            _segment(0xC4, b"\x11" + CHROMA_AC),
            _segment(0xDA, bytes.fromhex("03 0100 0211 0311 003f00")),
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
