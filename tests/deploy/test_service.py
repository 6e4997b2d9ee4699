"""The daemon as its unit starts it: the words of ExecStart=, its sandbox, and a service manager that listens."""

from __future__ import annotations

import http.client
import io
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "edge-runtime.service"
CONFIG = f"""
bundle = "{ROOT}/zoo"
[http]
listen = "unix:/run/edge-runtime/http.sock"
[spool]
path = "spool.db"
[[source]]
kind = "http"
name = "door"
system = {{ kind = "attention" }}
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
after = "delete"
system = {{ kind = "local" }}
[[sink]]
kind = "jsonl"
name = "answers"
path = "answers.jsonl"
"""
# As the package's, but with this environment's modules, and without those that the daemon must do without.
LAUNCHER = """#!{python} -I
import sys
sys.modules.update(dict.fromkeys(["numba", "torch"]))
from edge_runtime.cli import main
sys.exit(main())
"""
KERNEL = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"),
    pytest.mark.skipif(KERNEL < (6, 3), reason="Linux 6.3 is the first that can deny executable memory"),
]


class Connection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = str(path)

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Service:
    """A running daemon: the folders that it sees, and what it has told its service manager."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.config = folder / "etc" / "edge-runtime" / "config.toml"
        self.state = folder / "var" / "lib" / "edge-runtime"
        self._port = folder / "run" / "edge-runtime" / "http.sock"
        self._listener = listener
        _fill(folder)
        self.config.write_text(CONFIG)
        script = Path(__file__).with_name("unit_sandbox.py")
        alone = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--"]
        environ = os.environ | {"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "1000000"}
        self._log = folder / "log"
        with self._log.open("w") as log:
            command = [*alone, sys.executable, script, UNIT, folder]
            self.process = subprocess.Popen(command, env=environ, stderr=log)

    def heard(self, wanted: str) -> dict[str, str]:
        """The next message with this field, passing over others."""
        while True:
            fields = dict(line.split("=", 1) for line in self._listener.recv(4096).decode().splitlines())
            if wanted in fields:
                return fields

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request to the local port."""
        connection = Connection(self._port)
        try:
            connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def reload(self, config: str) -> None:
        """Write another configuration, and do what ExecReload= says."""
        self.config.write_text(config)
        (command,) = re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.MULTILINE)
        subprocess.run(shlex.split(command.replace("$MAINPID", str(self.process.pid))), check=True)
        assert int(self.heard("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000

    def end(self) -> str:
        """Kill what is left; what was logged."""
        self.process.kill()
        self.process.wait()
        return self._log.read_text()


def _fill(folder: Path) -> None:
    """What the unit's directories would be, and the least of /etc and /usr/bin that a Python needs."""
    for name in ("bin", "etc/edge-runtime", "run/edge-runtime", "var/lib/edge-runtime"):
        (folder / name).mkdir(parents=True)
    for name in ("group", "hosts", "ld.so.cache", "nsswitch.conf", "passwd"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), folder / "etc")
    if Path(sys.executable).resolve().parent == Path("/usr/bin"):
        shutil.copy(Path(sys.executable).resolve(), folder / "bin")
        shutil.copy(Path(sys.executable).resolve(), folder / "bin" / "python3")
    launcher = folder / "bin" / "edge-runtime"
    launcher.write_text(LAUNCHER.format(python=sys.executable))
    launcher.chmod(0o755)


def photo(seed: int) -> bytes:
    """A JPEG of noise."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((224, 224)).save(file, "JPEG")
    return file.getvalue()


def until(found: Callable[[], bool]) -> None:
    """Look until it is so; the daemon's files tell nobody when they change."""
    end_s = time.monotonic() + 20
    while not found():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One daemon, ready, for all that follows in this file; it is stopped by the last test."""
    folder = tmp_path_factory.mktemp("unit")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(60)
        running = Service(folder, listener)
        try:
            running.heard("READY")
            yield running
        finally:
            print(running.end())


def test_it_answers_with_all_that_the_unit_denies(service: Service) -> None:
    """Posted and dropped photos are answered, without Numba, capabilities, or memory that is written and executed."""
    status, body = service.ask("POST", "/answer/door", photo(1))
    assert (status, json.loads(body)["source"]) == (200, "door")
    (service.state / "inbox" / "one.jpg").write_bytes(photo(2))
    log = service.state / "answers.jsonl"
    until(lambda: log.exists() and '"source":"inbox"' in log.read_text())
    until(lambda: not (service.state / "inbox" / "one.jpg").exists())
    process = Path("/proc", str(service.process.pid))
    facts = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    assert (facts["NoNewPrivs"], facts["Seccomp"].strip(), int(facts["CapEff"], 16)) == ("1", "2", 0)
    assert not [line for line in (process / "maps").read_text().splitlines() if "rwx" in line.split()[1]]
    assert service.ask("GET", "/readyz")[0] == 200


def test_it_feeds_the_watchdog(service: Service) -> None:
    """More than once in the time after which it would be taken for dead."""
    service.heard("WATCHDOG")
    before_s = time.monotonic()
    service.heard("WATCHDOG")
    service.heard("WATCHDOG")
    assert time.monotonic() - before_s < 10


def test_a_reload_takes_up_what_is_new(service: Service) -> None:
    """systemd hears when it begins and when it is over."""
    service.reload(CONFIG.replace('name = "door"', 'name = "gate"'))
    service.heard("READY")
    assert service.ask("POST", "/answer/gate", photo(3))[0] == 200
    assert service.ask("POST", "/answer/door", photo(3))[0] == 404


def test_a_wrong_configuration_changes_nothing(service: Service) -> None:
    """The former one stays, and the status says why."""
    service.reload(CONFIG + "\n[nonsense]\n")
    assert "nonsense" in service.heard("READY")["STATUS"]
    assert service.ask("POST", "/answer", photo(4))[0] == 200
    assert b"nonsense" in service.ask("GET", "/readyz")[1]


def test_it_ends_in_order(service: Service) -> None:
    """It says so, and ends with 0; every answer is on disk."""
    _, body = service.ask("POST", "/answer", photo(5))
    service.process.send_signal(signal.SIGTERM)
    service.heard("STOPPING")
    assert service.process.wait(20) == 0
    assert body in (service.state / "answers.jsonl").read_bytes().splitlines()
