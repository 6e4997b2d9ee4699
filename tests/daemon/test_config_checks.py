"""What the tables of a configuration cannot check alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.daemon.config import (
    Amot,
    Attention,
    Bps,
    Callback,
    Camera,
    Config,
    Folder,
    Http,
    JsonLines,
    Link,
    Local,
    Mqtt,
    Plan,
    Posted,
    Remote,
    Slimmable,
    Spool,
    Stdout,
    Video,
)
from edge_runtime.daemon.config_checks import conflicts, doubts

SERVER = Link(server="host:50151")
SPOOL = Spool(path=Path("spool.db"))
OUT = Stdout(name="out")


def posted(**keys: Any) -> Posted:
    """An HTTP source that the device answers alone."""
    return Posted(**({"name": "door", "system": Local()} | keys))


def folder(**keys: Any) -> Folder:
    """A folder's source."""
    return Folder(**({"name": "inbox", "system": Local(), "path": Path("in")} | keys))


def found(*sources: Any, sinks: tuple[Any, ...] = (OUT,), **tables: Any) -> list[str]:
    """The conflicts of a configuration with these sources."""
    return list(conflicts(Config(**({"bundle": Path("zoo"), "source": sources, "sink": sinks} | tables))))


FINE = {
    "nothing": {},
    "bundle of its own": {"sources": [posted(bundle=Path("zoo"))], "bundle": None},
    "answers by itself": {"sources": [posted(system=one, name=f"x{i}") for i, one in enumerate((Attention(), Bps()))]},
    "fallback": {"sources": [posted(system=Amot(), fallback=Path("zoo"))]},
    "server": {"sources": [posted(system=Remote())], "link": SERVER},
    "in flight": {"sources": [posted(system=Amot(), in_flight=1)], "link": SERVER},
    "several in flight": {"sources": [posted(system=Attention(), in_flight=4)], "link": SERVER},
    "ask later": {"sources": [posted(system=Attention(), ask_later=True)], "link": SERVER, "spool": SPOOL},
    "audit": {"sources": [posted(audit=0.1)], "link": SERVER},
    "move": {"sources": [folder(after="move", moved_to=Path("in2"))]},
    "plan": {"sources": [posted(system=Amot(plan=Plan(first=49)))], "link": SERVER},
    "mode": {"sources": [posted(system=Slimmable(members=1, bits=2))], "link": SERVER},
    "chosen mode": {"sources": [posted(system=Slimmable(estimate="ema", whole_bits=True))], "link": SERVER},
    "camera": {"sources": [Camera(name="c", system=Local(), device="0", when_full="drop-newest")]},
    "tls": {"link": Link(server="h:1", tls=True, tls_ca=Path("c"), tls_cert=Path("a"), tls_key=Path("b"))},
    "no port": {"http": Http(listen="")},
    "unix": {"http": Http(listen="unix:/run/x.sock"), "sources": [posted()]},
    "any port": {"http": Http(listen="[::1]:0"), "sources": [posted()]},
    "broker": {"sinks": (Mqtt(name="m", host="h", username="u", password_file=Path("p"), tls=True, tls_ca=Path("c")),)},
    "hook": {"sinks": (Callback(name="h", url="https://h/@x", token_file=Path("t"), tls_ca=Path("c")),)},
}


@pytest.mark.parametrize("tables", FINE.values(), ids=FINE)
def test_what_fits_together_is_fine(tables: dict[str, Any]) -> None:
    """Nothing is found."""
    assert found(*tables.get("sources", ()), **{key: one for key, one in tables.items() if key != "sources"}) == []


