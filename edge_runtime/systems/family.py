"""A family of slimmable encoders as a device has it: its models, its codec, and what calibration measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.codecs.latents import LatentCodec
from edge_runtime.control.modes import ModeTable
from edge_runtime.errors import BundleError
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from edge_runtime.systems.encoders import Encoders

if TYPE_CHECKING:
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import LatentSpec


@dataclass(frozen=True)
class Family:
    """One family of encoders, loaded: the device's models, the codec, and what calibration measured."""

    spec: LatentSpec
    encoders: Encoders
    codec: LatentCodec
    table: ModeTable

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        spec: LatentSpec,
        execution: Execution = DEFAULT_EXECUTION,
    ) -> Family:
        """Load the encoders and both tables; raises BundleError, also for a mode that they cannot make, ModelError."""
        encoders = Encoders(bundle, spec, execution)
        codec = LatentCodec.load(bundle.read(spec.tables))
        table = ModeTable.load(bundle.read(spec.modes))
        for number, levels in (one.mode for one in table.modes):
            if number > min(len(encoders), codec.encoders) or levels not in codec.levels:
                raise BundleError(
                    f"{spec.modes.path}: a mode of {number} encoders at {levels} levels is none of its family's"
                )
        return cls(spec, encoders, codec, table)
