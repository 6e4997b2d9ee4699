"""Reading the configuration: one line for whatever is wrong, and where each value came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.daemon import config
from edge_runtime.daemon.config_file import MAX_BYTES, load
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edge_runtime.daemon.config_file import Loaded

TEXT = """
bundle = "zoo"
[[source]]
kind = "folder"
name = "front-door"
path = "in"
[source.system]
kind = "attention"
eta = 0.5
[[sink]]
kind = "stdout"
name = "out"
"""
Read = "Callable[..., Loaded]"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Loads a text with variables of the environment."""

    def loaded(text: str, **environ: str) -> Loaded:
        (tmp_path / "c.toml").write_text(text)
        return load(tmp_path / "c.toml", environ)

    return loaded


def test_what_is_not_given_is_the_default(read: Read) -> None:
    """Of every table, and of sources and sinks by their kinds."""
    assert read(TEXT).config == config.Config(
        bundle=Path("zoo"),
        source=(config.Folder(name="front-door", path=Path("in"), system=config.Attention(eta=0.5)),),
        sink=(config.Stdout(name="out"),),
    )


def test_every_value_has_its_origin(read: Read) -> None:
    """The file, the environment, which stands above it, or nobody."""
    origins = read(TEXT, EDGE_RUNTIME__SOURCE__FRONT_DOOR__SYSTEM__ETA="0.7").origins
    assert origins["bundle"] == "file"
    assert origins["source[0].system.kind"] == "file"
    assert origins["source[0].system.eta"] == "environment EDGE_RUNTIME__SOURCE__FRONT_DOOR__SYSTEM__ETA"
    assert origins["source[0].system.delta"] == "default"
    assert origins["sink[0].name"] == "file"
    assert origins["http.listen"] == origins["spool"] == "default"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("bundle =", "bundel ="), "bundel: no such key; did you mean bundle?"),
        (("[[sink]]", "[link]\nqqqq = 1\n[[sink]]"), "link.qqqq: no such key; link has server, tls, tls_ca,"),
        (("[[sink]]", "[http]\nlisten = 3\n[[sink]]"), "http.listen: is 3; expected str, got int"),
        (
            ("[[sink]]", "[log]\nlevel = 'loud'\n[[sink]]"),
            'log.level: is "loud"; give one of debug, error, info, warning',
        ),
        (("[[sink]]", "link = 3\n[[sink]]"), "source[0].system.link: no such key"),
        (("path =", "quue = 1\npath ="), "source[0].quue: no such key; did you mean queue?"),
        (("path =", "queue = 0\npath ="), "source[0].queue: is 0; expected int >= 1"),
        (("path =", "audit = 1.5\npath ="), "source[0].audit: is 1.5; expected float <= 1.0"),
        (("path =", "max_fps = inf\npath ="), "source[0].max_fps: is inf; give a finite number"),
        (("path =", "deadline_ms = nan\npath ="), "source[0].deadline_ms: is nan; give a finite number"),
        (("path =", "sinks = [1]\npath ="), "source[0].sinks[0]: is 1; expected str, got int"),
        (('path = "in"', 'path = ""'), 'source[0].path: is ""; expected a path in quotes'),
        (('path = "in"', "path = 3"), "source[0].path: is 3; expected a path in quotes"),
        (('path = "in"', "path = 1979-05-27"), 'source[0].path: is "1979-05-27"; expected a path in quotes'),
        (('path = "in"', ""), "source[0].path: is missing"),
        (('kind = "folder"', ""), "source[0].kind: is missing; give one of folder, http, camera, video"),
        (('"folder"', '"floder"'), 'source[0].kind: is "floder"; give one of folder, http, camera, video'),
        (('"attention"', "[]"), "source[0].system.kind: is []; give one of attention, amot, slimmable, bps, local,"),
        (
            ('"attention"', '"local"'),
            "source[0].system.eta: no such key; source[0].system of kind local has kind, edge",
        ),
        (('"front-door"', '"Front door"'), 'source[0].name: is "Front door"; expected str matching regex'),
        (("[[sink]]", "[sink]"), "sink: is {"),
        (('"zoo"', f'"{"z" * 100}"\nbundel = 1'), "bundel: no such key; did you mean bundle?"),
        (('"zoo"', f"[{', '.join('z' * 50)}]"), "is not TOML: "),
        (('"zoo"', f"{list('z' * 50)}"), 'bundle: is ["z", "z",'),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_the_fix(read: Read, change: tuple[str, str], error: str) -> None:
    """In one line that begins with the file and the key."""
    with pytest.raises(ConfigError) as caught:
        read(TEXT.replace(*change))
    file, message = str(caught.value).split(": ", 1)
    assert file.endswith("c.toml")
    assert message.startswith(error)
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("bundle = \n", r"is not TOML: Invalid value \(at line 1, column 10\)"),
        ("a = 1\na = 2\n", "is not TOML: Cannot overwrite a value"),
        (f"a = {'[' * 100_000}", "its arrays are nested too deeply"),
        (f"a = {'1' * 10_000}", "is not TOML: "),
        (f"# {'x' * MAX_BYTES}", "has more than 1048576 bytes"),
    ],
    ids=["syntax", "twice", "deep", "long-number", "huge"],
)
def test_what_is_no_toml_is_refused(read: Read, text: str, error: str) -> None:
    """With line and column where there are any."""
    with pytest.raises(ConfigError, match=rf"c\.toml: {error}"):
        read(text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """The first of them is named."""
    (tmp_path / "c.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="byte 5 is not UTF-8"):
        load(tmp_path / "c.toml", {})


def test_a_file_that_is_not_there_can_be_written(tmp_path: Path) -> None:
    """The command for it is named; so is the reason why another one cannot be read."""
    with pytest.raises(ConfigError, match=r"c\.toml: no such file; `edge-runtime config init --config .*c\.toml`"):
        load(tmp_path / "c.toml", {})
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path, {})


def test_variables_stand_in_paths_only(read: Read) -> None:
    """As systemd hands over credentials; text with a dollar sign is text."""
    text = TEXT.replace('"zoo"', '"${CREDENTIALS_DIRECTORY}/$x"') + '[link]\nserver = "${NO}:1"'
    loaded = read(text, CREDENTIALS_DIRECTORY="/run/credentials")
    assert loaded.config.bundle == Path("/run/credentials/$x")
    assert loaded.config.link.server == "${NO}:1"


def test_a_variable_that_is_not_set_is_named(read: Read) -> None:
    """Rather than taken for empty."""
    with pytest.raises(
        ConfigError, match=r"bundle: is \"\$\{NO_1\}/b\"; \$\{NO_1\} is not set in the environment; set"
    ):
        read(TEXT.replace("zoo", "${NO_1}/b"))


def test_whose_value_is_wrong_is_said(read: Read) -> None:
    """The variable's name stands where the file's would."""
    with pytest.raises(ConfigError, match=r"^EDGE_RUNTIME__SOURCE__0__QUEUE: source\[0\]\.queue: is 0; expected int"):
        read(TEXT, EDGE_RUNTIME__SOURCE__0__QUEUE="0")


def test_conflicts_are_errors_and_doubts_are_warnings(read: Read) -> None:
    """The former name the file; the latter come with the configuration."""
    with pytest.raises(ConfigError, match=r"c\.toml: source\[0\]\.bundle: is missing"):
        read(TEXT.replace('bundle = "zoo"', ""))
    assert read(TEXT).warnings == []
    assert [one.split(":")[0] for one in read("").warnings] == ["source"]
