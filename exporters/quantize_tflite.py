"""Smaller TFLite files: float16 weights, int8 matrix products or convolutions. Inputs and outputs stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

from exporters.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def halve_tflite(source: Path, path: Path) -> None:
    """Store every weight as float16; the interpreter makes them float32 again when it loads the file."""
    maker = quantizer.Quantizer(str(source))
    _halve(maker)
    _write(maker, path)


def quantize_tflite(source: Path, path: Path) -> None:
    """Make fully connected layers int8 (per channel, activations measured as they come), other weights float16.

    Convolutions are left alone: dynamic int8 makes them several times slower.
    """
    maker = quantizer.Quantizer(str(source))
    _halve(maker)
    maker.add_dynamic_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
        num_bits=8,
    )
    _write(maker, path)


def quantize_static_tflite(source: Path, path: Path, images: Sequence[NDArray[np.float32]]) -> None:
    """Make all but the ends and the classifier int8 (weights per channel); activations get their range on ``images``.

    Each is ``[1, 3, S, S]``, the file's only input. The classifier's weights become float16: ranges are moving averages
    over the images, and logits cut off at one would lose what tells a sure answer from an unsure one.
    """
    names = qtyping.TFLOperationName
    maker = quantizer.Quantizer(str(source))
    maker.add_static_config(regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    _keep_ends(maker)
    _halve(maker, names.FULLY_CONNECTED)
    with quiet():
        ranges = maker.calibrate({"serving_default": [{"args_0": image} for image in images]}, num_threads=1)
    _write(maker, path, ranges)


def quantize_convolutions_tflite(
    source: Path, path: Path, images: Sequence[NDArray[np.float32]], *, spared: str
) -> None:
    """Make convolutions int8 (weights per channel), but not those whose name matches ``spared``; others become float16.

    Each image is ``[1, 3, S, S]``, the file's only input. Activations get all the range that they have on any of them:
    behind a norm of each picture by itself they have long tails, and moving averages made the error up to 3.8 times as
    large.
    """
    names = qtyping.TFLOperationName
    maker = quantizer.Quantizer(str(source))
    _halve(maker)
    maker.add_static_config(regex=".*", operation_name=names.CONV_2D, activation_num_bits=8, weight_num_bits=8)
    _halve(maker, names.CONV_2D, spared)
    _keep_ends(maker)
    with quiet():
        found = [maker.calibrate({"serving_default": [{"args_0": image}]}, num_threads=1) for image in images]
    _write(maker, path, {tensor: _widest([ranges[tensor] for ranges in found]) for tensor in found[0]})


def _widest(ranges: Sequence[Mapping[str, NDArray[np.float32]]]) -> dict[str, NDArray[np.float32]]:
    return {
        "min": np.min([one["min"] for one in ranges], axis=0),
        "max": np.max([one["max"] for one in ranges], axis=0),
    }


def _keep_ends(maker: quantizer.Quantizer) -> None:
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        maker.update_quantization_recipe(
            regex=".*", operation_name=end, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
        )


def _write(maker: quantizer.Quantizer, path: Path, ranges: Any = None) -> None:
    with quiet():
        path.write_bytes(maker.quantize(ranges).quantized_model)


def _halve(
    maker: quantizer.Quantizer, operation: Any = qtyping.TFLOperationName.ALL_SUPPORTED, regex: str = ".*"
) -> None:
    maker.update_quantization_recipe(
        regex=regex,
        operation_name=operation,
        op_config=qtyping.OpQuantizationConfig(
            explicit_dequantize=True,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        ),
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
