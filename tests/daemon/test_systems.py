"""Systems from a source's table, with the zoo's models."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.answering import OneByOne, Unanswered
from edge_runtime.daemon.shelf import Shelf
from edge_runtime.daemon.systems import Opened, open_system
from edge_runtime.errors import ConfigError, EdgeRuntimeError
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle
from edge_runtime.systems.edge import EdgeModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor as Threads

    from numpy.typing import NDArray

    from edge_runtime.daemon.answering import Outcome

pytestmark = pytest.mark.host  # a server's large models, and the zoo's many times

ZOO = Path(__file__).parents[2] / "zoo"
NOBODY = config.Link(server="127.0.0.1:1", probe_first_ms=1e6, probe_longest_ms=1e6)


@pytest.fixture
def models() -> Iterator[Threads]:
    """The models' thread."""
    with ThreadPoolExecutor(1, "models") as threads:
        yield threads


def source(system: config.System, bundle: Path | None = ZOO, **settings: Any) -> config.Posted:
    """A source with this system."""
    return config.Posted(name="gate", system=system, bundle=bundle, **settings)


def answered(
    models: Threads, gate: config.Source, pixels: NDArray[np.uint8], link: config.Link, count: int = 1
) -> tuple[Opened, Outcome]:
    """The source's last of several answers to a frame, each due in ten seconds."""

    async def run() -> tuple[Opened, Outcome]:
        opened = await open_system(gate, config.Config(link=link), Shelf(), models)
        try:
            for number in range(count):
                outcome = await opened.answering.answer(Frame(number, pixels, time.monotonic() + 10))
            return opened, outcome
        finally:
            await asyncio.to_thread(opened.close)

    return asyncio.run(run())


SURE, UNSURE = config.Attention(eta=99.0), config.Attention(eta=0.0)
PLAN = config.Plan(first=49, second=49, below=0.9)


@pytest.mark.parametrize("link", [config.Link(), NOBODY], ids=["no server", "dead server"])
@pytest.mark.parametrize(
    ("gate", "decided_by", "why"),
    [
        (source(SURE), "edge", "the device was sure: min-entropy"),
        (source(UNSURE), "edge-fallback", ""),
        (source(config.Local()), "edge", "the device answers every frame"),
        (source(config.Bps(), ZOO / "lite0"), "edge", "plan local("),
        (source(config.Amot(), ZOO / "amot", fallback=ZOO), "edge-fallback", ""),
        (source(config.Amot(plan=PLAN), ZOO / "amot", fallback=ZOO), "edge-fallback", ""),
        (source(config.Slimmable(), ZOO / "slimmable"), "edge-fallback", ""),
        (source(config.Slimmable(members=2, bits=2, family="ensemble"), ZOO / "slimmable"), "edge-fallback", ""),
        (source(config.Slimmable(estimate="ema", whole_bits=True), ZOO / "slimmable"), "edge-fallback", ""),
        (source(config.Remote()), "edge-fallback", ""),
        (source(config.Remote(), ZOO / "lite0"), "edge-fallback", ""),
    ],
    ids=lambda value: value.system.kind if isinstance(value, config.Posted) else None,
)
def test_each_system_answers_without_its_server(
    models: Threads, grey: NDArray[np.uint8], gate: config.Posted, link: config.Link, decided_by: str, why: str
) -> None:
    """By itself, by a fallback bundle, or by a model of its own bundle; the reason names what is missing."""
    opened, outcome = answered(models, gate, grey, link, count=2)
    assert outcome.answer.decided_by == decided_by
    assert opened.own_answer
    reason = opened.explain(outcome.answer)
    missing = f"{link.server}: not asked" if link.server else "no server is configured"
    assert reason.startswith(why or missing)


@pytest.mark.parametrize(
    "gate",
    [source(config.Amot(), ZOO / "amot"), source(config.Remote(), ZOO / "amot")],
    ids=lambda gate: gate.system.kind,
)
def test_a_bundle_without_a_model_that_answers_alone_leaves_frames_unanswered(
    models: Threads, grey: NDArray[np.uint8], gate: config.Posted
) -> None:
    """What was asked for then is told."""
    with pytest.raises(Unanswered, match="no server is configured") as lost:
        answered(models, gate, grey, config.Link())
    assert lost.value.lost is not None


@pytest.mark.parametrize("system", [UNSURE, config.Remote()], ids=lambda system: system.kind)
def test_a_server_is_asked(models: Threads, grey: NDArray[np.uint8], zoo_server: str, system: config.System) -> None:
    """Its answer is explained too."""
    opened, outcome = answered(models, source(system), grey, config.Link(server=zoo_server))
    assert outcome.answer.decided_by == "server"
    assert opened.explain(outcome.answer).startswith(("the device was not sure", "the server answers every frame"))


