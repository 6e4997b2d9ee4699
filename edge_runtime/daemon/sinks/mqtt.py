"""A broker that each record is published to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_runtime.daemon.sinks.delivery import Delivery, Reply
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

    from edge_runtime.daemon import config
    from edge_runtime.daemon.frames import Record
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.transport.spool import Spool

KEEPALIVE_S = 30
RECONNECT_S = (1, 30)
# For the broker's acknowledgement, before the record counts as not delivered.
ANSWER_S = 5.0
CONNECTED = "connected"


class MqttSink:
    """Publishes records as JSON, one at a time; the broker's acknowledgement is the receipt (with QoS 0, its sending).

    Connecting, and connecting again, is paho's, in a thread of its own; so is publishing again what was under way when
    a connection broke. Its callbacks come into the event loop.
    """

    def __init__(self, settings: config.Mqtt, spool: Spool | None, metrics: Metrics) -> None:
        self.name = settings.name
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._state = f"{self._where}: not connected yet"
        # Published and not acknowledged: by key, and the keys by paho's number.
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._keys: dict[int, str] = {}
        self._client: Client | None = None
        self._delivery = Delivery(self.name, self._send, spool if settings.spooled else None, metrics)

    @property
    def trouble(self) -> str:
        """What is wrong with the broker, if anything is."""
        return self._delivery.trouble

    async def start(self) -> None:
        """Begin to connect, and deliver what an earlier run left."""
        self._client = client = self._make_client()
        loop = asyncio.get_running_loop()

        def connected(_client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
            loop.call_soon_threadsafe(self._connected, "" if not reason.is_failure else f"refused us: {reason}")

        def lost(_client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
            loop.call_soon_threadsafe(self._lost, reason)

        def published(_client: object, _data: object, number: int, _reason: object, _properties: object) -> None:
            loop.call_soon_threadsafe(self._published, number)

        def failed(_client: object, _data: object) -> None:
            loop.call_soon_threadsafe(self._say, "cannot be reached")

        client.on_connect, client.on_connect_fail, client.on_disconnect = connected, failed, lost
        client.on_publish = published
        client.connect_async(self._settings.host, self._settings.port, KEEPALIVE_S)
        client.loop_start()
        self._delivery.start()

    async def put(self, record: Record) -> None:
        """Take a record, as `Delivery` does."""
        await self._delivery.put(record)

    async def close(self) -> None:
        """Deliver or spool what is held, and disconnect."""
        await self._delivery.close()
        if self._client is not None:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)

    def _make_client(self) -> Client:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise SinkError(f"sink {self.name}: MQTT needs paho, pip install 'edge-runtime[mqtt]'") from None
        settings = self._settings
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.reconnect_delay_set(*RECONNECT_S)
        try:
            if settings.username:
                password = settings.password_file.read_text().strip() if settings.password_file else None
                client.username_pw_set(settings.username, password)
            if settings.tls or settings.tls_ca:
                client.tls_set(ca_certs=str(settings.tls_ca) if settings.tls_ca else None)
        except (OSError, ValueError) as error:
            raise SinkError(f"sink {self.name}: {error}, mend the file") from None
        return client

    async def _send(self, key: str, body: bytes) -> Reply:
        under_way = self._under_way.get(key) or self._publish(key, body)
        if under_way is None:
            return Reply("away", self._state)
        done, _ = await asyncio.wait({under_way}, timeout=ANSWER_S)
        # What has a receipt to come is published again by paho; without one nobody would ever know.
        if done or not self._settings.qos:
            del self._under_way[key]
        return Reply("delivered") if done else Reply("away", f"{self._where}: no acknowledgement in {ANSWER_S:g} s")

    def _publish(self, key: str, body: bytes) -> asyncio.Future[None] | None:
        if self._client is None or not self._client.is_connected():
            return None
        message = self._client.publish(self._settings.topic, body, self._settings.qos)
        self._keys[message.mid] = key
        self._under_way[key] = asyncio.get_running_loop().create_future()
        return self._under_way[key]

    # What paho's thread reports.

    def _connected(self, refusal: str) -> None:
        self._say(refusal or CONNECTED)
        if not refusal:
            self._delivery.hurry()

    def _lost(self, reason: object) -> None:
        # A broker that refuses closes the connection, too; its refusal says more.
        if self._state.endswith(CONNECTED):
            self._say(f"connection lost: {reason}")

    def _say(self, state: str) -> None:
        self._state = f"{self._where}: {state}"

    def _published(self, number: int) -> None:
        under_way = self._under_way.get(self._keys.pop(number, ""))
        if under_way is not None and not under_way.done():
            under_way.set_result(None)
