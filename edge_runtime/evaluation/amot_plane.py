"""The ways of the accuracy-against-bytes plane: two rounds as planned, and every rival, on one set of photos."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from edge_runtime.control.round_plans import Conditions, RoundPlans
from edge_runtime.errors import ArgumentError
from edge_runtime.evaluation.amot_rivals import DownSampled, FullSecondRound, VisiblePatches
from edge_runtime.systems.amot import Amot, Fixed
from edge_runtime.systems.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_runtime.codecs.image import ImageCodec
    from edge_runtime.control.rounds import RoundTables
    from edge_runtime.models import Bundle
    from edge_runtime.models.bundle import RoundsSpec
    from edge_runtime.systems import System

LOSSLESS, TWO_ROUNDS, JPEG, WEBP = "whole photo, lossless", "A-MOT", "whole photo, JPEG", "whole photo, WebP"
# Accuracies wanted of the planner: so much less than the best of its tables.
LOSSES = (0.0, 0.002, 0.005, 0.01, 0.015, 0.025, 0.04, 0.07)
WHOLE_QUALITIES = (5, 10, 20, 30, 50, 75, 95)
WHOLE_CODECS: dict[str, ImageCodec] = {JPEG: "jpeg", WEBP: "webp"}
# Sides of smaller photos, as shares of a frame's: 56, 80, 112 and 160 of 224 pixels.
SMALLER, SMALLER_QUALITY = (1 / 4, 5 / 14, 1 / 2, 5 / 7), 50
# Both rounds of MOT, as a share of a frame's patches.
MOT_SHARE, MOT_BELOW, MOT_QUALITIES = 0.25, 0.9, (10, 20, 35, 50, 75)
SHARES = (0.1, 0.25, 0.5, 0.8, 1.0)
VISIBLE_SHARES = (0.1, 0.25, 0.5, 0.8)
PATCH_QUALITIES = (20, 35)
VISIBLE_KINDS = ("vit-tokens", "cnn-filled")


class Way(NamedTuple):
    """One way of answering every photo, a point of its curve; ``asks`` is 0 for our server, 1 for the rivals' own."""

    curve: str
    setting: str
    system: System
    asks: int = 0


def ways(bundle: Bundle, rounds: RoundsSpec, tables: RoundTables, rivals: Bundle | None) -> list[Way]:
    """Every way, first whole photos without loss.

    With ``rivals``, a bundle of the same frames and classes, also its models that make do with some patches, with those
    and with whole photos; raises ArgumentError where those differ or there are none.
    """
    return [
        Way(LOSSLESS, "png", Remote("png", 100, rounds.classifier)),
        *_planned(bundle, rounds, tables),
        *_whole_photos(bundle, rounds),
        *_mot(bundle, rounds),
        *_single_rounds(bundle, rounds),
        *(_other_servers(bundle, rounds, rivals) if rivals else ()),
    ]


def plans_wanted(tables: RoundTables) -> list[Fixed]:
    """What the planner chooses without a deadline for less and less accuracy, each plan once."""
    best = max(RoundPlans(tables, None, 0.0).columns.accuracy)
    planners = (RoundPlans(tables, float(best) - loss, 0.0) for loss in LOSSES)
    chosen = (planner.plan(0, Conditions(math.inf, 0.0)) for planner in planners)
    return list(dict.fromkeys(Fixed(one.codec, one.quality, one.first, one.second, one.below) for one in chosen))


def _planned(bundle: Bundle, rounds: RoundsSpec, tables: RoundTables) -> Iterator[Way]:
    for plan in plans_wanted(tables):
        yield Way(TWO_ROUNDS, _name(plan), Amot(bundle.frame, rounds.pattern, plan, rounds.classifier))


def _whole_photos(bundle: Bundle, rounds: RoundsSpec) -> Iterator[Way]:
    for curve, codec in WHOLE_CODECS.items():
        for quality in WHOLE_QUALITIES:
            yield Way(curve, f"q{quality}", Remote(codec, quality, rounds.classifier))
    for share in SMALLER:
        side = round(share * bundle.frame.size)
        smaller = DownSampled(side, SMALLER_QUALITY, rounds.classifier)
        yield Way("whole photo, smaller", f"{side} px, webp q{SMALLER_QUALITY}", smaller)


def _mot(bundle: Bundle, rounds: RoundsSpec) -> Iterator[Way]:
    count = round(MOT_SHARE * bundle.frame.grid**2)
    for quality in MOT_QUALITIES:
        plan = Fixed("webp", quality, count, count, MOT_BELOW)
        system = FullSecondRound(bundle.frame, rounds.pattern, plan, rounds.classifier)
        yield Way("MOT, full second pass", _name(plan), system)


def _single_rounds(bundle: Bundle, rounds: RoundsSpec) -> Iterator[Way]:
    for plan in _blind(bundle, SHARES):
        yield Way("one round", _name(plan), Amot(bundle.frame, rounds.pattern, plan, rounds.classifier))


def _other_servers(bundle: Bundle, rounds: RoundsSpec, rivals: Bundle) -> Iterator[Way]:
    _check_alike(bundle, rivals)
    models = [model.name for model in rivals.models("server") if model.kind in VISIBLE_KINDS]
    if not models:
        raise ArgumentError(f"--rivals: {rivals.folder} has no server model of kind {' or '.join(VISIBLE_KINDS)}")
    for model in models:
        for plan in _blind(bundle, VISIBLE_SHARES, PATCH_QUALITIES[-1:]):
            system = VisiblePatches(bundle.frame, rounds.pattern, plan, model)
            yield Way(f"one round, {model}", f"{_name(plan)} {rounds.pattern}", system, asks=1)
        for quality in WHOLE_QUALITIES:
            yield Way(f"{WEBP}, {model}", f"q{quality}", Remote("webp", quality, model), asks=1)


def _check_alike(bundle: Bundle, rivals: Bundle) -> None:
    for name in ("size", "patch"):
        ours, theirs = getattr(bundle.frame, name), getattr(rivals.frame, name)
        if ours != theirs:
            raise ArgumentError(f"--rivals: {rivals.folder} has a frame.{name} of {theirs}, the bundle one of {ours}")
    if bundle.classes != rivals.classes:
        raise ArgumentError(f"--rivals: {rivals.folder} has other classes than the bundle")


def _blind(bundle: Bundle, shares: Sequence[float], qualities: Sequence[int] = PATCH_QUALITIES) -> Iterator[Fixed]:
    counts = dict.fromkeys(max(round(share * bundle.frame.grid**2), 1) for share in shares)
    for quality in qualities:
        yield from (Fixed("webp", quality, count) for count in counts)


def _name(plan: Fixed) -> str:
    more = f" + {plan.second} below {plan.below:g}" if plan.second else ""
    return f"{plan.codec} q{plan.quality}: {plan.first}{more}"
