"""Tests of server_ref.cli: the process that people run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from edge_runtime.codecs import image
from edge_runtime.errors import LinkLost
from edge_runtime.messages import Payload, Request
from edge_runtime.models import Bundle
from edge_runtime.transport import Breaker, Client
from server_ref import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """``edge-server serve`` in a process of its own."""
    arguments = ["serve", "--bundle", str(folder), "--port", str(port), "--json", "--grace", "60"]
    command = [sys.executable, "-m", "server_ref", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


@pytest.fixture
def process(bundle_folder) -> Iterator[subprocess.Popen[str]]:
    """A server on a free port."""
    with serving(bundle_folder) as running:
        yield running


@pytest.fixture
def signal_mask() -> Iterator[None]:
    """Serving blocks signals for its process; here that is the tests' own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class TestServe:
    """A server from start to end."""

    @pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
    def test_serves_until_told_to_stop(self, process, bundle_folder, pixels, stop):
        """It says where it listens, and ends with 0 on a signal, the request in flight answered."""
        ready = json.loads(process.stdout.readline())
        request = Request("remote", 1, (Payload("image", image.encode(pixels)),), "slow")
        replies = []
        with Client(ready["address"], Bundle.load(bundle_folder).hash) as client:
            client.describe()
            asking = threading.Thread(target=lambda: replies.append(client.call(request, 60)))
            asking.start()
            asking.join(0.2)
            in_flight = asking.is_alive()
            process.send_signal(stop)
            asking.join()
            code = process.wait(10)

        assert in_flight
        assert ready["event"] == "ready"
        assert ready["models"] == ["tokens", "filled", "slow"]
        assert json.loads(process.stdout.readline()) == {
            "event": "stopping",
            "address": ready["address"],
            "signal": stop.name,
        }
        assert [reply.model for reply in replies] == ["slow"]
        assert code == 0


class TestKill:
    """A server that dies without a word."""

    def test_clients_find_its_successor(self, process, bundle_folder, pixels):
        """After a kill every call is lost in time; a new server on the same port is found without a new client."""
        address = json.loads(process.stdout.readline())["address"]
        request = Request("remote", 1, (Payload("image", image.encode(pixels)),))
        with Client(address, Bundle.load(bundle_folder).hash, breaker=Breaker(0.05, 0.2)) as client:
            client.call(request, 30)
            process.kill()
            process.wait()
            start = time.monotonic()
            with pytest.raises(LinkLost):
                client.call(request, 1)
            lost_s = time.monotonic() - start
            with serving(bundle_folder, int(address.rpartition(":")[2])) as successor:
                successor.stdout.readline()
                while lost(client, request):
                    assert time.monotonic() - start < 30

        assert lost_s < 1.5

    def test_every_call_under_way_is_lost(self, process, bundle_folder, pixels):
        """Each of several calls hears of the kill, once and long before its own time is over."""
        address = json.loads(process.stdout.readline())["address"]
        request = Request("remote", 1, (Payload("image", image.encode(pixels)),), "slow")
        outcomes = SimpleQueue()
        with Client(address, Bundle.load(bundle_folder).hash) as client:
            client.describe()
            for _ in range(8):
                client.start(request, 60, outcomes.put)
            time.sleep(0.2)
            early = outcomes.empty()
            process.kill()
            start = time.monotonic()
            lost = [outcomes.get(timeout=10) for _ in range(8)]
            lost_s = time.monotonic() - start

        assert early
        assert {type(outcome) for outcome in lost} == {LinkLost}
        assert outcomes.empty()
        assert lost_s < 1.5


def lost(client: Client, request: Request) -> bool:
    """Whether a call got no answer."""
    time.sleep(0.01)
    try:
        client.call(request, 1)
    except LinkLost:
        return True
    return False


@pytest.mark.usefixtures("signal_mask")
class TestErrors:
    """One line on stderr, exit code 2."""

    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (["--bundle", "/nowhere"], "/nowhere/bundle.toml: no such file"),
            (["--bundle", "BUNDLE", "--model", "big"], "no server model named 'big'; it has tokens, filled, slow"),
            (["--bundle", "BUNDLE", "--tls-cert", "a.pem"], "TLS needs both"),
            (["--bundle", "BUNDLE", "--tls-cert", "/no.pem", "--tls-key", "/no.key"], "tls: /no.key cannot be read"),
            (["--bundle", "BUNDLE", "--port", "70000"], "--port: 70000 is outside 0..65535"),
            (["--bundle", "BUNDLE", "--max-batch", "0"], "--max-batch: 0 is less than 1"),
            (["--bundle", "BUNDLE", "--workers", "0"], "--workers: 0 is less than 1"),
            (["--bundle", "BUNDLE", "--session-mb", "-1"], "--session-mb: -1 is less than 0"),
            (["--bundle", "BUNDLE", "--session-s", "nan"], "--session-s: nan is less than 0"),
            (["--bundle", "BUNDLE", "--host", "192.0.2.1", "--port", "0"], "192.0.2.1:0 cannot be bound"),
        ],
    )
    def test_one_line(self, bundle_folder, capsys, arguments, line):
        """What is wrong, and what to do about it."""
        code = cli.main(["serve", *(str(bundle_folder) if a == "BUNDLE" else a for a in arguments)])
        last = capsys.readouterr().err.splitlines()[-1]

        assert code == 2
        assert last.startswith("edge-server: ")
        assert line in last

    def test_reachable_without_tls(self, bundle_folder, capsys):
        """Listening beyond this machine without TLS is said aloud."""
        cli.main(["serve", "--bundle", str(bundle_folder), "--host", "192.0.2.1", "--port", "0"])

        assert "192.0.2.1 is reachable by others without TLS" in capsys.readouterr().err
