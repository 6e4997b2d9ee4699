"""Systems as a source's table has them, with their models loaded and tried."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_runtime.daemon import config
from edge_runtime.daemon.answering import Fallback, OneByOne, Scheduled
from edge_runtime.daemon.link import LOSSES_WITHOUT_ANSWER, NoLink, ServerLink
from edge_runtime.daemon.reasons import REASONS
from edge_runtime.errors import BundleError, ConfigError, LinkError
from edge_runtime.messages import Frame, Mode
from edge_runtime.models import Bundle
from edge_runtime.systems.edge import EdgeModel, WholeModel
from edge_runtime.systems.local import Local

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor as Threads

    from edge_runtime.control.link_estimate import LinkEstimate
    from edge_runtime.daemon.answering import Answering
    from edge_runtime.daemon.link import Link
    from edge_runtime.daemon.shelf import Shelf
    from edge_runtime.messages import Answer
    from edge_runtime.systems import System

# Believed of a link that cannot be asked yet; replies correct both. Bytes a second, and seconds.
FIRST_BANDWIDTH, FIRST_ROUND_TRIP_S = 1e6 / 8, 0.05
# A server that takes longer to say that it is there must not hold up the start.
PING_S = 0.25
SCHEDULED_FRAMES = 32
PIPELINED_FRAMES = 4


@dataclass(frozen=True)
class Opened:
    """A source's system, ready to answer. ``explain`` says in words why an answer is what it is.

    ``own_answer`` says whether there is one without the server.
    """

    bundle: Bundle
    link: Link
    answering: Answering
    in_flight: int
    own_answer: bool
    explain: Callable[[Answer], str]

    def close(self) -> None:
        """Let go of models and connection."""
        self.answering.close()
        self.link.close()


async def open_system(source: config.Source, whole: config.Config, shelf: Shelf, models: Threads) -> Opened:
    """Load what a source needs, in a thread beside the event loop, and try it in that of the ``models``.

    Raises BundleError, ModelError and ArgumentError, as the parts do, and ConfigError.
    """
    folder = source.bundle or whole.bundle
    if folder is None:
        raise ConfigError(f"source {source.name}: has no bundle; give it one, or one for all of them")
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(lambda: _Opening(source, whole, Bundle.load(folder), shelf, models, loop).open())


class _Opening:
    """One source's system on its way up."""

    def __init__(
        self,
        source: config.Source,
        whole: config.Config,
        bundle: Bundle,
        shelf: Shelf,
        models: Threads,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.source, self.bundle, self.shelf, self.models, self.loop = source, bundle, shelf, models, loop
        self.execution = whole.models.execution
        self.fallback = self._fallback()
        self.own_answer = self.fallback is not None or isinstance(
            source.system, (config.Attention, config.Local, config.Bps)
        )
        losses = 1 if self.own_answer else LOSSES_WITHOUT_ANSWER
        self.link: Link = ServerLink(whole.link, bundle.hash, losses=losses) if whole.link.server else NoLink()

    def open(self) -> Opened:
        table = self.source.system
        try:
            if isinstance(table, config.Bps):
                answering: Answering = self._scheduled(table)
                in_flight = SCHEDULED_FRAMES
            else:
                system = self._system(table)
                answering = OneByOne(system, self.link, self.models, self._alone(system), self.fallback)
                # Their estimates of the link follow one request at a time.
                in_flight = 1 if isinstance(table, (config.Amot, config.Slimmable)) else PIPELINED_FRAMES
        except BaseException:
            self.link.close()
            raise
        return Opened(
            self.bundle,
            self.link,
            answering,
            min(self.source.in_flight or in_flight, SCHEDULED_FRAMES),
            self.own_answer,
            REASONS[type(table)],
        )

    def _system(self, table: config.System) -> System:
        if isinstance(table, config.Attention):
            return self._attention(table)
        if isinstance(table, config.Amot):
            return self._amot(table)
        if isinstance(table, config.Slimmable):
            return self._slimmable(table)
        if isinstance(table, config.Remote):
            from edge_runtime.systems.remote import Remote

            return Remote(table.codec, table.quality, table.server_model)
        assert isinstance(table, config.Local)  # noqa: S101 - the scheduler's is no system of one frame
        local = Local(self.shelf.whole(self.bundle, table.edge_model, self.execution))
        self._try(local)
        return local

    def _attention(self, table: config.Attention) -> System:
        from edge_runtime.systems.attention import Attention

        edge = self.shelf.edge(self.bundle, table.edge_model, self.execution)
        changes = {
            name: value
            for name, value in msgspec.structs.asdict(table).items()
            if name not in ("edge_model", "server_model") and value is not None
        }
        system = Attention(edge, self.bundle.gate_with(changes), table.server_model)
        self._try(system)
        return system

    def _amot(self, table: config.Amot) -> System:
        from edge_runtime.control.rounds import RoundTables
        from edge_runtime.control.slo import Slo
        from edge_runtime.systems.amot import Amot, Fixed

        rounds = self.bundle.manifest.rounds
        if rounds is None:
            raise BundleError(f"{self.bundle.folder}: has no models for two rounds; give a bundle with [rounds]")
        if table.plan:
            plan = table.plan
            patches = self.bundle.frame.grid**2
            if plan.first + plan.second > patches:
                raise ConfigError(
                    f"source {self.source.name}: plan of {plan.first} + {plan.second} patches, frames have {patches}"
                )
            planner: Fixed | Slo = Fixed(plan.codec, plan.quality, plan.first, plan.second, plan.below)
        elif rounds.tables is None:
            raise BundleError(f"{self.bundle.folder}: was not calibrated for two rounds; give a plan")
        else:
            tables = RoundTables.load(self.bundle.read(rounds.tables))
            planner = Slo(
                tables, self._link_estimate(), wanted=table.wanted, byte_price=(table.price or 0.0) / 100 / 1000
            )
        return Amot(self.bundle.frame, rounds.pattern, planner, rounds.classifier)

    def _slimmable(self, table: config.Slimmable) -> System:
        from edge_runtime.control.bandwidth_average import BandwidthAverage
        from edge_runtime.control.mode_controller import FIRST_BANDWIDTH as FIRST
        from edge_runtime.control.mode_controller import ModeController
        from edge_runtime.control.modes import LEVELS
        from edge_runtime.systems.family import Family
        from edge_runtime.systems.slimmable import Controller, Fixed, Slimmable

        family = Family.open(self.bundle, self.bundle.latent(table.family), self.execution)
        encode_s = family.encoders.warm_up()
        if table.members is not None and table.bits is not None:
            levels = LEVELS.get(table.bits)
            if table.members > len(family.encoders) or levels not in family.codec.levels or levels is None:
                raise ConfigError(
                    f"source {self.source.name}: {table.members} encoders at {table.bits:g} bits are no mode of "
                    f"{family.spec.name}, which has {len(family.encoders)}"
                )
            controller: Controller = Fixed(Mode(table.members, levels))
        else:
            modes = family.table.whole_bits if table.whole_bits else family.table.modes
            link = (
                BandwidthAverage(FIRST, self._round_trip_s(), time.monotonic())
                if table.estimate == "ema"
                else self._link_estimate(FIRST)
            )
            controller = ModeController(modes, encode_s, family.table.server_ms, link)
        return Slimmable(family.encoders, family.codec, family.spec.decoder, controller)

    def _scheduled(self, table: config.Bps) -> Scheduled:
        from edge_runtime.scheduling.bundle_tables import bundle_tables
        from edge_runtime.scheduling.device import Device
        from edge_runtime.scheduling.dispatch import Dispatcher
        from edge_runtime.scheduling.executor import Executor, Queued
        from edge_runtime.scheduling.planner import Planner

        tables = bundle_tables(self.bundle, table.tables)
        device = Device(self.bundle, table.network or tables.network, self.execution)
        dispatcher: Dispatcher[Queued] = Dispatcher(
            Planner.of(tables, table.most_loss / 100),
            tables,
            self._link_estimate(tables.bandwidth),
            capacity=SCHEDULED_FRAMES,
            deadline_s=self.source.deadline_ms / 1e3,
            late="local",
        )
        return Scheduled(Executor(dispatcher, device, self.link), self.loop)

    def _fallback(self) -> Fallback | None:
        source = self.source
        if isinstance(source.system, (config.Attention, config.Local, config.Bps)):
            return None
        bundle = Bundle.load(source.fallback) if source.fallback else self.bundle
        name = _answers_alone(bundle)
        if name is None:
            if source.fallback:
                raise ConfigError(f"source {source.name}: fallback {bundle.folder} has no model that answers alone")
            return None
        if (bundle.frame, bundle.classes) != (self.bundle.frame, self.bundle.classes):
            raise ConfigError(
                f"source {source.name}: fallback {bundle.folder} has other frames or classes than "
                f"{self.bundle.folder}; give one that was made for the same"
            )
        local = Local(self.shelf.whole(bundle, name, self.execution))
        return Fallback(local, self._try(local))

    def _alone(self, system: System) -> Callable[[Frame, str], Answer] | None:
        """What answers while the link is lost, unless what cannot be asked now is to be asked later."""
        from edge_runtime.systems.attention import Attention

        if self.source.ask_later:
            return None
        if isinstance(system, Attention):
            return system.alone
        return self.fallback.alone if self.fallback else None

    def _try(self, system: System) -> float:
        """Seconds of an answer to a grey frame, after a first one that loads what is loaded late."""
        size = self.bundle.frame.size
        frame = Frame(0, np.full((size, size, 3), 128, np.uint8))

        def once() -> float:
            start_s = time.perf_counter()
            next(system.infer(frame), None)
            return time.perf_counter() - start_s

        # Where the model runs for other sources too, nobody else may run it.
        self.models.submit(once).result()
        return self.models.submit(once).result()

    def _link_estimate(self, bandwidth: float = FIRST_BANDWIDTH) -> LinkEstimate:
        from edge_runtime.control.link_estimate import LinkEstimate

        return LinkEstimate(bandwidth, self._round_trip_s(), time.monotonic())

    def _round_trip_s(self) -> float:
        if isinstance(self.link, NoLink):
            return FIRST_ROUND_TRIP_S
        try:
            self.link.client.ping(PING_S)  # the first one opens the connection
            return self.link.client.ping(PING_S)
        except LinkError:
            return FIRST_ROUND_TRIP_S


def _answers_alone(bundle: Bundle) -> str | None:
    """Name of an edge model that does: the default one if it does, for it may be the first part of a network."""
    names = [model.name for model in bundle.models("edge") if model.kind in (EdgeModel.kind, WholeModel.kind)]
    default = bundle.manifest.default_edge_model
    return default if default in names else next(iter(names), None)
