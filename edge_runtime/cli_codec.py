"""``edge-runtime codec``: feature maps in ``.npy`` files to payloads and back, and what payloads say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.cli_options import command
from edge_runtime.errors import ArgumentError
from edge_runtime.models import Bundle

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from edge_runtime.codecs.features import FeatureCodec

DEFAULT_BITS = 8


def add_codec(commands: Any) -> None:
    """Declare the command and its three verbs."""
    text = "compress a feature map, decompress it, or say what its bytes or a latent's hold"
    verbs = commands.add_parser("codec", help=text, description=text).add_subparsers(required=True, metavar="VERB")

    encode = command(verbs, "encode", _encode, "a float32 map [C, H, W] in a .npy file to a payload")
    encode.add_argument("map", type=Path, metavar="MAP.npy")
    encode.add_argument("out", type=Path, metavar="OUT.ff")
    encode.add_argument("--cut", default="", help="whose tables to use (default: the bundle's)")
    encode.add_argument("--quality", type=int, help="0..100, the finest")
    encode.add_argument("--budget", type=int, metavar="BYTES", help="as fine as about so many bytes allow")
    encode.add_argument("--bound", type=float, help="with --quality: largest error of any value")
    encode.add_argument(
        "--method", choices=("ff", "half", "uniform", "sparse"), default="ff", help="only ff has tables"
    )
    encode.add_argument("--bits", type=int, help=f"a value, of uniform and sparse (default: {DEFAULT_BITS})")

    decode = command(verbs, "decode", _decode, "a payload to a float32 map [C, H, W] in a .npy file")
    decode.add_argument("payload", type=Path, metavar="IN.ff")
    decode.add_argument("out", type=Path, metavar="OUT.npy")
    decode.add_argument("--cut", default="", help="whose tables to use (default: the bundle's)")
    decode.add_argument("--shape", metavar="C,H,W", help="of a payload without tables, instead of a cut")

    inspect = command(verbs, "inspect", _inspect, "what a payload's header says", needs_bundle=False)
    inspect.add_argument("payload", type=Path, metavar="PAYLOAD", help="of a feature map or a latent")


def _encode(options: argparse.Namespace) -> None:
    features = _load_map(options.map)
    data = _encode_ff(options, features) if options.method == "ff" else _encode_plain(options, features)
    _write(options.out, data)
    facts = {"payload_bytes": len(data), "values": features.size, "bits_per_value": 8 * len(data) / features.size}
    _say(options, facts, f"{options.out}: {len(data)} bytes, {facts['bits_per_value']:.3f} bits a value")


def _encode_ff(options: argparse.Namespace, features: NDArray[np.float32]) -> bytes:
    if (options.quality is None) == (options.budget is None):
        raise ArgumentError("--quality, --budget: method ff needs one of them")
    if options.bits is not None:
        raise ArgumentError(f"--bits: {options.bits} goes with --method uniform or sparse, not ff")
    if options.bound is not None and options.quality is None:
        raise ArgumentError(f"--bound: {options.bound:g} goes with --quality, not --budget")
    codec = _codec(options)
    if features.shape != codec.shape:
        raise ArgumentError(f"{options.map}: shape {list(features.shape)}, the cut's is {list(codec.shape)}")
    if options.budget is not None:
        return codec.encode_within(features, options.budget)
    return codec.encode(features, options.quality, bound=options.bound)


def _encode_plain(options: argparse.Namespace, features: NDArray[np.float32]) -> bytes:
    from edge_runtime.codecs.features import encode_half, encode_sparse, encode_uniform

    for name in ("quality", "budget", "bound", *(["bits"] if options.method == "half" else [])):
        if getattr(options, name) is not None:
            raise ArgumentError(f"--{name}: means nothing to --method {options.method}")
    if options.method == "half":
        return encode_half(features)
    encode = encode_uniform if options.method == "uniform" else encode_sparse
    return encode(features, DEFAULT_BITS if options.bits is None else options.bits)


def _decode(options: argparse.Namespace) -> None:
    from edge_runtime.codecs.features import decode

    data = _read(options.payload)
    features = _codec(options).decode(data) if options.shape is None else decode(data, _shape(options.shape))
    try:
        with options.out.open("wb") as file:
            np.save(file, features)
    except OSError as error:
        raise ArgumentError(f"{options.out}: cannot be written ({error.strerror})") from error
    low, high = float(features.min()), float(features.max())
    facts = {"shape": list(features.shape), "least": low, "greatest": high}
    _say(options, facts, f"{options.out}: float32 {facts['shape']}, values from {low:g} to {high:g}")


def _inspect(options: argparse.Namespace) -> None:
    from edge_runtime.codecs import features, latents

    data = _read(options.payload)
    # Feature payloads start with a magic number, latents with their version.
    facts = latents.inspect(data) if data[:1] == bytes([latents.VERSION]) else features.inspect(data)
    _say(options, facts, "\n".join(f"{name:16} {value}" for name, value in facts.items()))


def _codec(options: argparse.Namespace) -> FeatureCodec:
    from edge_runtime.codecs.features import FeatureCodec

    bundle = Bundle.load(options.bundle)
    return FeatureCodec.load(bundle.read(bundle.split(options.cut).tables))


def _load_map(path: Path) -> NDArray[np.float32]:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArgumentError(f"{path}: cannot be read as an array, write it with numpy.save ({error})") from error
    if not isinstance(features, np.ndarray) or features.dtype != np.float32 or features.ndim != 3:
        is_ = f"{features.dtype} {list(features.shape)}" if isinstance(features, np.ndarray) else "an archive"
        raise ArgumentError(f"{path}: is {is_}, expected float32 [C, H, W]")
    return np.ascontiguousarray(features)


def _shape(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise ArgumentError(f"--shape: {text!r} is not C,H,W, write it like 64,56,56")
    channels, height, width = map(int, parts)
    return channels, height, width


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be written ({error.strerror})") from error


def _say(options: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts) if options.json else text)
