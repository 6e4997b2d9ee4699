"""What a kernel backend is: the functions that native, jit and reference all provide.

Callers have checked dtypes, shapes and layouts; outputs are allocated. A backend returns a number that is the
answer when it is not negative and a `Status` when it is. Every backend gives the same bytes for the same input:
`csrc/edge_kernels.h` states the arithmetic, and the order of its additions, once for all three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.kernels.feature_plan import FeaturePlan, FeatureStep
    from edge_runtime.kernels.latents import LatentPlan

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
I32 = NDArray[np.int32]
F32 = NDArray[np.float32]


class Status(IntEnum):
    """Why a kernel refused; the same numbers as `enum edge_status` in C."""

    OK = 0
    BAD_LOGITS = -1
    BAD_ATTENTION = -2
    BAD_SCORES = -3
    BAD_INDEX = -4
    BAD_PADDING = -5
    BAD_SIZE = -6
    BAD_ISA = -7
    BAD_FEATURES = -8
    BAD_STREAM = -9


class Measure(IntEnum):
    """What the gate compares with eta; the same numbers as `enum edge_measure` in C."""

    MIN_ENTROPY = 0
    SHANNON = 1
    MARGIN = 2


class Rule(IntEnum):
    """How the gate selects patches; the same numbers as `enum edge_rule` in C."""

    TOP_K = 0
    THRESHOLD = 1
    SUM = 2


@dataclass(frozen=True)
class GatePlan:
    """Everything about a fused call that does not change between frames."""

    classes: int
    heads: int
    tokens: int
    height: int
    width: int
    patch: int
    measure: Measure
    rule: Rule
    include_crossing: bool
    k: int
    eta: float
    delta: float


@dataclass(frozen=True)
class GateBuffers:
    """Where a fused call writes: scores f32[n], indices u16[n], bitmap u8[⌈n/8⌉], patches u8[n,p,p,3]."""

    scores: F32
    indices: U16
    bitmap: U8
    patches: U8


@dataclass(frozen=True)
class BackendInfo:
    """Which implementation serves the kernels of this process.

    `functions` maps each kernel to the variant that runs it: "scalar" or an instruction set for native, otherwise
    the backend's own name.
    """

    name: str
    isa: str
    functions: Mapping[str, str]


# (status or number kept, min_entropy, shannon, margin, label, stays local)
GateOutcome = tuple[int, float, float, float, int, bool]
# (logits, attention, image) → a call that decides about what these arrays hold by then.
GateBinder = Callable[[F32, F32, U8], Callable[[], GateOutcome]]


class FeatureCoder(Protocol):
    """The FF transform coder of one cut. Keeps the last map's coefficients, so it serves one thread."""

    def transform(self, features: F32) -> int:
        """OK, or BAD_FEATURES for a value that is not finite; features f32[C,H,W]."""

    def encode(self, step: FeatureStep, out: U8) -> int:
        """Bytes written of the map last transformed, or BAD_SIZE when `out` is too short."""

    def decode(self, step: FeatureStep, data: U8, out: F32) -> int:
        """OK, or BAD_STREAM with `out` unspecified; out f32[C,H,W]."""


class LatentCoder(Protocol):
    """The coder of one family's latents at one number of encoders and levels; serves any number of threads."""

    def encode(self, latent: F32, out: U8) -> int:
        """Bytes written, or BAD_FEATURES for a value that is not finite; latent f32[C,H,W]."""

    def decode(self, data: U8, out: F32) -> int:
        """OK, or BAD_STREAM with `out` unspecified; out f32[C,H,W]."""


class Backend(Protocol):
    """The raw kernels. A module with these functions is a backend."""

    def info(self) -> BackendInfo:
        """Name, instruction set and the variant of each kernel."""

    def resample_horizontal(self, image: U8, bounds: I32, weights: I32, out: U8) -> None:
        """u8[H,W,3] → u8[H,w,3]; bounds i32[w,2] (first, count), weights i32[w,taps] in 1/2^22."""

    def resample_vertical(self, image: U8, bounds: I32, weights: I32, out: U8) -> None:
        """u8[H,W,3] → u8[h,W,3]; bounds i32[h,2], weights i32[h,taps]."""

    def normalise(self, image: U8, table: F32, out: F32) -> None:
        """u8[H,W,3] → f32[3,H,W] through table f32[3,256]."""

    def class_attention(self, attention: F32, out: F32) -> int:
        """f32[heads,tokens] → f32[tokens-1]; BAD_ATTENTION if the sum is not positive and finite."""

    def rollout(self, attention: F32, out: F32) -> int:
        """f32[layers,heads,tokens,tokens] → f32[tokens-1]; BAD_ATTENTION as above."""

    def select_random(self, count: int, k: int, seed: int, out: U16) -> int:
        """The number k; out u16[count] starts with the indices."""

    def sample_grid(self, rows: int, columns: int, k: int, seed: int, jittered: bool, out: U16) -> int:
        """The number k; out u16[rows · columns] starts with the indices."""

    def select_top_k(self, scores: F32, k: int, out: U16) -> int:
        """The number kept, or BAD_SCORES; out u16[n] starts with the indices."""

    def select_threshold(self, scores: F32, delta: float, out: U16) -> int:
        """The number kept, or BAD_SCORES."""

    def select_sum(self, scores: F32, delta: float, include_crossing: bool, out: U16) -> int:
        """The number kept, or BAD_SCORES."""

    def uncertainty(self, logits: F32) -> tuple[int, float, float, float]:
        """(label or BAD_LOGITS, min_entropy, shannon, margin)."""

    def softmax(self, logits: F32, out: F32) -> int:
        """The label, or BAD_LOGITS; out f32[C]."""

    def gather(self, image: U8, indices: U16, patch: int, out: U8) -> int:
        """OK, or BAD_INDEX; out u8[k,patch,patch,3]."""

    def scatter(self, patches: U8, indices: U16, image: U8) -> int:
        """OK, or BAD_INDEX with the image untouched."""

    def pack_bitmap(self, indices: U16, count: int, out: U8) -> int:
        """OK, or BAD_INDEX; out u8[⌈count/8⌉]."""

    def unpack_bitmap(self, bits: U8, count: int, out: U16) -> int:
        """The number of bits set, or BAD_PADDING; out u16[count] starts with the indices."""

    def gate(self, plan: GatePlan, buffers: GateBuffers) -> GateBinder:
        """A fused call that writes into the buffers, to be bound to its inputs."""

    def feature_coder(self, plan: FeaturePlan) -> FeatureCoder:
        """A coder for maps of that plan."""

    def rans_encode(self, values: I32, tables: U8, shifts: U8, histograms: U16, out: U8) -> int:
        """Bytes written, or BAD_SIZE; value i has table tables[i] and shifts[i] low bits that are sent as they are."""

    def rans_decode(self, data: U8, tables: U8, shifts: U8, histograms: U16, out: I32) -> int:
        """OK, or BAD_STREAM; out i32[n]."""

    def latent_coder(self, plan: LatentPlan) -> LatentCoder:
        """A coder for latents of that plan."""
