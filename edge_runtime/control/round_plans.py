"""Every plan for one photo in two rounds, and the best of those that meet a deadline.

What a plan is worth does not change, so all plans are sorted once, best first; a decision adds up their times in one
go and takes the first that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np

from edge_runtime.errors import ArgumentError, Unmeetable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge_runtime.control.rounds import Bytes, PatchCodec, RoundTables

    F64 = NDArray[np.float64]
    I64 = NDArray[np.intp]

Mode = Literal["two-round", "single-round", "best-effort"]

# What a round puts on the link beside its payload: of the TCP stream, a request's 128 bytes, and a reply's 184 with ten
# classes and a question for more.
ROUND_BYTES = 310
# The plan in force stays until another one saves this share of its bytes, or, where accuracy decides, gains so much.
BYTES_INERTIA = 0.05
ACCURACY_INERTIA = 0.002


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """How one photo is answered: ``first`` patches, and up to ``second`` more if the confidence is under ``below``.

    ``accuracy`` and ``asked`` (the share of second rounds) are expected ones; ``first_bytes`` is the first payload's
    mean, ``expected_bytes`` what crosses the link in the mean, second rounds and the messages' own bytes included.
    ``first_s`` and ``second_s`` are what the rounds should take at most; of a best effort, what the only one should
    take in the mean.
    """

    codec: PatchCodec
    quality: int
    first: int
    second: int
    below: float
    accuracy: float
    asked: float
    first_bytes: float
    expected_bytes: float
    first_s: float
    second_s: float
    mode: Mode


class Packing(Protocol):
    """What of a plan tells how its patches are packed."""

    @property
    def codec(self) -> PatchCodec:
        """The patch codec."""

    @property
    def quality(self) -> int:
        """The codec's, 1..100."""


