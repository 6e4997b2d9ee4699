"""A profile as text for a terminal of 120 columns; docs/profiling.md explains every column."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.profiling.report import (
        Ceilings,
        Fingerprint,
        KernelRow,
        ModelRow,
        PipelineRow,
        Profile,
        Sensors,
        Timing,
    )

UNKNOWN = "-"
COLUMNS = 120
Row = tuple[str, ...]


def text(profile: Profile, backend: str) -> str:
    """The whole report; kernels in full for the ``backend`` in use, then for all."""
    parts = [head(profile), limits(profile.ceilings)]
    if profile.kernels:
        parts += [kernels(profile.kernels, backend), backends(profile.kernels)]
    if profile.models:
        parts.append(models(profile.models))
    parts += [pipeline(one) for one in profile.pipelines]
    unstable = sum(not row.timing.stable for row in profile.kernels)
    if unstable:
        parts.append(f"~ {unstable} of {len(profile.kernels)} medians had not settled when the time was up")
    return "\n\n".join([*parts, textwrap.fill(profile.advice, COLUMNS)])


def head(profile: Profile) -> str:
    """What the figures depend on."""
    found = profile.fingerprint
    lines = [
        f"{found.board or found.machine}: {found.cpu or 'unknown processor'}, {found.cores} cores{_clock(found)}",
        f"memory {_size(found.memory_bytes)}, Linux {found.kernel}, {found.libc}, Python {found.python}",
        ", ".join(f"{name} {version}" for name, version in found.packages.items()),
        f"kernels: {found.backend}, {found.isa}; {_sensors(profile.before, profile.after)}",
    ]
    indented = [textwrap.fill(line, COLUMNS, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return "\n".join([f"edge-runtime profile, {profile.created}, {profile.took:.0f} s", *indented])


def _clock(found: Fingerprint) -> str:
    parts = []
    if found.slowest_mhz is not None and found.fastest_mhz is not None:
        parts.append(f"{found.slowest_mhz:.0f} to {found.fastest_mhz:.0f} MHz")
    if found.governor:
        parts.append(f"governor {found.governor}")
    if found.power_mode:
        parts.append(f"power mode {found.power_mode}")
    return "".join(f", {part}" for part in parts)


def _sensors(before: Sensors, after: Sensors) -> str:
    """Before and after; what the machine does not tell is named as such."""
    celsius = _change(before.temperature_c, after.temperature_c, "temperature {} °C")
    clock = _change(before.frequency_mhz, after.frequency_mhz, "clock {} MHz")
    if before.throttled is None and after.throttled is None:
        return f"{celsius}, {clock}, throttling unknown"
    names = [", ".join(one.throttled or ()) or "no" for one in (before, after)]
    return f"{celsius}, {clock}, throttled: {names[0]} → {names[1]}"


def _change(before: float | None, after: float | None, pattern: str) -> str:
    if before is None and after is None:
        return pattern.split(" ", 1)[0] + " unknown"
    return pattern.format(" → ".join(UNKNOWN if value is None else f"{value:.0f}" for value in (before, after)))


def limits(ceilings: Ceilings | None) -> str:
    """What the machine can do at most."""
    if ceilings is None:
        return "ceilings: none, the compiled kernels are missing; build them with `pip install .`"
    rows: list[Row] = [("cores", "float Gop/s", "int16 Gop/s")]
    rows += [(f"{peak.threads} × {peak.isa}", *_rates(peak.float_ops, peak.int16_ops)) for peak in ceilings.peaks]
    memory = ", ".join(f"{level.level} ({_size(level.bytes)}) {level.best / 1e9:.0f}" for level in ceilings.memory)
    title = f"ceilings: clock {ceilings.clock_hz / 1e9:.2f} GHz as it ran; GB/s of a working set in {memory}"
    return f"{textwrap.fill(title, COLUMNS)}\n{table(rows)}"


def _rates(*operations: float) -> Row:
    return tuple(f"{rate / 1e9:.1f}" if rate else UNKNOWN for rate in operations)


def kernels(rows: Sequence[KernelRow], backend: str) -> str:
    """Every figure of one backend's kernels."""
    shown = [row for row in rows if row.backend == backend]
    lines: list[Row] = [
        (
            "kernel",
            "p50 µs",
            "p95 µs",
            "spread",
            "first µs",
            "calls/s",
            "bytes",
            "ops",
            "of memory",
            "of peak",
            "bound by",
        )
    ]
    lines += [
        (
            row.name,
            _mark(row.timing) + _micro(row.timing.p50.value),
            _micro(row.timing.p95),
            f"{row.timing.spread:.0%}",
            _micro(row.timing.first),
            f"{1 / row.timing.p50.value:.0f}",
            f"{row.bytes}",
            f"{row.operations}",
            _share(row.bandwidth_share),
            _share(row.arithmetic_share),
            row.bound or UNKNOWN,
        )
        for row in shown
    ]
    return f"{backend}\n{table(lines)}" if shown else f"{backend}: no row was measured"


