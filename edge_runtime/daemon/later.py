"""Questions that the server should have been asked: kept in the spool, and asked when it is there again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import structlog

from edge_runtime.daemon.frames import Record
from edge_runtime.errors import LinkLost, ServerRefused
from edge_runtime.messages import Payload, PayloadKind, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from numpy.typing import NDArray

    from edge_runtime.daemon.link import Link
    from edge_runtime.transport.spool import Spool

log = structlog.get_logger(__name__)

# How often the link is looked at while questions wait, and how long a late answer may take.
LOOK_S, PATIENCE_S = 0.5, 10.0
# What only the server that asked for it could read is of no use later.
ASKABLE: tuple[PayloadKind, ...] = ("image", "patches", "features", "samples", "latent")


class Question(msgspec.Struct, frozen=True):
    """A request that was lost, and the record of the frame that it was about."""

    record: Record
    system: str
    model: str
    kind: PayloadKind
    payload: bytes


class Later:
    """One source's questions: kept by `keep`, asked one after the other by `run`.

    The server's answer is a record of its own, with the frame's key and ``revises``; ``deliver`` takes it to the sinks
    before the question is deleted, so that a crash between the two delivers it twice rather than never.
    """

    def __init__(
        self,
        spool: Spool,
        link: Link,
        classes: Sequence[str],
        source: str,
        deliver: Callable[[Record], Awaitable[None]],
    ) -> None:
        self._spool, self._link, self._classes, self._deliver = spool, link, classes, deliver
        self._lane = f"ask:{source}"

    async def keep(self, record: Record, request: Request) -> None:
        """Keep what was lost; the spool counts what it cannot take."""
        (payload, *_) = request.payloads
        if payload.kind in ASKABLE:
            question = Question(record, request.system, request.model, payload.kind, payload.data)
            body = msgspec.msgpack.encode(question)
            await asyncio.to_thread(self._spool.put, self._lane, record.key, body)

    async def run(self) -> None:
        """Ask while there is a link and something to ask; until cancelled."""
        while True:
            item = await asyncio.to_thread(self._spool.next, self._lane) if self._link.breaker == "closed" else None
            if item is None or not await self._ask(item.key, item.body):
                await asyncio.sleep(LOOK_S)

    async def _ask(self, key: str, body: bytes) -> bool:
        """Ask one; whether it is settled, for good or ill."""
        try:
            question = msgspec.msgpack.decode(body, type=Question)
            payload = Payload(question.kind, question.payload)
            reply = await self._link.call(Request(question.system, 0, (payload,), question.model), PATIENCE_S)
        except LinkLost:
            return False
        except (ServerRefused, msgspec.DecodeError) as error:
            log.warning("a question that was kept is given up", key=key, reason=str(error))
        else:
            await self._deliver(_revised(question.record, reply.probabilities[0], self._classes))
        await asyncio.to_thread(self._spool.acknowledge, self._lane, key)
        return True


def _revised(record: Record, probabilities: NDArray[np.float32], classes: Sequence[str]) -> Record:
    label = int(np.argmax(probabilities))
    known = label < len(classes)
    return msgspec.structs.replace(
        record,
        label=classes[label] if known else None,
        probability=float(probabilities[label]),
        decided_by="server",
        why=f"asked later, {record.decided_by} had said {record.label}",
        revises=True,
    )
