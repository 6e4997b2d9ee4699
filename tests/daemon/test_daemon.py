"""The daemon's watch over itself: the service manager, reloads, conditions."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.daemon import config_file, daemon
from edge_runtime.daemon.daemon import Daemon
from edge_runtime.daemon.service_manager import ServiceManager
from edge_runtime.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

pytestmark = pytest.mark.usefixtures("restored_logs")
ZOO = Path(__file__).parents[2] / "zoo"


def write(folder: Path, more: str = "") -> Path:
    """A configuration with a source of posted photos, and with what is added."""
    path = folder / "config.toml"
    path.write_text(
        f"""
bundle = "{ZOO}"
[http]
listen = "127.0.0.1:0"
[[source]]
name = "gate"
kind = "http"
system = {{ kind = "local" }}
{more}
"""
    )
    return path


class Told(ServiceManager):
    """A service manager that writes down what it hears, and wants a sign of life at every look."""

    def __init__(self) -> None:
        super().__init__(None, 1e-6)
        self.heard: list[str] = []

    def _send(self, *fields: str) -> None:
        self.heard.append(fields[0].split("=")[0])

    def since(self, start: int, what: str) -> int:
        """How often it heard that from then on."""
        return self.heard[start:].count(what)



@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks every few milliseconds, each with a word to the service manager."""
    monkeypatch.setattr(daemon, "LOOK_S", 0.005)
    monkeypatch.setattr(daemon, "STATUS_S", 0.0)


async def until(happened: Callable[[], object]) -> None:
    """Wait until something has happened."""
    while not happened():
        await asyncio.sleep(0.002)


def watch(path: Path, test: Callable[[Daemon, Told], Coroutine[Any, Any, None]]) -> Told:
    """Run a daemon in this process, and the test beside it once it is ready."""

    async def run() -> None:
        watched = Daemon(path, {"EDGE_RUNTIME__LOG__FORMAT": "json"}, told)
        running = asyncio.create_task(watched.run())
        await asyncio.wait(
            {running, asyncio.create_task(until(lambda: "READY" in told.heard))}, return_when="FIRST_COMPLETED"
        )
        try:
            await test(watched, told)
        finally:
            watched.stop()
            await running

    told = Told()
    asyncio.run(asyncio.wait_for(run(), 60))
    return told


async def looks(told: Told, count: int = 3) -> None:
    """Wait for so many looks."""
    start = len(told.heard)
    await until(lambda: told.since(start, "STATUS") >= count)


