"""Tests of edge_runtime.daemon.sinks.mqtt, with a real broker in a process of its own."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pwdlib.hashers.argon2 import Argon2Hasher

from edge_runtime.daemon import config
from edge_runtime.daemon.sinks import delivery, mqtt
from edge_runtime.daemon.sinks.mqtt import MqttSink
from edge_runtime.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.transport.spool import Spool

pytestmark = pytest.mark.host


class Broker:
    """A broker at a port of its own, there inside ``with``; whoever has the user and password may use it."""

    def __init__(self, folder: Path, **tls: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._users = folder / "users"
        self._users.write_text(f"device:{Argon2Hasher(time_cost=1, memory_cost=64).hash('open sesame')}\n")
        self._settings = folder / "broker.yaml"
        plugin = "amqtt.plugins.authentication.FileAuthPlugin"
        listener = {"type": "tcp", "bind": f"127.0.0.1:{self.port}", **({"ssl": True, **tls} if tls else {})}
        # JSON is YAML.
        self._settings.write_text(
            json.dumps({"listeners": {"default": listener}, "plugins": {plugin: {"password_file": str(self._users)}}})
        )

    def __enter__(self) -> Broker:
        command = [str(Path(sys.executable).with_name("amqtt")), "-c", str(self._settings)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:  # noqa: PERF203 - it takes its time to start
                assert self._process.poll() is None
                assert time.monotonic() < until_s
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def subscribed(self) -> Iterator[queue.Queue[str]]:
        """The keys of what is published meanwhile."""
        keys: queue.Queue[str] = queue.Queue()
        ready: queue.Queue[None] = queue.Queue()
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("device", "open sesame")
        client.on_connect = lambda *_: client.subscribe("edge-runtime/#", 1)
        client.on_subscribe = lambda *_: ready.put(None)
        client.on_message = lambda _client, _data, message: keys.put(json.loads(message.payload)["key"])
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            ready.get(timeout=10)
            yield keys
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    """A broker that is not there yet."""
    return Broker(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, broker: Broker) -> config.Mqtt:
    """How to use it."""
    (tmp_path / "password").write_text("open sesame\n")
    return config.Mqtt(
        name="bus", host="127.0.0.1", port=broker.port, username="device", password_file=tmp_path / "password"
    )


def replaced(settings: config.Mqtt, **keys: Any) -> config.Mqtt:
    """The same with other keys."""
    return config.Mqtt(**{key: getattr(settings, key) for key in settings.__struct_fields__} | keys)


async def connected(sink: MqttSink) -> None:
    """Wait until a sink has its broker."""
    while not sink._client or not sink._client.is_connected():
        await asyncio.sleep(0.01)


async def empty(spool: Spool) -> None:
    """Wait until nothing is left in the spool."""
    while spool.items:
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_REST_S", 0.05)
    monkeypatch.setattr(delivery, "LONGEST_REST_S", 0.2)
    monkeypatch.setattr(mqtt, "RECONNECT_S", (0.1, 0.1))


def test_a_record_is_published(broker, settings, spool, record, metrics, outcomes):
    """It is delivered when the broker has acknowledged it, or with QoS 0 when it was sent."""

    async def run(qos: int) -> None:
        sink = MqttSink(replaced(settings, qos=qos), spool, metrics)
        await sink.start()
        await asyncio.wait_for(connected(sink), 10)
        for key in "ab":
            await sink.put(record(f"{key}{qos}"))
        await asyncio.wait_for(empty(spool), 10)
        await sink.close()

    with broker, broker.subscribed() as keys:
        for qos in range(3):
            asyncio.run(run(qos))
        assert [keys.get(timeout=10) for _ in range(6)] == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert outcomes()["delivered"] == 6


def test_a_broker_that_comes_goes_and_comes_back(broker, settings, spool, record, metrics, outcomes):
    """What is put meanwhile is spooled, and all of it reaches the subscribers in order."""

    async def run() -> list[str]:
        sink = MqttSink(settings, spool, metrics)
        await sink.start()
        for key in "ab":
            await sink.put(record(key))
        assert sink.trouble.startswith(f"sink bus: not delivered, 127.0.0.1:{broker.port}: ")
        found: list[str] = []
        for last, later in (("b", "c"), ("c", "d")):
            with broker, broker.subscribed() as keys:
                await asyncio.wait_for(empty(spool), 20)
                assert sink.trouble == ""
                while found[-1:] != [last]:
                    found.append(keys.get(timeout=10))
            await sink.put(record(later))
        await sink.close()
        return found

    assert [*dict.fromkeys(asyncio.run(run()))] == ["a", "b", "c"]
    assert outcomes()["delivered"] == 3
    assert spool.items == 1


def test_a_wrong_password(broker, settings, spool, record, metrics):
    """The broker's refusal is told, and the record kept."""
    settings.password_file.write_text("open barley\n")

    async def run() -> str:
        sink = MqttSink(settings, spool, metrics)
        await sink.start()
        await sink.put(record("one"))
        while "refused us" not in sink.trouble:
            await asyncio.sleep(0.01)
        await sink.close()
        return sink.trouble

    with broker:
        trouble = asyncio.run(asyncio.wait_for(run(), 20))
    assert trouble == f"sink bus: not delivered, 127.0.0.1:{broker.port}: refused us: Not authorized"
    assert spool.items == 1