class Conditions(NamedTuple):
    """What is believed of link and server: ``bandwidth`` in bytes a second, the rest in seconds.

    The server takes ``server_factor`` times what its tables say. The margins are for whatever else takes time, in the
    first and in the second round.
    """

    bandwidth: float
    round_trip_s: float
    server_factor: float = 1.0
    queue_s: float = 0.0
    first_margin_s: float = 0.0
    second_margin_s: float = 0.0

    def round_s(self, size: float, server_s: float) -> float:
        """A round of ``size`` bytes on the link, for which the server's tables say ``server_s``, without margin."""
        return size / self.bandwidth + self.round_trip_s + self.queue_s + self.server_factor * server_s


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision: the chosen plan and the next best ones, each of another mode or codec setting than those before it.

    ``fitting`` and ``all`` count the plans by mode. ``binds`` is what keeps it from a better one: the ``deadline``, the
    ``accuracy`` that was wanted, the price of ``bytes``, or ``nothing`` when there is none in the tables.
    """

    chosen: RoundPlan
    next_best: tuple[RoundPlan, ...]
    fitting: dict[Mode, int]
    all: dict[Mode, int]
    binds: Literal["deadline", "accuracy", "bytes", "nothing"]


class Columns(NamedTuple):
    """Plans as arrays ``[plans]``: their places on the tables' axes, and what no condition changes.

    ``most_first`` and ``most_second`` are bytes on the link that are rarely exceeded, 0 where there is no second round.
    """

    setting: I64
    first: I64
    second: I64
    below: I64
    accuracy: F64
    asked: F64
    first_bytes: F64
    expected_bytes: F64
    most_first: F64
    most_second: F64
    first_server_s: F64
    second_server_s: F64


class RoundPlans:
    """All plans of ``tables``, best first; raises ArgumentError when there are none.

    With ``wanted``, the best is the one with the fewest expected bytes whose accuracy is that or more, and after all
    of those the most accurate. Without, the one with the largest accuracy − ``byte_price`` · expected bytes.
    """

    def __init__(self, tables: RoundTables, wanted: float | None, byte_price: float) -> None:
        columns = _columns(tables)
        if not len(columns.setting):
            raise ArgumentError("rounds: no accuracy in the tables; calibrate the bundle again")
        reaches = columns.accuracy >= (np.inf if wanted is None else wanted)
        price = byte_price if wanted is None else 0.0
        merit = np.where(reaches, -np.log(columns.expected_bytes), columns.accuracy - price * columns.expected_bytes)
        order = np.lexsort((columns.expected_bytes, -merit, ~reaches))
        self.tables = tables
        self._price = price
        self.columns = Columns(*(column[order] for column in columns))
        self.reaches: NDArray[np.bool_] = reaches[order]
        self._merit: F64 = merit[order]
        self._rounds: F64 = 1.0 + (self.columns.second > 0)
        self._bytes: F64 = self.columns.most_first + self.columns.most_second
        self._server_s: F64 = self.columns.first_server_s + self.columns.second_server_s

    def total_s(self, conditions: Conditions) -> F64:
        """Seconds from decision to answer if every round is needed, ``[plans]``."""
        second_s = conditions.round_trip_s + conditions.queue_s + conditions.second_margin_s
        total = self._bytes / conditions.bandwidth
        total += self._server_s * conditions.server_factor
        total += self._rounds * second_s
        total += conditions.first_margin_s - conditions.second_margin_s
        return total

    def best(self, conditions: Conditions, left_s: float, kept: int | None = None) -> int | None:
        """The place of the best plan within ``left_s`` seconds, None when there is none; ``kept`` if hardly worse."""
        fits = self.total_s(conditions) <= left_s
        best = int(fits.argmax())
        if not fits[best]:
            return None
        return kept if kept is not None and fits[kept] and not self._clearly_better(best, kept) else best

    def plan(self, place: int, conditions: Conditions) -> RoundPlan:
        """The plan at that place, with the times it should take at most."""
        columns = self.columns
        first_s = conditions.round_s(columns.most_first[place], columns.first_server_s[place])
        second_s = conditions.round_s(columns.most_second[place], columns.second_server_s[place])
        if not columns.second[place]:
            return self._plan(place, "single-round", first_s + conditions.first_margin_s, 0.0)
        return self._plan(
            place, "two-round", first_s + conditions.first_margin_s, second_s + conditions.second_margin_s
        )

    def best_effort(self, conditions: Conditions) -> RoundPlan:
        """The smallest single round, with the time it should take in the mean."""
        columns = self.columns
        place = int(np.where(columns.second, np.inf, columns.first_bytes).argmin())
        size = columns.first_bytes[place] + ROUND_BYTES
        return self._plan(place, "best-effort", conditions.round_s(size, columns.first_server_s[place]), 0.0)

    def explain(self, conditions: Conditions, left_s: float) -> Explanation:
        """The decision that `best` would take with no plan in force, a best effort where there is none."""
        fits = self.total_s(conditions) <= left_s
        plans = list(self._distinct(fits, conditions)) or [self.best_effort(conditions)]
        two = self.columns.second > 0
        return Explanation(
            chosen=plans[0],
            next_best=tuple(plans[1:]),
            fitting={"two-round": int((fits & two).sum()), "single-round": int((fits & ~two).sum())},
            all={"two-round": int(two.sum()), "single-round": int((~two).sum())},
            binds=self._binds(bool(fits[0])),
        )

    def _distinct(self, fits: NDArray[np.bool_], conditions: Conditions) -> Iterator[RoundPlan]:
        """The best that fits of every mode and setting, best first."""
        kinds = 2 * self.columns.setting + (self.columns.second > 0)
        places = np.flatnonzero(fits)
        for first in np.sort(np.unique(kinds[places], return_index=True)[1]):
            yield self.plan(int(places[first]), conditions)

    def _binds(self, is_best: bool) -> Literal["deadline", "accuracy", "bytes", "nothing"]:
        if not is_best:
            return "deadline"
        if self.reaches[0]:
            return "accuracy"
        return "bytes" if self._price else "nothing"

    def first_server_s(self, plan: RoundPlan) -> float:
        """Seconds that the server's tables have for the first round of ``plan``."""
        return float(np.interp(plan.first, self.tables.first, self.tables.server_ms.first)) / 1e3

    def second_round(self, plan: Packing, count: int) -> tuple[float, float]:
        """Bytes that a second round of ``count`` patches rarely exceeds, and the tables' server seconds for it."""
        tables = self.tables
        most = [one.most for one in tables.second_bytes[self._setting(plan)]]
        server_ms = np.interp(count, tables.second, tables.server_ms.update)
        return float(np.interp(count, tables.second, most)) + ROUND_BYTES, float(server_ms) / 1e3

    def everything(self, plan: Packing, count: int) -> tuple[float, float]:
        """The same of ``count`` patches that are looked at from the start, as those of a first round are."""
        tables = self.tables
        most = [one.most for one in tables.first_bytes[self._setting(plan)]]
        server_ms = np.interp(count, tables.first, tables.server_ms.first)
        return float(np.interp(count, tables.first, most)) + ROUND_BYTES, float(server_ms) / 1e3

    def _setting(self, plan: Packing) -> int:
        return [(one.codec, one.quality) for one in self.tables.settings].index((plan.codec, plan.quality))

    def _clearly_better(self, best: int, kept: int) -> bool:
        if self.reaches[best] != self.reaches[kept]:
            return True
        inertia = BYTES_INERTIA if self.reaches[kept] else ACCURACY_INERTIA
        return bool(self._merit[best] - self._merit[kept] >= inertia)

    def _plan(self, place: int, mode: Mode, first_s: float, second_s: float) -> RoundPlan:
        tables, columns = self.tables, self.columns
        setting, second = tables.settings[columns.setting[place]], tables.second[columns.second[place]]
        return RoundPlan(
            codec=setting.codec,
            quality=setting.quality,
            first=tables.first[columns.first[place]],
            second=second,
            below=tables.below[columns.below[place]] if second else 0.0,
            accuracy=float(columns.accuracy[place]),
            asked=float(columns.asked[place]),
            first_bytes=float(columns.first_bytes[place]),
            expected_bytes=float(columns.expected_bytes[place]),
            first_s=float(first_s),
            second_s=float(second_s),
            mode=mode,
        )