@pytest.mark.usefixtures("quick")
def test_the_watchdog_hears_nothing_while_a_model_is_stuck(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is fed while the loop turns and models come to an end, and again when they do."""
    monkeypatch.setattr(daemon, "STUCK_S", 0.05)

    async def test(watched: Daemon, told: Told) -> None:
        await until(lambda: told.since(0, "WATCHDOG") >= 3)
        go_on = threading.Event()
        watched.assembly.models.submit(go_on.wait, 30)
        await until(lambda: not watched.health.live)
        (stuck, *_) = watched.health.conditions
        assert (stuck.name, stuck.level) == ("models", "failed")
        start = len(told.heard)
        await looks(told)
        assert told.since(start, "WATCHDOG") == 0
        go_on.set()
        await until(lambda: watched.health.live)
        await until(lambda: told.since(start, "WATCHDOG"))
        assert watched.state().level == "ok"

    told = watch(write(tmp_path), test)
    assert told.heard[-1] == "STOPPING"


@pytest.mark.usefixtures("quick")
def test_the_watchdog_is_fed_while_a_reload_takes_its_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Models may load for longer than it waits; what comes meanwhile is another reload, after this one."""

    async def test(watched: Daemon, told: Told) -> None:
        change, loaded, changes = watched.assembly.change, asyncio.Event(), []

        async def slow(new: Any) -> None:
            changes.append(new)
            await loaded.wait()
            await change(new)

        monkeypatch.setattr(watched.assembly, "change", slow)
        watched._hangup.set()
        await until(lambda: changes)
        start = len(told.heard)
        watched._hangup.set()
        await looks(told)
        assert told.since(start, "WATCHDOG") >= 2
        assert (len(changes), told.since(start, "READY")) == (1, 0)
        loaded.set()
        await until(lambda: told.since(start, "READY") == 2)
        assert len(changes) == 2

    watch(write(tmp_path), test)


@pytest.mark.usefixtures("quick")
def test_the_end_waits_for_a_reload_that_is_under_way(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of a change would leave frames to nobody."""

    async def test(watched: Daemon, told: Told) -> None:
        change = watched.assembly.change

        async def slow(new: Any) -> None:
            watched.stop()
            await asyncio.sleep(0.05)
            await change(new)

        monkeypatch.setattr(watched.assembly, "change", slow)
        watched._hangup.set()
        await until(lambda: told.heard[-1] == "STOPPING")
        assert told.since(told.heard.index("RELOADING"), "READY") == 1

    watch(write(tmp_path), test)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("error", [ConfigError("source: none"), RuntimeError("a fault of ours")])
def test_no_error_of_a_reload_ends_the_daemon(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """It goes on with what it has, and says so."""

    async def test(watched: Daemon, told: Told) -> None:
        def fail(*_: object) -> None:
            raise error

        lanes = watched.assembly.lanes
        with monkeypatch.context() as patch:
            patch.setattr(config_file, "load", fail)
            watched._hangup.set()
            await until(lambda: watched.health.level == "degraded")
            await looks(told)
        (condition,) = [one for one in watched.health.conditions if one.reason]
        assert condition.reason == f"the old one is kept: {error}"
        assert watched.assembly.lanes == lanes
        watched._hangup.set()
        await until(lambda: watched.health.level == "ok")

    watch(write(tmp_path), test)


@pytest.mark.usefixtures("quick")
def test_conditions_of_what_was_removed_are_forgotten(tmp_path: Path) -> None:
    """A source that could not go on is no trouble once it is out of the configuration."""
    (tmp_path / "file").touch()
    broken = (
        f'[[source]]\nname = "broken"\nkind = "folder"\npath = "{tmp_path}/file/in"\nsystem = {{ kind = "local" }}\n'
    )

    async def test(watched: Daemon, _: Told) -> None:
        await until(lambda: watched.health.level == "failed")
        assert not watched.health.ready
        (condition, *_) = watched.health.conditions
        assert condition.name == "source broken"
        write(tmp_path)
        watched._hangup.set()
        await until(lambda: watched.health.ready)
        assert "source broken" not in {one.name for one in watched.health.conditions}

    watch(write(tmp_path, broken), test)


@pytest.mark.usefixtures("quick")
def test_a_lost_server_degrades_those_who_have_answers_and_fails_those_who_have_none(
    tmp_path: Path,
) -> None:
    """The state names the server and its breaker."""
    alone = f'[[source]]\nname = "alone"\nkind = "http"\nbundle = "{ZOO}/amot"\nsystem = {{ kind = "remote" }}\n'
    path = write(tmp_path, alone)
    path.write_text('link = { server = "127.0.0.1:1" }\n' + path.read_text())

    async def test(watched: Daemon, _: Told) -> None:
        for lane in watched.assembly.lanes:
            for _ in range(3):
                lane.system.link.client.breaker.failed()
        await until(lambda: watched.health.level == "failed")
        levels = {one.name: one.level for one in watched.health.conditions if one.reason}
        assert levels == {"link of alone": "failed", "link of gate": "degraded"}
        (link,) = watched.state().links
        assert link.server == "127.0.0.1:1"
        assert link.breaker in {"open", "half-open"}

    watch(path, test)


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    """And leaves nothing open."""
    path = write(tmp_path)
    path.write_text(path.read_text().replace(str(ZOO), "/none"))
    with pytest.raises(BundleError, match=r"/none/bundle\.toml: no such file"):
        asyncio.run(Daemon(path, dict(os.environ), Told()).run())
