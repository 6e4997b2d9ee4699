"""The daemon's rows of README's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from result_files import read

if TYPE_CHECKING:
    from collections.abc import Iterable

START = "`python benchmarks/daemon_start.py --json JSON`"
LINK = "`python benchmarks/daemon_link.py --data PHOTOS --json JSON`"
SOAK = "`python benchmarks/daemon_soak.py --data PHOTOS --json JSON`"


def daemon_rows() -> Iterable[tuple[str, str, str]]:
    """What is measured, its figures, and the command that makes them."""
    yield from _start_rows(read("daemon_start.json"))
    yield from _link_rows(read("daemon_link.json"))
    yield from _soak_rows(read("daemon_soak.json"))


def _start_rows(found: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    zoo, bare = found["zoo"], found["without models"]
    what = (
        f"daemon, {zoo['times']} starts on this machine: READY with the zoo's bundle, median; slowest; "
        "memory before models; with them"
    )
    seconds = f"{zoo['ready_s']:.2f} s; {zoo['slowest_s']:.2f} s"
    yield what, f"{seconds}; {bare['largest_mib']:.0f} MiB; {zoo['largest_mib']:.0f} MiB", START


def _link_rows(found: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    runs = found["cuts"].values()
    cuts, frames, late = (sum(run[key] for run in runs) for key in ("cuts", "frames", "late"))
    not_answered, twice, lost = (
        sum(run[key] for run in runs) for key in ("not_answered", "answered_twice", "lost_under_way")
    )
    what = (
        f"daemon, link cut {cuts} times in {frames:,} frames of four systems ({lost} requests lost on the way): "
        "frames without an answer; answered twice; inside the deadline"
    )
    yield what, f"{not_answered}; {twice}; {1 - late / frames:.2%}", LINK
    dead = found["dead"]
    most = max((dead[system]["more_ms"], system) for system in found["cuts"])
    recovery = found["recovery"]
    what = (
        f"daemon, server dead: a frame beside the device alone, worst of four systems ({dead['frames']} frames each); "
        f"return noticed, longest of {recovery['times']}"
    )
    yield what, f"{most[0]:+.2f} ms ({most[1]}); {recovery['most']:.2f} probe intervals", LINK


def _soak_rows(found: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    hours = found["seconds"] / 3600
    troubles = ", ".join(f"{count} × {name}" for name, count in sorted(found["troubles"].items()) if name != "page")
    what = (
        f"daemon, {hours:.1f} h at 10 frames a second ({troubles}): frames without an answer; answered twice; "
        "memory, descriptors, threads, tasks an hour"
    )
    growth = (found[f"{key}_an_hour"] for key in ("descriptors", "threads", "tasks"))
    half = found["resident_mib_an_hour_second_half"]
    memory = f"{found['resident_mib_an_hour']:+.2f} MiB ({half:+.2f} in the second half)"
    figures = ", ".join([memory, *(f"{value:+.1f}" for value in growth)])
    yield what, f"{found['not_answered']} of {found['frames']:,}; {found['answered_twice']}; {figures}", SOAK
