"""Why an answer is what it is, in words, as each system has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.daemon import config

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.messages import Answer


def _by_gate(answer: Answer) -> str:
    sure = "sure" if answer.decided_by == "edge" else "not sure"
    return answer.note or f"the device was {sure}: min-entropy {answer.min_entropy:.2f} bits"


def _by_rounds(answer: Answer) -> str:
    return answer.note or ("the server asked for more" if answer.rounds > 1 else "the server was sure at once")


def _by_mode(answer: Answer) -> str:
    mode = answer.mode
    return answer.note or (f"{mode.encoders} encoders, {mode.levels} levels" if mode else "")


REASONS: dict[type[config.System], Callable[[Answer], str]] = {
    config.Attention: _by_gate,
    config.Amot: _by_rounds,
    config.Slimmable: _by_mode,
    config.Bps: lambda answer: answer.note,
    config.Local: lambda answer: answer.note or "the device answers every frame",
    config.Remote: lambda answer: answer.note or "the server answers every frame",
}
