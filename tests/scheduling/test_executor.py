"""The executor over a real server, a real client and the tiny cut network."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edge_runtime.control.link_estimate import LinkEstimate
from edge_runtime.errors import ArgumentError, ModelError
from edge_runtime.messages import Frame
from edge_runtime.models import Bundle
from edge_runtime.scheduling.device import Device
from edge_runtime.scheduling.dispatch import Dispatcher
from edge_runtime.scheduling.executor import Executor, Result
from edge_runtime.scheduling.plans import LOCAL, Plan
from edge_runtime.scheduling.state import State
from edge_runtime.scheduling.tables import Tables
from edge_runtime.scheduling.timeline import Timeline, order_problems
from edge_runtime.transport import Client
from server_ref.backend import Backend
from server_ref.server import Server

PLANS = [
    Plan("local", 4),
    Plan("remote", 4, "", "jpeg q75", in_flight=3),
    Plan("data-parallel", 4, "", "jpeg q75", local=1),
    Plan("split", 2, "late", "ff q70"),
    Plan("split-pipeline", 3, "early", "uniform 8 bit", in_flight=3),
    Plan("hybrid", 2, "late", "half", local=1, in_flight=2),
]
COUNT = 60


class Always:
    """A policy that knows one plan; local where nothing is in reach."""

    probe = None

    def __init__(self, plan: Plan) -> None:
        self.name = plan.name
        self.plan = plan

    def choose(self, state: State) -> Plan:
        """The plan."""
        return self.plan if state.link.reachable else LOCAL


@pytest.fixture(scope="module")
def device(split_bundle: Bundle) -> Device:
    """The tiny network on the device."""
    return Device(split_bundle)


@pytest.fixture
def server(split_bundle: Bundle) -> Iterator[Server]:
    """A server of the tiny network."""
    with Server(Backend.open(split_bundle)) as running:
        yield running


@pytest.fixture
def client(split_bundle: Bundle, server: Server) -> Iterator[Client]:
    """A client of it."""
    with Client(server.address, split_bundle.hash) as connected:
        connected.describe()
        yield connected


def dispatcher(plan: Plan, tables: Tables, **settings: object) -> Dispatcher:
    """A dispatcher that always goes by ``plan``."""
    return Dispatcher(Always(plan), tables, LinkEstimate(1e6, 0.001, time.monotonic()), **settings)


def frame(number: int, deadline_s: float = float("inf")) -> Frame:
    """A frame whose colour is its class: its number modulo 3."""
    pixels = np.full((64, 64, 3), 20, np.uint8)
    pixels[..., number % 3] = 220
    return Frame(number, pixels, deadline_s)


def answer(executor: Executor, frames: list[Frame]) -> list[Result]:
    """Submit from a thread of its own, and read everything."""

    def submit() -> None:
        for one in frames:
            executor.submit(one)
        executor.close()

    feeding = threading.Thread(target=submit)
    feeding.start()
    results = list(executor.results())
    feeding.join()
    return results


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.mode)
def test_every_plan_answers_every_frame_once(plan: Plan, tables: Tables, device: Device, client: Client) -> None:
    """Whatever the plan, each frame has one result, and the right answer."""
    timeline = Timeline()
    with Executor(dispatcher(plan, tables), device, client, timeline=timeline) as executor:
        results = answer(executor, [frame(number) for number in range(COUNT)])
    assert not order_problems(timeline, range(COUNT))
    assert [result.frame.id % 3 for result in results] == [result.answer.label for result in results]
    where = {result.outcome.fate for result in results}
    both = plan.mode in {"data-parallel", "hybrid"}
    assert where <= ({"device", "server"} if both else {"server"} if plan.sends else {"device"})
    assert ("server" in where) == plan.sends
    assert ("link" in {span.lane for span in timeline.spans}) == plan.sends


def test_results_come_in_the_order_of_the_frames(tables: Tables, device: Device, client: Client) -> None:
    """With ``ordered`` a frame that was sent is waited for by those that were computed here meanwhile."""
    plan = Plan("hybrid", 2, "late", "half", local=1, in_flight=2)
    with Executor(dispatcher(plan, tables, capacity=16), device, client, ordered=True) as executor:
        results = answer(executor, [frame(number) for number in range(COUNT)])
    assert list(range(COUNT)) == [result.frame.id for result in results]


def test_a_full_executor_takes_nothing_more(tables: Tables, device: Device, client: Client) -> None:
    """Results that nobody reads hold up the frames: nothing grows, and reading makes room again."""
    with Executor(dispatcher(LOCAL, tables, capacity=4), device, client) as executor:
        taken = 0
        while executor.submit(frame(taken), 0.3):
            taken += 1
        assert 4 <= taken <= 2 * 4 + 1
        results = executor.results()
        read = [next(results) for _ in range(taken - 3)]
        assert executor.submit(frame(taken), 2.0)
        executor.close()
        assert taken + 1 == len([*read, *results])


def test_late_frames_are_dropped_and_counted(tables: Tables, device: Device, client: Client) -> None:
    """A frame whose deadline has passed is not computed; its result says so."""
    with Executor(dispatcher(LOCAL, tables), device, client) as executor:
        results = answer(executor, [frame(0, time.monotonic() - 1), frame(1, time.monotonic() + 60)])
    fates = {result.frame.id: (result.outcome.fate, result.answer is None) for result in results}
    assert fates == {0: ("dropped", True), 1: ("device", False)}


def test_late_frames_are_answered_here_if_wanted(tables: Tables, device: Device, client: Client) -> None:
    """With ``late="local"`` they get an answer, which does not count as one in time."""
    plan = Plan("remote", 1, "", "jpeg q75")
    with Executor(dispatcher(plan, tables, late="local"), device, client) as executor:
        (result,) = answer(executor, [frame(2, time.monotonic() - 1)])
    assert (result.outcome.fate, result.answer.label, result.outcome.in_time) == ("device", 2, False)


def test_a_server_that_dies_and_returns(split_bundle: Bundle, tables: Tables, device: Device) -> None:
    """Frames go on being answered here, each before its deadline; once the server is back they are sent again."""
    server = Server(Backend.open(split_bundle))
    port = int(server.address.rpartition(":")[2])
    deadline_s = 2.0
    with Client(server.address, split_bundle.hash) as client:
        client.describe()
        plan = Plan("split-pipeline", 2, "late", "half", in_flight=4)
        timeline = Timeline()
        with Executor(dispatcher(plan, tables, deadline_s=deadline_s), device, client, timeline=timeline) as executor:
            results: list[Result] = []
            reading = threading.Thread(target=lambda: results.extend(executor.results()))
            reading.start()
            numbers = iter(range(10**6))

            def feed(seconds: float) -> None:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    executor.submit(frame(next(numbers), time.monotonic() + deadline_s))
                    time.sleep(0.004)

            feed(0.5)
            server.stop(0)
            feed(1.0)
            before = len(results)
            server = Server(Backend.open(split_bundle), port=port)
            feed(2.5)
            executor.close()
            reading.join()
        server.stop(0)
    assert not order_problems(timeline, range(next(numbers)))
    assert all(result.outcome.in_time for result in results)
    assert "server" in {result.outcome.fate for result in results[:50]}
    assert {"device"} >= {result.outcome.fate for result in results[before - 20 : before]}
    assert "server" in {result.outcome.fate for result in results[before:]}


def test_a_server_of_another_bundle_is_left_alone(server: Server, tables: Tables, device: Device) -> None:
    """What it refuses is answered here, and the executor says why."""
    with Client(server.address, "00" * 32) as stranger:
        stranger.describe()
        plan = Plan("remote", 1, "", "jpeg q75", in_flight=2)
        with Executor(dispatcher(plan, tables), device, stranger) as executor:
            results = answer(executor, [frame(number) for number in range(20)])
    assert {"device", "fallback"} >= {result.outcome.fate for result in results}
    assert [result.frame.id % 3 for result in results] == [result.answer.label for result in results]
    assert "bundle_hash" in executor.trouble


def test_a_model_that_fails_is_reported(tables: Tables, device: Device, client: Client) -> None:
    """Whoever submits or reads gets the device's error, instead of waiting for ever."""
    with Executor(dispatcher(LOCAL, tables), device, client) as executor:
        executor.submit(Frame(0, np.zeros((8, 8, 3), np.uint8)))
        with pytest.raises((ArgumentError, ModelError)):
            list(executor.results())
        with pytest.raises((ArgumentError, ModelError)):
            executor.submit(frame(1))