def test_an_authority_of_our_own(tmp_path, settings, spool, record, metrics):
    """The broker's certificate is checked against the file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "broker.pem"))
    tls = {"certfile": str(tmp_path / "broker.pem"), "keyfile": str(tmp_path / "broker.pem")}

    async def run(port: int) -> None:
        sink = MqttSink(replaced(settings, host="localhost", port=port, tls_ca=tmp_path / "ca.pem"), spool, metrics)
        await sink.start()
        await sink.put(record("one"))
        await asyncio.wait_for(empty(spool), 20)
        await sink.close()

    with Broker(tmp_path, **tls) as broker:
        asyncio.run(run(broker.port))
    assert spool.items == 0


def test_a_broker_that_acknowledges_nothing(monkeypatch, settings, spool, record, metrics, outcomes):
    """The record is kept, and not published twice over the same connection."""
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.1)

    async def run() -> tuple[bytes, str]:
        received = bytearray()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x20\x02\x00\x00")  # CONNACK
            while data := await reader.read(1 << 16):
                received.extend(data)
            writer.close()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sink = MqttSink(replaced(settings, port=port), spool, metrics)
        await sink.start()
        await asyncio.wait_for(connected(sink), 10)
        await sink.put(record("only"))
        while "no acknowledgement" not in sink.trouble:
            await asyncio.sleep(0.01)
        await sink.close()
        server.close()
        await server.wait_closed()
        return bytes(received), sink.trouble

    received, trouble = asyncio.run(run())
    assert received.count(b'"key":"only"') == 1
    assert trouble.endswith("no acknowledgement in 0.1 s")
    assert spool.items == 1
    assert outcomes() == {"spooled": 1}


def test_files_that_are_no_use(settings, tmp_path, metrics):
    """They are said at the start, by name."""

    async def run(**keys: Any) -> None:
        await MqttSink(replaced(settings, **keys), None, metrics).start()

    for keys in ({"password_file": tmp_path / "none"}, {"tls_ca": tmp_path / "none"}):
        with pytest.raises(SinkError, match=r"^sink bus: .*No such file.*, mend the file$"):
            asyncio.run(run(**keys))


def test_without_paho(monkeypatch, settings, metrics):
    """Its absence is said with the way to install it."""
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)

    with pytest.raises(SinkError, match=r"^sink bus: MQTT needs paho, pip install 'edge-runtime\[mqtt\]'$"):
        asyncio.run(MqttSink(settings, None, metrics).start())
