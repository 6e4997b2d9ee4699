"""One source's lane: its frames on their way from the queue to the sinks."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import numpy as np
import structlog

from edge_runtime.codecs import image
from edge_runtime.daemon.answering import Unanswered
from edge_runtime.daemon.audit import Audit
from edge_runtime.daemon.frames import Record
from edge_runtime.daemon.intake import Intake
from edge_runtime.daemon.later import Later
from edge_runtime.daemon.logs import Seldom
from edge_runtime.errors import EdgeRuntimeError, PhotoError, SinkError, SourceError
from edge_runtime.messages import Frame
from edge_runtime.photos import fit, open_frame
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.selection import patch_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor as Threads

    from numpy.typing import NDArray

    from edge_runtime.daemon import config
    from edge_runtime.daemon.config import WhenFull
    from edge_runtime.daemon.frames import Captured
    from edge_runtime.daemon.recent import Recent
    from edge_runtime.daemon.sinks import Sink
    from edge_runtime.daemon.sources import Source
    from edge_runtime.daemon.state import SourceState
    from edge_runtime.daemon.systems import Opened
    from edge_runtime.daemon.tally import Tally
    from edge_runtime.messages import Answer, Request
    from edge_runtime.transport.spool import Spool

log = structlog.get_logger(__name__)

# What a camera's frame would take whole is measured now and then, at this quality.
WHOLE_EVERY, WHOLE_QUALITY = 32, 75


class Lane:
    """Takes a source's frames, has them answered, and records them; one task per frame under way.

    ``eyes`` is the thread that decodes photos. ``fault`` is what went wrong with the last frame, where that was neither
    the link nor the photo; empty since one went well.
    """

    def __init__(
        self,
        settings: config.Source,
        when_full: WhenFull,
        source: Source,
        system: Opened,
        sinks: Sequence[Sink],
        tally: Tally,
        recent: Recent,
        spool: Spool | None,
        eyes: Threads,
    ) -> None:
        self.settings, self.system, self._source, self._sinks = settings, system, source, sinks
        self._tally, self._recent, self._eyes = tally, recent, eyes
        self.intake = Intake(settings.queue, settings.order, when_full, settings.max_fps, tally.dropped)
        self._audit = Audit(settings.audit, Remote(), system.link, eyes, tally) if settings.audit else None
        self._later = (
            Later(spool, system.link, system.bundle.classes, settings.name, self._deliver)
            if settings.ask_later and spool is not None
            else None
        )
        self._numbers = itertools.count()
        self._in_flight = 0
        self._whole_bytes = self._whole_age = 0
        self._workers: list[asyncio.Task[None]] = []
        self._feeders: list[asyncio.Task[None]] = []
        self._ended = ""
        self._seldom = Seldom(log.bind(source=settings.name))
        self.fault = ""

    @property
    def trouble(self) -> str:
        """Why no frames come; empty while all is well."""
        return self._ended or self._source.trouble

    async def start(self) -> None:
        """Begin to take frames; returns when those that come from now on are captured, or the source has ended."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(self.system.in_flight)]
        self._feeders = [asyncio.create_task(self._feed())]
        if self._later:
            self._feeders.append(asyncio.create_task(self._later.run()))
        await self.intake.begun.wait()

    async def stop_feeding(self) -> None:
        """Capture no more frames."""
        for feeder in self._feeders:
            feeder.cancel()
        await asyncio.gather(*self._feeders, return_exceptions=True)
        await self.intake.close()

    async def drain(self) -> None:
        """Answer the frames that were captured, and let go of everything."""
        await asyncio.gather(*self._workers)
        if self._audit:
            await self._audit.close()
        await asyncio.to_thread(self.system.close)

    def state(self) -> SourceState:
        """How it stands."""
        queued = len(self.intake)
        self._tally.waiting(queued, self._in_flight)
        return self._tally.state(self.settings.kind, self.settings.system.kind, queued, self._in_flight)

    async def _feed(self) -> None:
        try:
            await self._source.run(self.intake)
        except SourceError as error:
            self._ended = str(error)
            log.error("a source has ended", source=self.settings.name, reason=str(error))
        except Exception as error:
            self._ended = f"{self.settings.name}: {error!r}"
            log.exception("a source has failed", source=self.settings.name)
        finally:
            self.intake.begun.set()

    async def _work(self) -> None:
        while (captured := await self.intake.take()) is not None:
            self._in_flight += 1
            try:
                await self._handle(captured)
            except PhotoError as error:
                self._tally.refused()
                captured.fail(error)
                self._seldom.warning("a photo was refused", photo=captured.name, reason=str(error))
            except Exception as error:
                # A fault of ours, in one frame; the next ones may be fine, and somebody waits for this one.
                captured.fail(EdgeRuntimeError(f"{captured.name}: could not be answered: {error}"))
                log.exception("a frame was not answered", source=self.settings.name, photo=captured.name)
            finally:
                self._in_flight -= 1

    async def _handle(self, captured: Captured) -> None:
        loop = asyncio.get_running_loop()
        taken_s = time.monotonic()
        pixels = await loop.run_in_executor(self._eyes, self._decode, captured)
        decoded_s = time.monotonic()
        frame = Frame(next(self._numbers), pixels, captured.deadline_s)
        answer, lost, reason = await self._answer(frame)
        before_ms = {"queue": (taken_s - captured.captured_s) * 1e3, "decode": (decoded_s - taken_s) * 1e3}
        record = self._record(captured, answer, reason, before_ms)
        if not captured.answered.done():
            captured.answered.set_result(record)
        self._tally.answered(record)
        await self._deliver(record)
        if lost and self._later and record.decided_by in ("edge-fallback", "none"):
            await self._later.keep(record, lost)
        if not captured.recorded.done():
            captured.recorded.set_result(record)
        await loop.run_in_executor(self._eyes, self._show, record, pixels, answer)
        if self._audit and answer:
            self._audit.offer(frame, answer)

    async def _answer(self, frame: Frame) -> tuple[Answer | None, Request | None, str]:
        try:
            outcome = await self.system.answering.answer(frame)
        except Unanswered as error:
            return None, error.lost, str(error)
        except Exception as error:
            # A model's fault, or ours: the next frame may be fine, and this one has a record all the same.
            self.fault = f"frames of {self.settings.name} cannot be answered: {error}"
            self._seldom.warning("a frame could not be answered", frame=frame.id, exc_info=True)
            return None, None, str(error)
        self.fault = ""
        return outcome.answer, outcome.lost, self.system.explain(outcome.answer)

    async def _deliver(self, record: Record) -> None:
        """Give a record to the sinks; one that loses it has counted that and says why, and the others have it still."""
        outcomes = await asyncio.gather(*(sink.put(record) for sink in self._sinks), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, SinkError):
                raise outcome

    def _decode(self, captured: Captured) -> NDArray[np.uint8]:
        frame = self.system.bundle.frame
        if isinstance(captured.image, bytes):
            return open_frame(captured.image, frame)
        if self._whole_age == 0:
            self._whole_bytes = len(image.encode(captured.image, "jpeg", WHOLE_QUALITY))
        self._whole_age = (self._whole_age + 1) % WHOLE_EVERY
        return fit(captured.image, frame)

    def _record(
        self, captured: Captured, answer: Answer | None, why: str, before_ms: Mapping[str, float]
    ) -> Record:
        now = time.monotonic()
        return Record(
            key=captured.key,
            source=self.settings.name,
            name=captured.name,
            captured=captured.captured.isoformat(timespec="milliseconds"),
            system=self.settings.system.kind,
            label=self.system.bundle.classes[answer.label] if answer else None,
            probability=float(answer.probabilities[answer.label]) if answer else 0.0,
            decided_by=answer.decided_by if answer else "none",
            why=why,
            min_entropy=answer.min_entropy if answer else None,
            patches_sent=answer.patches_sent if answer else 0,
            payload_bytes=answer.payload_bytes if answer else 0,
            whole_bytes=self._whole(captured),
            rounds=answer.rounds if answer else 0,
            latency_ms=(now - captured.captured_s) * 1e3,
            deadline_ms=(captured.deadline_s - captured.captured_s) * 1e3,
            in_time=answer is not None and now <= captured.deadline_s,
            timings_ms={**before_ms, **(answer.timings_ms if answer else {})},
            bundle_hash=self.system.bundle.hash,
            mode=answer.mode._asdict() if answer and answer.mode else None,
        )

    def _whole(self, captured: Captured) -> int:
        """Bytes of the whole photo: its file's, or for pixels those of a JPEG that is made now and then."""
        return len(captured.image) if isinstance(captured.image, bytes) else self._whole_bytes

    def _show(self, record: Record, pixels: NDArray[np.uint8], answer: Answer | None) -> None:
        frame = self.system.bundle.frame
        none = np.empty(0, np.uint16)
        attention = None if answer is None or answer.attention is None else patch_scores(answer.attention, "last")
        sent = none if answer is None or answer.sent is None else answer.sent
        self._recent.add(record, pixels, frame.grid, sent, attention)
