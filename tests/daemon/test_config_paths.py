"""What the paths of a configuration lack on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_runtime.daemon.config import (
    Bps,
    Callback,
    Camera,
    Config,
    Folder,
    JsonLines,
    Link,
    Local,
    Mqtt,
    Posted,
    Spool,
    Video,
)
from edge_runtime.daemon.config_paths import lacking

ZOO = Path(__file__).parents[2] / "zoo"


def found(**tables: Any) -> list[str]:
    """What is found."""
    return list(lacking(Config(**tables)))


def test_what_is_there_or_can_be_made_is_fine(tmp_path: Path) -> None:
    """Folders that are not there yet are no fault, as long as they could be made."""
    file = tmp_path / "file"
    file.write_text("")
    new = tmp_path / "new" / "deep"
    system = Bps(tables=file)
    sources = (
        Folder(name="a", system=system, path=new, after="move", moved_to=tmp_path / "done", fallback=ZOO),
        Video(name="b", system=Local(), path=file, bundle=ZOO),
        Camera(name="c", system=Local(), device="0"),
        Camera(name="d", system=Local(), device="/dev/null"),
    )
    sinks = (
        JsonLines(name="a", path=new / "x.jsonl"),
        JsonLines(name="r", path=Path("relative.jsonl")),
        Callback(name="b", url="https://h", token_file=file, tls_ca=file),
        Mqtt(name="c", host="h", password_file=file),
    )
    link = Link(server="h:1", tls=True, tls_ca=file, tls_cert=file, tls_key=file)
    assert found(bundle=ZOO, link=link, spool=Spool(path=new / "s"), source=sources, sink=sinks) == []


NOWHERE, FILE = Path("/nowhere/x"), Path(__file__)
LACKING: list[tuple[str, dict[str, Any]]] = [
    ("bundle: /nowhere/x/bundle.toml: no such file", {"bundle": NOWHERE}),
    ("source[0].bundle: /nowhere/x/b", {"source": (Posted(name="a", system=Local(), bundle=NOWHERE),)}),
    ("source[0].fallback: /nowhere/x/b", {"source": (Posted(name="a", system=Local(), fallback=NOWHERE),)}),
    ("source[0].system.tables: /nowhere/x is no file", {"source": (Posted(name="a", system=Bps(tables=NOWHERE)),)}),
    ("source[0].path: /nowhere/x is no file", {"source": (Video(name="a", system=Local(), path=NOWHERE),)}),
    ("source[0].path: /work is no file", {"source": (Video(name="a", system=Local(), path=FILE.parent),)}),
    ("source[0].device: /nowhere/x is not there", {"source": (Camera(name="a", system=Local(), device="/nowhere/x"),)}),
    ("source[0].path: FILE is no folder", {"source": (Folder(name="a", system=Local(), path=FILE / "in"),)}),
    (
        "source[0].moved_to: FILE is no folder",
        {"source": (Folder(name="a", system=Local(), path=FILE.parent, after="move", moved_to=FILE),)},
    ),
    ("spool.path: FILE is no folder", {"spool": Spool(path=FILE / "s")}),
    ("link.tls_ca: /nowhere/x is no file", {"link": Link(tls_ca=NOWHERE)}),
    ("link.tls_key: /nowhere/x is no file", {"link": Link(tls_key=NOWHERE)}),
    ("sink[0].path: FILE is no folder", {"sink": (JsonLines(name="a", path=FILE / "x"),)}),
    ("sink[0].token_file: /nowhere/x is no file", {"sink": (Callback(name="a", url="http://h", token_file=NOWHERE),)}),
    ("sink[0].password_file: /nowhere/x is no", {"sink": (Mqtt(name="a", host="h", password_file=NOWHERE),)}),
    ("sink[0].tls_ca: /nowhere/x is no file", {"sink": (Mqtt(name="a", host="h", tls_ca=NOWHERE),)}),
]


@pytest.mark.parametrize(("message", "tables"), LACKING, ids=[message for message, _ in LACKING])
def test_what_is_missing_is_named(message: str, tables: dict[str, Any]) -> None:
    """By its key, in one line."""
    message = message.replace("FILE", str(FILE)).replace("/work ", f"{FILE.parent} ")
    assert [one[: len(message)] for one in found(**tables)] == [message]


def test_what_may_not_be_read_or_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the system: who runs the tests may do everything, so it is made to answer no."""
    (tmp_path / "key").write_text("")
    monkeypatch.setattr("os.access", lambda *_: False)
    link, spool = Link(tls_key=tmp_path / "key"), Spool(path=tmp_path / "s")
    assert found(link=link, spool=spool) == [
        f"link.tls_key: {tmp_path}/key may not be read; change its owner or mode",
        f"spool.path: {tmp_path} may not be written; change its owner or mode",
    ]