@pytest.mark.parametrize(
    ("system", "bundle", "wanted", "under_way"),
    [
        (config.Local(), ZOO, None, 4),
        (config.Local(), ZOO, 2, 2),
        (config.Local(), ZOO, 1000, 32),
        (config.Amot(), ZOO / "amot", None, 1),
        (config.Bps(), ZOO / "lite0", None, 32),
    ],
)
def test_so_many_frames_are_under_way_as_suit_the_system(
    models: Threads, system: config.System, bundle: Path, wanted: int | None, under_way: int
) -> None:
    """Unless the source says otherwise, and never more than the scheduler holds."""

    async def run() -> int:
        opened = await open_system(source(system, bundle, in_flight=wanted), config.Config(), Shelf(), models)
        await asyncio.to_thread(opened.close)
        return opened.in_flight

    assert asyncio.run(run()) == under_way


def test_sources_share_a_model_while_any_of_them_is_there(models: Threads) -> None:
    """However they name it; a second one of the same costs no memory, and the last takes it along."""

    def used(opened: Opened) -> EdgeModel:
        assert isinstance(opened.answering, OneByOne)
        return opened.answering._system.edge

    async def run() -> list[weakref.ref[EdgeModel]]:
        shelf = Shelf()
        named = config.Attention(edge_model="edge-vit")
        tables = [source(config.Local()), source(named), source(config.Local(edge_model="edge-vit-layers"))]
        opened = [await open_system(table, config.Config(), shelf, models) for table in tables]
        first, second, other = (used(one) for one in opened)
        assert first is second
        assert other is not first
        remote = await open_system(source(config.Remote()), config.Config(), shelf, models)
        assert remote.answering._fallback._local.edge is first
        for one in (*opened, remote):
            await asyncio.to_thread(one.close)
        return [weakref.ref(first), weakref.ref(other)]

    gone = asyncio.run(run())
    gc.collect()
    assert [model() for model in gone] == [None, None]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (source(config.Local(), None), "source gate: has no bundle; give it one"),
        (source(config.Local(), ZOO / "none"), r"none/bundle\.toml: no such file"),
        (source(config.Local(edge_model="nobody")), "no edge model named 'nobody'"),
        (source(config.Local(), ZOO / "lite0"), r"lite0\.conv16 is cnn-prefix, not cnn-whole"),
        (source(config.Attention(edge_model="lite0"), ZOO / "lite0"), "lite0 has no attention"),
        (source(config.Attention(score="loudest")), "score: 'loudest' is unknown"),
        (source(config.Attention(delta=5.0)), r"rule\.delta: 5\.0 is outside"),
        (source(config.Amot()), "has no models for two rounds"),
        (source(config.Slimmable()), "has no slimmable encoders"),
        (source(config.Bps()), r"tables\.json: no such file"),
        (source(config.Bps(network="nobody"), ZOO / "lite0"), "no network 'nobody'"),
        (
            source(config.Amot(plan=config.Plan(first=190, second=7)), ZOO / "amot", fallback=ZOO),
            r"source gate: plan of 190 \+ 7 patches, frames have 196",
        ),
        (
            source(config.Slimmable(members=5, bits=2), ZOO / "slimmable"),
            "source gate: 5 encoders at 2 bits are no mode of ensemble, which has 4",
        ),
        (
            source(config.Slimmable(members=1, bits=3.3), ZOO / "slimmable"),
            r"source gate: 1 encoders at 3\.3 bits are no mode",
        ),
        (source(config.Remote(), fallback=ZOO / "amot"), "fallback .*amot has no model that answers alone"),
    ],
)
def test_what_cannot_be_is_one_line(models: Threads, gate: config.Posted, message: str) -> None:
    """The message names the thing, and nothing stays behind."""
    with pytest.raises(EdgeRuntimeError, match=message) as refused:
        asyncio.run(open_system(gate, config.Config(link=NOBODY), Shelf(), models))
    assert "\n" not in str(refused.value)


def test_a_fallback_must_have_been_made_for_the_same(models: Threads, split_bundle: Bundle) -> None:
    """Frames of another size, or other classes, would make its answers wrong."""
    gate = source(config.Remote(), fallback=split_bundle.folder)
    with pytest.raises(ConfigError, match="has other frames or classes"):
        asyncio.run(open_system(gate, config.Config(), Shelf(), models))


def test_a_source_without_a_bundle_has_the_common_one(models: Threads) -> None:
    """The top of the file names it."""

    async def run() -> Path:
        opened = await open_system(source(config.Local(), None), config.Config(bundle=ZOO), Shelf(), models)
        await asyncio.to_thread(opened.close)
        return opened.bundle.folder

    assert asyncio.run(run()) == ZOO
