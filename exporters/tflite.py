"""PyTorch to TFLite through litert-torch: fixed shapes, batch 1. The converter exists for x86-64 only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_edge_litert.interpreter import Interpreter

from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.models.bundle import Tensor
from exporters.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from exporters.networks.readings import Reading
    from exporters.validate_samples import Sample


def export_tflite(reading: Reading, sample: Sample, path: Path) -> None:
    """Write ``reading`` as a float32 TFLite file for inputs of exactly the sample's shapes.

    Raises ``ArgumentError`` for a kind whose shapes must vary.
    """
    if any(len(axes) > 1 for axes in reading.axes.values()):
        raise ArgumentError(f"{path.name}: takes any number of patches, but TFLite has fixed shapes; export it to ONNX")
    with quiet():
        import litert_torch  # says much about optional parts that it does without

        litert_torch.convert(reading.eval(), reading.example(sample)).export(str(path))


def tflite_tensors(path: Path, sample: Sample, answer: Sample) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Inputs and outputs of a TFLite file, recognised by shape: the converter makes up its own names and order."""
    interpreter = Interpreter(model_path=str(path))
    return (
        _named(path, sample, interpreter.get_input_details()),
        _named(path, answer, interpreter.get_output_details()),
    )


def _named(path: Path, arrays: Sample, details: Iterable[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    by_shape = {tuple(map(int, detail["shape"])): detail for detail in details}
    tensors = []
    for name, array in arrays.items():
        if array.shape not in by_shape:
            raise ModelError(f"{path}: no tensor has {name}'s shape {list(array.shape)}; it has {list(by_shape)}")
        detail = by_shape[array.shape]
        tensors.append(Tensor(name, detail["name"], array.shape, detail["dtype"].__name__))
    return tuple(tensors)