CONFLICTS: list[tuple[str, dict[str, Any]]] = [
    ("source[0].bundle: is missing", {"sources": [posted()], "bundle": None}),
    ("source[1].name: door is that of source[0].name too", {"sources": [posted(), posted()]}),
    ("sink[1].name: out is that of sink[0].name too", {"sinks": (OUT, OUT)}),
    ("source[0].sinks: 'no' is no sink; there are out", {"sources": [posted(sinks=("out", "no"))]}),
    ("source[0].sinks: 'no' is no sink; there are none", {"sources": [posted(sinks=("no",))], "sinks": ()}),
    ("source[0].system.kind: amot asks a server", {"sources": [posted(system=Amot())]}),
    ("source[0].system.kind: slimmable asks a server", {"sources": [posted(system=Slimmable())]}),
    ("source[0].system.kind: remote asks a server", {"sources": [posted(system=Remote())]}),
    ("source[0].in_flight: is 2; amot follows", {"sources": [posted(system=Amot(), in_flight=2)], "link": SERVER}),
    (
        "source[0].in_flight: is 3; slimmable follows",
        {"sources": [posted(system=Slimmable(), in_flight=3)], "link": SERVER},
    ),
    (
        "source[0].ask_later: local asks for nothing",
        {"sources": [posted(ask_later=True)], "link": SERVER, "spool": SPOOL},
    ),
    (
        "source[0].ask_later: bps asks for nothing",
        {"sources": [posted(system=Bps(), ask_later=True)], "link": SERVER, "spool": SPOOL},
    ),
    (
        "source[0].ask_later: keeps frames in the spool; add [spool]",
        {"sources": [posted(system=Attention(), ask_later=True)], "link": SERVER},
    ),
    (
        "source[0].ask_later: asks a server",
        {"sources": [posted(system=Attention(), ask_later=True)], "spool": SPOOL},
    ),
    ("source[0].audit: amot has no answers", {"sources": [posted(system=Amot(), audit=0.1)], "link": SERVER}),
    ("source[0].audit: holds answers against a server's", {"sources": [posted(audit=0.1)]}),
    ("source[0].kind: http takes photos from the local port", {"sources": [posted()], "http": Http(listen="")}),
    (
        "source[0].when_full: a camera does not wait",
        {"sources": [Camera(name="c", system=Local(), device="0", when_full="wait")]},
    ),
    (
        "source[1].path: /in is that of source[0].path too",
        {"sources": [folder(path=Path("/in")), folder(name="b", path=Path("/x/../in"))]},
    ),
    ("source[0].moved_to: is missing; say where to", {"sources": [folder(after="move")]}),
    ('source[0].moved_to: goes with after = "move"', {"sources": [folder(moved_to=Path("x"))]}),
    (
        "source[0].moved_to: in/done lies in the folder itself, in",
        {"sources": [folder(after="move", moved_to=Path("in/done"))]},
    ),
    (
        "source[0].moved_to: x/../in lies in the folder itself",
        {"sources": [folder(after="move", moved_to=Path("x/../in"))]},
    ),
    (
        "source[0].system.wanted: a plan leaves nothing to plan",
        {"sources": [posted(system=Amot(plan=Plan(first=9), wanted=0.9))], "link": SERVER},
    ),
    (
        "source[0].system.price: a plan leaves nothing to plan",
        {"sources": [posted(system=Amot(plan=Plan(first=9), price=0))], "link": SERVER},
    ),
    ("source[0].system.members: needs bits too", {"sources": [posted(system=Slimmable(members=1))], "link": SERVER}),
    ("source[0].system.bits: needs members too", {"sources": [posted(system=Slimmable(bits=1))], "link": SERVER}),
    (
        "source[0].system.members: with bits leaves nothing",
        {"sources": [posted(system=Slimmable(members=1, bits=1, estimate="ema"))], "link": SERVER},
    ),
    (
        "source[0].system.members: with bits leaves nothing",
        {"sources": [posted(system=Slimmable(members=1, bits=1, whole_bits=True))], "link": SERVER},
    ),
    ("link.server: 'host' has no port; write it like host:50151", {"link": Link(server="host")}),
    ("link.tls: goes with a server", {"link": Link(tls=True)}),
    ("link.tls_ca: goes with tls", {"link": Link(server="h:1", tls_ca=Path("c"))}),
    ("link.tls_cert: needs link.tls_key too", {"link": Link(server="h:1", tls=True, tls_cert=Path("c"))}),
    ("link.tls_key: needs link.tls_cert too", {"link": Link(server="h:1", tls=True, tls_key=Path("c"))}),
    ("link.probe_first_ms: 9000 is more than", {"link": Link(probe_first_ms=9000)}),
    ("http.listen: 'localhost' is no address", {"http": Http(listen="localhost")}),
    ("http.listen: 'localhost:http' is no address", {"http": Http(listen="localhost:http")}),
    ("http.listen: 'localhost:65536' is no address", {"http": Http(listen="localhost:65536")}),
    ("http.listen: ':80' is no address", {"http": Http(listen=":80")}),
    ("http.listen: 'unix:' is no address", {"http": Http(listen="unix:")}),
    (
        "sink[1].path: /a is that of sink[0].path too",
        {"sinks": (JsonLines(name="a", path=Path("/a")), JsonLines(name="b", path=Path("/a")))},
    ),
    (
        "sink[0].tls_ca: goes with an https url",
        {"sinks": (Callback(name="h", url="http://h", tls_ca=Path("c")),)},
    ),
    (
        "sink[0].url: holds a user or password",
        {"sinks": (Callback(name="h", url="https://me:secret@h/x"),)},
    ),
    ("sink[0].tls_ca: goes with tls", {"sinks": (Mqtt(name="m", host="h", tls_ca=Path("c")),)}),
    ("sink[0].password_file: goes with a username", {"sinks": (Mqtt(name="m", host="h", password_file=Path("c")),)}),
]