def test_a_closed_executor_takes_no_frame(tables: Tables, device: Device, client: Client) -> None:
    """It says so, naming the frame."""
    with Executor(dispatcher(LOCAL, tables), device, client) as executor:
        executor.close()
        with pytest.raises(ArgumentError, match="frame 7: the executor is closed"):
            executor.submit(frame(7))


def test_a_device_must_work_once_at_least(tables: Tables, device: Device, client: Client) -> None:
    """``repeat`` 0 would be a device that answers without computing."""
    with pytest.raises(ArgumentError, match="repeat: 0"):
        Executor(dispatcher(LOCAL, tables), device, client, repeat=0)


def test_work_is_repeated_for_a_slower_device(tables: Tables, device: Device, client: Client) -> None:
    """Every job runs so many times, answers and all, and still answers once."""
    runs = []

    class Counting:
        def local(self) -> object:
            runs.append(1)
            return self

        def infer_batch(self, frames: list[Frame]) -> object:
            runs.append(len(frames))
            return device.local().infer_batch(frames)

    with Executor(dispatcher(LOCAL, tables), Counting(), client, repeat=3) as executor:
        results = answer(executor, [frame(0)])
    assert len(results) == 1
    assert runs == [1, 1, 1, 1]


def test_tables_of_the_example_name_levels_of_the_tiny_network(tables: Tables, device: Device) -> None:
    """The example's cuts are those of the network, so its plans can be run."""
    assert set(device.cuts) == {site.cut for site in tables.sites if site.cut}
