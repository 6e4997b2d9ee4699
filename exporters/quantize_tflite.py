"""Smaller TFLite files: float16 weights, int8 matrix products. Inputs and outputs stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

from exporters.quiet import quiet

if TYPE_CHECKING:
    from pathlib import Path


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


def _write(maker: quantizer.Quantizer, path: Path) -> None:
    with quiet():
        path.write_bytes(maker.quantize().quantized_model)


def _halve(maker: quantizer.Quantizer) -> None:
    maker.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            explicit_dequantize=True,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        ),
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