@pytest.mark.parametrize(("message", "tables"), CONFLICTS, ids=[message for message, _ in CONFLICTS])
def test_what_does_not_is_named_once_with_the_fix(message: str, tables: dict[str, Any]) -> None:
    """Beginning with the key; nothing else is found wrong."""
    only = found(*tables.get("sources", ()), **{key: one for key, one in tables.items() if key != "sources"})
    assert [one[: len(message)] for one in only] == [message]
    assert "\n" not in only[0]


@pytest.mark.parametrize(
    ("message", "tables"),
    [
        ("http.listen: 0.0.0.0:80 can be reached from other machines", {"http": Http(listen="0.0.0.0:80")}),
        ("source: none, so no frame will be answered", {"source": ()}),
        ("source[0].fallback: is never used", {"source": (posted(fallback=Path("zoo")),)}),
        ("source[0].sinks: none, so its answers are shown", {"source": (folder(),), "sink": ()}),
        ("source[0].sinks: none, so its answers are shown", {"source": (folder(sinks=()),)}),
        (
            "sink[0].token_file: its token travels",
            {"sink": (Callback(name="h", url="http://h", token_file=Path("t")),)},
        ),
        (
            "sink[0].password_file: its password travels",
            {"sink": (Mqtt(name="m", host="h", username="u", password_file=Path("p")),)},
        ),
    ],
)
def test_what_is_seldom_meant_is_doubted(message: str, tables: dict[str, Any]) -> None:
    """But may be run."""
    configured = Config(**({"bundle": Path("zoo"), "source": (posted(),), "sink": (OUT,)} | tables))
    assert list(conflicts(configured)) == []
    assert [one[: len(message)] for one in doubts(configured)] == [message]


@pytest.mark.parametrize("listen", ["", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/x"])
def test_what_only_this_machine_reaches_is_not_doubted(listen: str) -> None:
    """Nor is a video without a sink of its own, where there is one."""
    video = Video(name="v", system=Local(), path=Path("v.mp4"))
    assert doubts(Config(bundle=Path("zoo"), http=Http(listen=listen), source=(video,), sink=(OUT,))) == []
