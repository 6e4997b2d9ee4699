"""A URL that each record is posted to."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiohttp

from edge_runtime.daemon.sinks.delivery import Delivery, Reply
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from edge_runtime.daemon import config
    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.transport.spool import Spool

# Of a refusal that is the moment's and not the record's: who we are, too slow, too early, too many.
PASSING = (401, 408, 425, 429)
# What is read of a response, so that its connection can be used again.
RESPONSE_BYTES = 1 << 16


class CallbackSink:
    """Posts records as JSON, one at a time; any 2xx is a receipt.

    A 4xx is the receiver's last word on a record, but for those that say something of the moment. Everything else may
    be a proxy's, a portal's or a fault's, and the record is sent again.
    """

    def __init__(self, settings: config.Callback, spool: Spool | None, metrics: Metrics) -> None:
        self.name = settings.name
        self._settings = settings
        self._token = ""
        self._session: aiohttp.ClientSession | None = None
        self._delivery = Delivery(self.name, self._send, spool if settings.spooled else None, metrics)

    @property
    def trouble(self) -> str:
        """What is wrong with the receiver, if anything is."""
        return self._delivery.trouble

    async def start(self) -> None:
        """Read the token and the authority, and deliver what an earlier run left."""
        try:
            self._token = self._read_token()
            authority = self._settings.tls_ca
            tls = ssl.create_default_context(cafile=authority) if authority else True
        except (OSError, ValueError) as error:
            raise SinkError(f"sink {self.name}: {error}, mend the file") from None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_ms / 1000),
        )
        self._delivery.start()

    async def put(self, record: Record) -> None:
        """Take a record, as `Delivery` does."""
        await self._delivery.put(record)

    async def close(self) -> None:
        """Deliver or spool what is held."""
        await self._delivery.close()
        if self._session is not None:
            await self._session.close()

    async def _send(self, key: str, body: bytes) -> Reply:
        try:
            status = await self._post(key, body)
            if status == 401 and (token := self._read_token()) != self._token:
                self._token = token
                status = await self._post(key, body)
        except asyncio.TimeoutError:
            return Reply("away", f"{self._settings.url}: no answer in {self._settings.timeout_ms:g} ms")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply("away", f"{self._settings.url}: {error or type(error).__name__}")
        if 200 <= status < 300:
            return Reply("delivered")
        refused = 400 <= status < 500 and status not in PASSING
        return Reply("refused" if refused else "away", f"{self._settings.url}: HTTP status {status}")

    async def _post(self, key: str, body: bytes) -> int:
        """The status of the response."""
        if self._session is None:
            raise SinkError(f"sink {self.name}: not started")
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        async with self._session.post(
            self._settings.url, data=body, headers=headers, allow_redirects=False
        ) as response:
            await response.content.read(RESPONSE_BYTES)
            return response.status

    def _read_token(self) -> str:
        """Raises OSError or ValueError."""
        path = self._settings.token_file
        if path is None:
            return ""
        token = path.read_text("ascii").strip()
        if not token or not token.isprintable():
            raise ValueError(f"{path}: holds no token of one line")
        return token