def backends(rows: Sequence[KernelRow]) -> str:
    """Median microseconds of every kernel in every backend."""
    names = list(dict.fromkeys(row.backend for row in rows))
    found = {(row.name, row.backend): row.timing for row in rows}
    lines: list[Row] = [("p50 µs", *names)]
    for kernel in dict.fromkeys(row.name for row in rows):
        timings = [found.get((kernel, name)) for name in names]
        lines.append((kernel, *(UNKNOWN if one is None else _mark(one) + _micro(one.p50.value) for one in timings)))
    return table(lines)


def models(rows: Sequence[ModelRow]) -> str:
    """Every model file in every runtime, and below them why some could not be measured."""
    lines: list[Row] = [
        ("model file, ms", "in", "load", "first", "p50", "p95", "spread", "GMAC/s", "of peak", "adds", "peak")
    ]
    lines += [_model(row, row.timing) for row in rows if row.timing is not None]
    failed = [f"{row.key}: {row.error}"[:COLUMNS] for row in rows if row.error]
    return "\n".join([table(lines), *failed])


def _model(row: ModelRow, timing: Timing) -> Row:
    return (
        row.file,
        row.where,
        UNKNOWN if row.load is None else f"{row.load * 1e3:.0f}",
        f"{timing.first * 1e3:.1f}",
        f"{_mark(timing)}{timing.p50.value * 1e3:.2f}",
        f"{timing.p95 * 1e3:.2f}",
        f"{timing.spread:.0%}",
        f"{row.macs / timing.p50.value / 1e9:.1f}",
        _share(row.peak_share),
        _size(row.added_bytes),
        _size(row.peak_bytes),
    )


def pipeline(row: PipelineRow) -> str:
    """A frame, stage by stage."""
    running = ", ".join(filter(None, (row.runtime, row.precision)))
    title = f"a frame of {row.system}" + (f" ({running})" if running else "")
    if row.error:
        return f"{title}: {row.error}"[:COLUMNS]
    lines: list[Row] = [("stage", "p50 ms", "p95 ms", "spread", "share")]
    lines += [
        (
            f"{stage.name} {stage.model}" if stage.model else stage.name,
            f"{_mark(stage.timing)}{stage.timing.p50.value * 1e3:.3f}",
            f"{stage.timing.p95 * 1e3:.3f}",
            f"{stage.timing.spread:.0%}",
            f"{stage.timing.p50.value / row.frame_s:.0%}",
        )
        for stage in row.stages
    ]
    lines.append(("all", f"{row.frame_s * 1e3:.3f}", "", "", ""))
    return f"{title}\n{table(lines)}"


def table(rows: Sequence[Row]) -> str:
    """Columns as wide as what they hold, the first to the left, the rest to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([f"  {row[0].ljust(widths[0])}", *cells]).rstrip())
    return "\n".join(lines)


def _mark(timing: Timing) -> str:
    return "" if timing.stable else "~"


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.1f}" if seconds < 1e-3 else f"{seconds * 1e6:.0f}"


def _share(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.1%}"


def _size(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count //= 1024
    return f"{count} GiB"
