"""The latent coder on checked arrays: what slimmable encoders put out, in a few levels, to bytes and back.

The arithmetic and the bytes are stated in docs/formats/latents.md; `csrc/latents.c` specifies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from edge_runtime.errors import ArgumentError, PayloadError
from edge_runtime.kernels import checks, dispatch
from edge_runtime.kernels.features import check_histograms

if TYPE_CHECKING:
    from edge_runtime.kernels.interface import F32, U8, U16

MAX_CHANNELS = 256
MAX_SIDE = 1024
MAX_VALUES = 1 << 20
MAX_LEVELS = 16
LARGEST_STEP = 2.0**120
"""Between it and its reciprocal, neither steps nor levels nor reciprocals leave the normal numbers of float32."""
# What a backend may write beyond the end.
SPARE_BYTES = 32
_F32, _U8 = map(np.dtype, (np.float32, np.uint8))


@dataclass(frozen=True)
class LatentPlan:
    """How latents float32 `[C, height, width]` of one number of encoders are coded at one number of `levels`.

    step float32[C] is the distance of a channel's levels, which lie around zero; histograms uint16[C, 32] give the
    first `levels` symbols of each channel a share, no other, and sum to 1024.
    """

    height: int
    width: int
    levels: int
    step: F32
    histograms: U16

    @property
    def channels(self) -> int:
        """C."""
        return len(self.step)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    @property
    def bits(self) -> int:
        """Of a packed symbol."""
        return (self.levels - 1).bit_length()

    @property
    def packed_bytes(self) -> int:
        """Size of packed symbols, which no encoded latent exceeds."""
        return (self.channels * self.height * self.width * self.bits + 7) // 8


class LatentCoder:
    """The coder of one plan; any number of threads may use it. It keeps the backend that it was made with.

    Raises ArgumentError for a plan that a coder could overflow with.
    """

    def __init__(self, plan: LatentPlan) -> None:
        check_plan(plan)
        self.plan = plan
        self._coder = dispatch.active.latent_coder(plan)

    @property
    def room(self) -> int:
        """Bytes that `encode` wants to write into: more than it uses."""
        return self.plan.packed_bytes + SPARE_BYTES

    def encode(self, latent: F32, out: U8) -> int:
        """Write a latent float32 `[C, H, W]` to the start of uint8 `out`, of `room` bytes; the number of bytes.

        They are the packed symbols where it is `plan.packed_bytes`, and a shorter entropy-coded stream where it is
        less. Raises ArgumentError, also for a value that is not finite.
        """
        if not checks.fits(latent, _F32, self.plan.shape):
            checks.array("latent", latent, np.float32, self.plan.shape)
        checks.array("out", out, np.uint8, ("bytes",))
        if len(out) < self.room:
            raise ArgumentError(f"out: {len(out)} bytes are too few, make it {self.room}")
        size = self._coder.encode(latent, out)
        if size < 0:
            _refuse_latent(latent)
        return size

    def decode(self, data: U8, out: F32 | None = None) -> F32:
        """The latent float32 `[C, H, W]` of uint8 `data`, in `out` if given.

        Raises ArgumentError, and PayloadError for bytes that no encoder writes, with `out` unspecified.
        """
        checks.array("data", data, np.uint8, (len(data),))
        result: F32 = checks.output("out", out, np.float32, self.plan.shape)
        if self._coder.decode(data, result) < 0:
            raise PayloadError(f"latent: {len(data)} bytes are no latent of these tables, send it again")
        return result


def check_plan(plan: LatentPlan) -> None:
    """Raise ArgumentError for a plan that a coder could overflow with, or leave its arrays."""
    checks.integer("channels", plan.channels, 1, MAX_CHANNELS)
    checks.integer("height", plan.height, 1, MAX_SIDE)
    checks.integer("width", plan.width, 1, MAX_SIDE)
    checks.integer("values", plan.channels * plan.height * plan.width, 1, MAX_VALUES)
    checks.integer("levels", plan.levels, 2, MAX_LEVELS)
    checks.array("step", plan.step, np.float32, (plan.channels,))
    wrong = ~((plan.step >= 1 / LARGEST_STEP) & (plan.step <= LARGEST_STEP))
    if wrong.any():
        raise ArgumentError(f"step: {plan.step[wrong.argmax()]} of channel {wrong.argmax()} is outside 2^-120..2^120")
    check_histograms(plan.histograms)
    checks.array("histograms", plan.histograms, np.uint16, (plan.channels, plan.histograms.shape[1]))
    if not plan.histograms[:, : plan.levels].all() or plan.histograms[:, plan.levels :].any():
        raise ArgumentError(f"histograms: not each of {plan.levels} levels has a share, or another symbol has")


def _refuse_latent(latent: F32) -> NoReturn:
    place = tuple(np.argwhere(~np.isfinite(latent))[0].tolist())
    raise ArgumentError(f"latent: {latent[place]} at {list(place)} is not finite, pass what a sound encoder puts out")
