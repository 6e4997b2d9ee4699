"""Per photo and budget: the finest setting of a codec that fits, and what came of it over many photos.

Searching photo by photo is the best that rate control can do, and the search is not timed: both favour the rivals. FF
is judged with its own rate control, `encode_within`, wherever that keeps to the budget, else by the same search.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feature_networks import Split
    from feature_rivals import Codec, Map
    from numpy.typing import NDArray

Times: TypeAlias = "dict[tuple[str, int], NDArray[np.float64]]"
ROUNDS = 5
BATCH = 25


class Sent(NamedTuple):
    """What is sent for one photo at one budget; `encode` makes the same bytes again, for the clock.

    `controlled` tells the codec's own rate control from the search.
    """

    data: bytes
    encode: Callable[[], bytes]
    controlled: bool


class Outcome(NamedTuple):
    """What one codec did at one budget, photo by photo."""

    sizes: NDArray[np.int64]
    answers: NDArray[np.int64]
    controlled: NDArray[np.bool_]


def finest(size_of: Callable[[int], int], count: int, budget: int) -> int:
    """The last of `count` settings whose size fits `budget`, taking sizes to grow; -1 when the first does not."""
    low, high = -1, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        if size_of(middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def within(codec: Codec, features: Map, budgets: Sequence[int]) -> list[Sent]:
    """The finest that fits each budget; where nothing fits, the coarsest, whose bytes then tell."""
    encoded: dict[int, bytes] = {}

    def size_of(index: int) -> int:
        if index not in encoded:
            encoded[index] = codec.encode(features, codec.settings[index])
        return len(encoded[index])

    def searched(budget: int) -> Sent:
        index = max(finest(size_of, len(codec.settings), budget), 0)
        size_of(index)
        return Sent(encoded[index], partial(codec.encode, features, codec.settings[index]), controlled=False)

    def own(budget: int) -> Sent:
        setting = codec.choose(features, budget)
        data = None if setting is None else codec.encode(features, setting)
        if data is None or len(data) > budget:
            return searched(budget)
        return Sent(data, partial(codec.encode, features, setting), controlled=True)

    return [own(budget) for budget in budgets]


def outcomes(
    split: Split, codecs: Sequence[Codec], features: Map, budgets: Sequence[int]
) -> dict[tuple[str, int], Outcome]:
    """Sizes and the network's answers by codec and budget, for the maps of some photos."""
    found = {}
    for codec in codecs:
        sent = [within(codec, one, budgets) for one in features]
        # Budgets beyond a codec's finest setting get the same bytes: decoded and answered once.
        distinct = list(dict.fromkeys((photo, one.data) for photo, chosen in enumerate(sent) for one in chosen))
        answered = dict(zip(distinct, answers(split, codec, [data for _, data in distinct]), strict=True))
        for budget, chosen in zip(budgets, zip(*sent, strict=True), strict=True):
            sizes = np.array([len(one.data) for one in chosen])
            controlled = np.array([one.controlled for one in chosen])
            labels = np.array([answered[photo, one.data] for photo, one in enumerate(chosen)])
            found[codec.name, budget] = Outcome(sizes, labels, controlled)
    return found


def answers(split: Split, codec: Codec, payloads: Sequence[bytes]) -> list[int]:
    """What the network makes of each payload."""
    found: list[int] = []
    for first in range(0, len(payloads), BATCH):
        decoded = np.stack([decode(split, codec, data) for data in payloads[first : first + BATCH]])
        found += split.suffix(decoded).argmax(axis=1).tolist()
    return found


def decode(split: Split, codec: Codec, data: bytes) -> Map:
    """Decode; where the cut's values are never negative every codec is told so."""
    features = codec.decode(data)
    return np.maximum(features, 0) if split.nonnegative else features


def times(split: Split, codecs: Sequence[Codec], features: Map, budgets: Sequence[int]) -> Times:
    """Milliseconds to encode and to decode, `[photos, 2]`, by codec and budget.

    All codecs take turns on the same photo in one thread, in an order that turns round every round, after one call
    each to warm up; a photo's time is the median of its rounds. Processor time: what others take does not count.
    """
    taken: dict[tuple[str, int], list[Any]] = {(codec.name, budget): [] for codec in codecs for budget in budgets}
    for one in features:
        chosen = {codec.name: within(codec, one, budgets) for codec in codecs}
        for place, budget in enumerate(budgets):
            rounds: dict[str, list[tuple[float, float]]] = {codec.name: [] for codec in codecs}
            for turn in range(ROUNDS + 1):
                for codec in codecs if turn % 2 else codecs[::-1]:
                    rounds[codec.name].append(_clock(split, codec, chosen[codec.name][place]))
            for name, found in rounds.items():
                taken[name, budget].append(np.median(found[1:], axis=0))
    return {key: np.array(found) for key, found in taken.items()}


def _clock(split: Split, codec: Codec, sent: Sent) -> tuple[float, float]:
    start = time.thread_time()
    data = sent.encode()
    middle = time.thread_time()
    decode(split, codec, data)
    return (middle - start) * 1e3, (time.thread_time() - middle) * 1e3
