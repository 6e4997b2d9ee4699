"""Two profiles side by side: which rows became slower or faster by more than chance and habit explain.

Rows are compared by their quick times in cycles of the chain that was measured in turns with them: a clock that changed
is not a kernel that changed. Only a row whose whole interval lies beyond the tolerance is called slower or faster. On a
disturbed machine rows scatter, and the tolerance grows with that: most kernels are no other than before.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Literal, NamedTuple

from edge_runtime.profiling.fingerprint import differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.profiling.report import Profile, Timing

Judgement = Literal["slower", "faster", "same", "new", "gone"]

# What placement in memory and the like change between two runs of the same program.
TOLERANCE = 0.10
# So many standard deviations of all rows are no news, where enough rows tell how they scatter.
DEVIATIONS, ENOUGH = 3.0, 8
# Rows that are taken for unchanged, and how many standard deviations a normal distribution has them within.
UNCHANGED, WITHIN = 0.8, 1.2816


class Verdict(NamedTuple):
    """On one row; ``ratio`` is new over old, within 95 % ``low`` to ``high``, None where one side has no figures."""

    key: str
    judgement: Judgement
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


class Comparison(NamedTuple):
    """Verdicts on all rows by that ``tolerance``, and what differs between the machines' fingerprints."""

    verdicts: list[Verdict]
    tolerance: float
    differences: list[str]

    @property
    def ratio(self) -> float | None:
        """The median over all rows that both have."""
        found = [verdict.ratio for verdict in self.verdicts if verdict.ratio is not None]
        return statistics.median(found) if found else None

    @property
    def slower(self) -> list[Verdict]:
        """Rows that became slower."""
        return [verdict for verdict in self.verdicts if verdict.judgement == "slower"]


def compare(old: Profile, new: Profile) -> Comparison:
    """Judge every row of either profile."""
    before, after = timings(old), timings(new)
    changes = {key: _change(before[key], after[key]) for key in after if key in before}
    tolerance = tolerance_of([change.ratio for change in changes.values()])
    verdicts = [
        Verdict(key, _judgement(changes[key], tolerance), *changes[key])
        if key in changes
        else Verdict(key, "gone" if key in before else "new")
        for key in dict.fromkeys([*after, *before])
    ]
    return Comparison(verdicts, tolerance, differences(old.fingerprint, new.fingerprint))


def tolerance_of(ratios: Sequence[float]) -> float:
    """What change of a row is no news, as a share: by how far rows scatter around their median, or `TOLERANCE`."""
    if len(ratios) < ENOUGH:
        return TOLERANCE
    logarithms = [math.log(ratio) for ratio in ratios]
    middle = statistics.median(logarithms)
    distances = sorted(abs(one - middle) for one in logarithms)
    deviation = distances[int(UNCHANGED * (len(distances) - 1))] / WITHIN
    return max(TOLERANCE, math.expm1(DEVIATIONS * deviation))


def timings(profile: Profile) -> dict[str, Timing]:
    """Every row that has figures, by its key; a stage's key begins with its system."""
    found = {row.key: row.timing for row in profile.kernels}
    found |= {row.key: row.timing for row in profile.models if row.timing is not None}
    for pipeline in profile.pipelines:
        found |= {f"{pipeline.system}: {stage.name}": stage.timing for stage in pipeline.stages}
    return found


class _Change(NamedTuple):
    ratio: float
    low: float
    high: float


def _change(old: Timing, new: Timing) -> _Change:
    same_unit = old.unit == new.unit
    before, after = (old.quick, new.quick) if same_unit else (old.p50, new.p50)
    ratio = after.value / before.value
    below = math.hypot(math.log(after.value / after.low), math.log(before.high / before.value))
    above = math.hypot(math.log(after.high / after.value), math.log(before.value / before.low))
    return _Change(ratio, ratio * math.exp(-below), ratio * math.exp(above))


def _judgement(change: _Change, tolerance: float) -> Judgement:
    if change.low > 1 + tolerance:
        return "slower"
    return "faster" if change.high < 1 / (1 + tolerance) else "same"


def text(comparison: Comparison) -> str:
    """The verdicts, those that matter first, rows that stayed the same only counted."""
    lines = [f"warning: another machine or software: {difference}" for difference in comparison.differences]
    shown = [verdict for verdict in comparison.verdicts if verdict.judgement != "same"]
    order: Sequence[Judgement] = ("slower", "faster", "new", "gone")
    lines += [
        f"{verdict.judgement:7} {_figures(verdict):>24}  {verdict.key}"
        for verdict in sorted(shown, key=lambda one: order.index(one.judgement))
    ]
    same = len(comparison.verdicts) - len(shown)
    ratio = "" if comparison.ratio is None else f"; median of all rows: × {comparison.ratio:.3f}"
    lines.append(
        f"{same} rows the same within {comparison.tolerance:.0%} and their intervals{ratio}, in cycles where counted"
    )
    return "\n".join(lines)


def _figures(verdict: Verdict) -> str:
    return "" if verdict.ratio is None else f"× {verdict.ratio:.2f} ({verdict.low:.2f} to {verdict.high:.2f})"
