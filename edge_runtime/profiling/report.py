"""What a profile says, and the JSON file that keeps it: docs/formats/profile.md describes every key.

Times are seconds, sizes bytes, rates per second. What a machine does not tell, or nobody could measure, is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
Bound = Literal["memory", "arithmetic"]
Arithmetic = Literal["float", "int16"]
Clock = Literal["cpu", "wall"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: immutable, and an unknown key is an error."""


class Sensors(_Table, frozen=True):
    """What changes while a machine works. ``throttled`` names what slows it down, () nothing."""

    temperature_c: float | None = None
    frequency_mhz: float | None = None
    throttled: tuple[str, ...] | None = None


class Fingerprint(_Table, frozen=True):
    """What figures depend on and no run changes."""

    machine: str
    cpu: str | None
    board: str | None
    cores: int
    governor: str | None
    slowest_mhz: float | None
    fastest_mhz: float | None
    power_mode: str | None
    memory_bytes: int | None
    kernel: str
    libc: str | None
    python: str
    packages: dict[str, str]
    backend: str
    isa: str


class Peak(_Table, frozen=True):
    """Most that ``threads`` cores can compute with one instruction set; a multiply-add is two operations."""

    isa: str
    threads: int
    float_ops: float
    int16_ops: float


class Bandwidth(_Table, frozen=True):
    """Bytes a second, read and written, that one core moves in a working set of so many ``bytes``."""

    level: str
    bytes: int
    copy: float
    triad: float

    @property
    def best(self) -> float:
        """Of both loops."""
        return max(self.copy, self.triad)


class Ceilings(_Table, frozen=True):
    """What this machine can do at most. ``clock_hz`` are the chain's additions a second: the clock, as it ran."""

    clock_hz: float
    peaks: tuple[Peak, ...]
    memory: tuple[Bandwidth, ...]

    def peak(self, isa: str | None = None, threads: int = 1) -> Peak | None:
        """Of that instruction set, or of the best one."""
        found = [peak for peak in self.peaks if peak.threads == threads and isa in (None, peak.isa)]
        return max(found, key=lambda peak: peak.float_ops, default=None)

    def bandwidth(self, working_set: int) -> Bandwidth:
        """Of the nearest memory that holds so many bytes."""
        return next((level for level in self.memory if working_set <= level.bytes), self.memory[-1])


class Estimate(_Table, frozen=True):
    """A quantile, and between what bounds it lies with 95 % confidence."""

    value: float
    low: float
    high: float


class Timing(_Table, frozen=True):
    """Seconds of one call. ``spread`` is the distance of the quartiles over the median.

    ``stable`` says that the median's interval had become narrow before the time was up. ``first`` is the first call in
    its process. ``quick`` is what comparisons use: the lowest tenth, for a neighbour only ever makes a call slower, in
    cycles where those were counted beside it, else in seconds.
    """

    p50: Estimate
    p95: float
    spread: float
    samples: int
    stable: bool
    first: float
    quick: Estimate
    unit: Literal["cycles", "seconds"]


class KernelRow(_Table, frozen=True):
    """A kernel in one backend; shares are of the ceilings that hold for its working set and instruction set."""

    name: str
    backend: str
    timing: Timing
    bytes: int
    operations: int
    arithmetic: Arithmetic
    bandwidth_share: float | None = None
    arithmetic_share: float | None = None
    bound: Bound | None = None

    @property
    def key(self) -> str:
        """What the same row of another profile has too."""
        return f"{self.name} [{self.backend}]"


class ModelRow(_Table, frozen=True):
    """A model file in one runtime; ``error`` says why there are no figures.

    ``added_bytes`` is by how much loading and running it raised the most memory that its process ever had,
    ``peak_bytes`` that most. ``clock`` is the one that timed it: the processor's for one thread.
    """

    model: str
    file: str
    runtime: str
    precision: str
    provider: str
    threads: int
    clock: Clock
    macs: int
    load: float | None = None
    timing: Timing | None = None
    peak_share: float | None = None
    added_bytes: int | None = None
    peak_bytes: int | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        """What the same row of another profile has too."""
        return f"{self.file} [{self.where}]"

    @property
    def where(self) -> str:
        """Runtime, processor where it is not the CPU, and threads."""
        on = "" if self.provider == "cpu" else f" {self.provider}"
        return f"{self.runtime}{on} ×{self.threads}"


class Stage(_Table, frozen=True):
    """One step of a pipeline; ``model`` names the model that it runs, if any."""

    name: str
    timing: Timing
    model: str | None = None


class PipelineRow(_Table, frozen=True):
    """What the device does with a frame in one system; ``runtime`` and ``precision`` are its models'."""

    system: str
    runtime: str | None = None
    precision: str | None = None
    stages: tuple[Stage, ...] = ()
    error: str | None = None

    @property
    def frame_s(self) -> float:
        """Seconds of one frame: the sum of the stages' medians."""
        return sum(stage.timing.p50.value for stage in self.stages)


class Profile(_Table, frozen=True):
    """Everything that one run found out."""

    format: int
    created: str
    took: float
    fingerprint: Fingerprint
    before: Sensors
    after: Sensors
    ceilings: Ceilings | None
    kernels: tuple[KernelRow, ...]
    models: tuple[ModelRow, ...]
    pipelines: tuple[PipelineRow, ...]
    bundle: str | None
    advice: str


def load(path: Path) -> Profile:
    """Read a profile; raises ArgumentError naming the key that is wrong."""
    try:
        profile = msgspec.json.decode(path.read_bytes(), type=Profile)
    except FileNotFoundError:
        raise ArgumentError(f"{path}: no such file; write it with `edge-runtime profile --json`") from None
    except (msgspec.DecodeError, OSError) as error:
        raise ArgumentError(f"{path}: {error}") from error
    if profile.format != FORMAT:
        raise ArgumentError(f"{path}: format {profile.format} is not supported; this version reads {FORMAT}")
    return profile


def encode(profile: Profile) -> bytes:
    """As JSON, readable by people."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=1)
