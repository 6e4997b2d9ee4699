"""Reading the daemon's configuration: a TOML file, with the environment above it, checked before anything begins."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import inspect

from edge_runtime.daemon.config import Config
from edge_runtime.daemon.config_checks import conflicts, doubts
from edge_runtime.daemon.config_environment import override
from edge_runtime.daemon.config_schema import dotted, leaves, members, no_such_key, type_at, value_at
from edge_runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.daemon.config_schema import Place

MAX_BYTES = 1 << 20
_REFUSED = re.compile(r"(?P<reason>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Loaded(NamedTuple):
    """A configuration that may be run, where each key's value came from, and what is allowed but seldom meant.

    ``origins`` are by key (``source[0].system.kind``): ``default``, ``file`` or ``environment NAME``.
    """

    config: Config
    origins: dict[str, str]
    warnings: list[str]


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Read the file, then the environment; raises ConfigError in one line, for the first thing that is wrong.

    Nothing but the file is looked at: `config_paths.lacking` says what the paths in it lack.
    """
    raw = _read(path)
    given = {dotted(place): "file" for place, _ in leaves(raw)}
    set_by = override(raw, environ)
    config = _converted(raw, environ, _Blame(path, set_by))
    for conflict in conflicts(config):
        raise ConfigError(f"{path}: {conflict}")
    given |= {key: f"environment {name}" for key, name in set_by.items()}
    keys = (dotted(place) for place, _ in leaves(plain(config)))
    return Loaded(config, {key: given.get(key, "default") for key in keys}, doubts(config))


def plain(config: Config) -> dict[str, Any]:
    """The configuration as tables of TOML's own types, with None for what is not set."""
    tables: dict[str, Any] = msgspec.to_builtins(config, enc_hook=str)
    return tables


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `edge-runtime config init --config {path}` writes one") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{path}: cannot be read ({reason}); `edge-runtime config init` writes one elsewhere"
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: has more than {MAX_BYTES} bytes; is it a configuration?")
    try:
        raw: dict[str, Any] = msgspec.toml.decode(data)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8, which TOML is written in") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: its arrays are nested too deeply; no key needs more than one") from None
    return raw


class _Blame(NamedTuple):
    """Says whose a wrong key is: the file's, or that of the variable that set it."""

    path: Path
    set_by: dict[str, str]

    def error(self, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self.set_by.get(key, self.path)}: {f'{key}: ' if key else ''}{reason}")


def _converted(raw: dict[str, Any], environ: Mapping[str, str], blame: _Blame) -> Config:
    for place, value in leaves(raw):
        if isinstance(value, float) and not math.isfinite(value):
            raise blame.error(dotted(place), f"is {value}; give a finite number")

    def path_from(kind: type, value: object) -> Path:  # noqa: ARG001 - paths are the only type of our own
        return _path(value, environ)

    try:
        return msgspec.convert(raw, Config, dec_hook=path_from)
    except msgspec.ValidationError as error:
        found = _REFUSED.fullmatch(str(error))
        assert found is not None  # noqa: S101 - it matches anything
        raise blame.error(*_explained(raw, found["reason"], _place(found["path"] or ""))) from error


def _path(value: object, environ: Mapping[str, str]) -> Path:
    """A path, with ``${NAME}`` standing for variables of the environment."""
    if not isinstance(value, str) or not value:
        raise ValueError("expected a path in quotes")

    def variable(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ValueError(f"{match[0]} is not set in the environment; set it, or write the path itself")
        return environ[match[1]]

    return Path(_VARIABLE.sub(variable, value))


def _place(path: str) -> Place:
    """The place that msgspec writes as ``source[0].queue``."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", path))


def _explained(raw: dict[str, Any], reason: str, place: Place) -> tuple[str, str]:
    """The key that msgspec's message is about, and the message in words of the file."""
    if unknown := _UNKNOWN.fullmatch(reason):
        place = (*place, unknown["key"])
        return dotted(place), no_such_key(raw, place)
    if missing := _MISSING.fullmatch(reason):
        return dotted((*place, missing["key"])), f"is missing{_choices(raw, (*place, missing['key']))}"
    value = value_at(raw, place)
    words = reason[:1].lower() + reason[1:].replace("`", "").replace("object", "table")
    wanted = _choices(raw, place).removeprefix("; ") or words
    return dotted(place), f"is {_shown(value)}; {wanted}"


def _choices(raw: dict[str, Any], place: Place) -> str:
    expected = type_at(raw, place)
    words = [str(word) for one in members(expected) if isinstance(one, inspect.LiteralType) for word in one.values]
    return f"; give one of {', '.join(words)}" if words else ""


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}..."