def unmeetable(left_s: float, least_s: float) -> Unmeetable:
    """What to raise when ``left_s`` seconds are left and the smallest first round takes ``least_s``."""
    needs = f"the smallest first round needs {least_s * 1e3:.0f} ms"
    return Unmeetable(f"deadline: {left_s * 1e3:.0f} ms left, {needs}; allow more")


def _columns(tables: RoundTables) -> Columns:
    """Every plan that was measured, each once: without a second round ``below`` means nothing, and 0 asks for none."""
    accuracies = np.array(tables.accuracy, float)
    places = np.indices(accuracies.shape)
    asks = np.array(tables.below)[places[3]] > 0
    measured = ~np.isnan(accuracies) & np.where(places[2], asks, places[3] == 0)
    setting, first, second, below = places[:, measured]
    two = second > 0
    asked = np.where(two, np.array(tables.asked)[setting, first, below], 0.0)
    first_mean, first_most = _sizes(tables.first_bytes)
    second_mean, second_most = _sizes(tables.second_bytes)
    first_bytes = first_mean[setting, first]
    return Columns(
        setting,
        first,
        second,
        below,
        accuracy=accuracies[measured],
        asked=asked,
        first_bytes=first_bytes,
        expected_bytes=first_bytes + ROUND_BYTES + asked * (second_mean[setting, second] + ROUND_BYTES),
        most_first=first_most[setting, first] + ROUND_BYTES,
        most_second=np.where(two, second_most[setting, second] + ROUND_BYTES, 0.0),
        first_server_s=np.array(tables.server_ms.first)[first] / 1e3,
        second_server_s=np.where(two, np.array(tables.server_ms.update)[second] / 1e3, 0.0),
    )


def _sizes(table: tuple[tuple[Bytes, ...], ...]) -> tuple[F64, F64]:
    """Means and largest, ``[settings, counts]`` each."""
    mean = np.array([[one.mean for one in row] for row in table])
    most = np.array([[one.most for one in row] for row in table])
    return mean, most
