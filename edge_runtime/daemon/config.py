"""What the daemon may be told: the tables of its TOML file, each with its defaults.

Paths are taken from the working directory when they are relative. What one table cannot check of itself (names that
must exist elsewhere, settings that exclude each other) is checked by `Config` as a whole, with the key's path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge_runtime.models.bundle import Precision, Runtime
from edge_runtime.models.execution import Execution, Provider

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,31}$")]
Quality = Annotated[int, Meta(ge=1, le=100)]
Port = Annotated[int, Meta(ge=1, le=65535)]

Order = Literal["oldest", "newest"]
WhenFull = Literal["wait", "drop-oldest", "drop-newest"]
After = Literal["keep", "delete", "move"]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: immutable, compared by value, and with no keys but its own."""

    @property
    def kind(self) -> str:
        """What the file calls it, where there are several of its sort."""
        return str(self.__struct_config__.tag)


class Models(_Table, frozen=True, kw_only=True):
    """How the device runs its models."""

    runtime: Runtime | None = None
    precision: Precision | None = None
    threads: Count = 1
    provider: Provider = "cpu"

    @property
    def execution(self) -> Execution:
        """The same as every model takes it."""
        return Execution(self.runtime, self.precision, self.threads, self.provider)


class Link(_Table, frozen=True, kw_only=True):
    """Where the server is; without one (``server`` empty) the device answers alone.

    A lost link is probed ``probe_first_ms`` later, then at twice the distance each time up to ``probe_longest_ms``.
    """

    server: str = ""
    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    probe_first_ms: Positive = 250
    probe_longest_ms: Positive = 5000


class Http(_Table, frozen=True, kw_only=True):
    """The local port, or Unix socket (``unix:PATH``), of HTTP sources, metrics, health and the status page.

    ``listen`` empty: none. A connection that has sent no whole header after ``header_timeout_s``, or no whole body
    ``body_timeout_s`` later, is closed; beyond ``max_connections`` new ones are turned away. ``page_frames`` are kept
    for the status page.
    """

    listen: str = "127.0.0.1:8470"
    max_body_bytes: Count = 16 << 20
    max_connections: Count = 128
    header_timeout_s: Positive = 5
    body_timeout_s: Positive = 10
    page_frames: Annotated[int, Meta(ge=0, le=100)] = 12


class Log(_Table, frozen=True, kw_only=True):
    """``auto`` writes for the journal under systemd, for people on a terminal, and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "journal", "console", "json"] = "auto"


class Spool(_Table, frozen=True, kw_only=True):
    """Where what must reach a server and cannot is kept: at most ``max_bytes`` on disk, for ``max_age_s`` seconds.

    When it is full, ``oldest`` first gives up new items and ``newest`` first gives up the oldest ones.
    """

    path: Path
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 64 << 20
    max_age_s: Positive = 7 * 86400
    order: Order = "oldest"


# Systems. What is None is the bundle's.


class Attention(_Table, frozen=True, kw_only=True, tag_field="kind", tag="attention"):
    """The device's model and its gate; patches for the server when it is not sure."""

    edge_model: str = ""
    server_model: str = ""
    eta: float | None = None
    delta: float | None = None
    uncertainty: Literal["min-entropy", "shannon", "margin"] | None = None
    rule: Literal["sum", "threshold", "top-k", "random"] | None = None
    score: str | None = None
    patch_codec: Literal["raw", "jpeg", "webp"] | None = None
    quality: Quality | None = None


class Plan(_Table, frozen=True, kw_only=True):
    """One plan of two rounds for every frame; ``second`` patches more when less sure than ``below``."""

    codec: Literal["raw", "jpeg", "webp"] = "webp"
    quality: Quality = 20
    first: Count
    second: Annotated[int, Meta(ge=0)] = 0
    below: Share = 0


class Amot(_Table, frozen=True, kw_only=True, tag_field="kind", tag="amot"):
    """Two rounds, planned for every frame: the best accuracy in time, or ``wanted`` with the fewest bytes.

    ``price`` is what 1000 bytes must bring, in points. A ``plan`` leaves nothing to plan.
    """

    wanted: Share | None = None
    price: Annotated[float, Meta(ge=0)] | None = None
    plan: Plan | None = None


class Slimmable(_Table, frozen=True, kw_only=True, tag_field="kind", tag="slimmable"):
    """Slimmable encoders, whose mode is chosen for every frame, or set by ``members`` and ``bits`` together."""

    family: str = ""
    members: Count | None = None
    bits: Positive | None = None
    estimate: Literal["sums", "ema"] = "sums"
    whole_bits: bool = False


class Bps(_Table, frozen=True, kw_only=True, tag_field="kind", tag="bps"):
    """The scheduler: here, there, or split, several at once; ``most_loss`` in points of accuracy."""

    tables: Path | None = None
    network: str = ""
    most_loss: float = 1.0


class Local(_Table, frozen=True, kw_only=True, tag_field="kind", tag="local"):
    """The device alone."""

    edge_model: str = ""


class Remote(_Table, frozen=True, kw_only=True, tag_field="kind", tag="remote"):
    """Every frame whole to the server."""

    server_model: str = ""
    codec: Literal["jpeg", "webp", "png"] = "jpeg"
    quality: Quality = 75


System = Attention | Amot | Slimmable | Bps | Local | Remote


# Sources.


class _Source(_Table, frozen=True, kw_only=True, tag_field="kind"):
    """What every source has.

    Up to ``queue`` frames wait, taken ``oldest`` or ``newest`` first; ``when_full`` says what becomes of one more
    (None: as the kind does). ``in_flight`` frames are under way at once (None: as many as suit the system). ``audit``
    is the share of the device's own sure answers that is held against the server's. ``fallback`` is a bundle whose edge
    model answers when the server cannot and the system has no answer of its own. With ``ask_later`` what the server
    should have been asked is kept in the spool and asked when it is there again. ``sinks`` are names (None: all).
    """

    name: Name
    system: System
    bundle: Path | None = None
    deadline_ms: Positive = 1000
    max_fps: Positive | None = None
    queue: Count = 16
    order: Order = "oldest"
    when_full: WhenFull | None = None
    in_flight: Count | None = None
    audit: Share = 0
    fallback: Path | None = None
    ask_later: bool = False
    sinks: tuple[str, ...] | None = None


class Folder(_Source, frozen=True, kw_only=True, tag="folder"):
    """Photos that are put into a folder, which the daemon makes if it is not there; names with a dot first are ignored.

    A file is taken when it has not changed for ``settle_ms``. ``existing`` ones are answered at the start too. After
    its answer a file is kept, deleted, or moved into ``moved_to``; one that cannot be read goes into ``refused`` inside
    the folder, unless files are kept.
    """

    path: Path
    existing: bool = False
    after: After = "keep"
    moved_to: Path | None = None
    settle_ms: Annotated[float, Meta(ge=0)] = 50


class Posted(_Source, frozen=True, kw_only=True, tag="http"):
    """Photos that are posted to ``/answer/NAME`` of the local port, with the answer in the response."""


class Camera(_Source, frozen=True, kw_only=True, tag="camera"):
    """A camera by OpenCV: a number, a device's path, or a GStreamer pipeline that ends in ``appsink``."""

    device: str
    width: Count | None = None
    height: Count | None = None
    fps: Positive | None = None


class Video(_Source, frozen=True, kw_only=True, tag="video"):
    """A video file, frame by frame at its own speed, or (not ``paced``) as fast as the answers come."""

    path: Path
    paced: bool = True
    repeat: bool = False


Source = Folder | Posted | Camera | Video


# Sinks.


class _Sink(_Table, frozen=True, kw_only=True, tag_field="kind"):
    name: Name


class JsonLines(_Sink, frozen=True, kw_only=True, tag="jsonl"):
    """One line per answer; the file is renamed at ``max_bytes``, and ``keep`` old ones are kept."""

    path: Path
    max_bytes: Count = 16 << 20
    keep: Annotated[int, Meta(ge=0, le=1000)] = 4


class Stdout(_Sink, frozen=True, kw_only=True, tag="stdout"):
    """One line per answer on standard output."""


class Callback(_Sink, frozen=True, kw_only=True, tag="http"):
    """Each answer posted as JSON, its key in ``Idempotency-Key``; ``token_file`` holds a bearer token.

    With ``spooled``, what cannot be delivered is kept and delivered later; else it is dropped and counted.
    """

    url: Annotated[str, Meta(pattern="^https?://")]
    timeout_ms: Positive = 5000
    token_file: Path | None = None
    tls_ca: Path | None = None
    spooled: bool = True


class Mqtt(_Sink, frozen=True, kw_only=True, tag="mqtt"):
    """Each answer published as JSON, counted as delivered when the broker has acknowledged it."""

    host: str
    port: Port = 1883
    topic: str = "edge-runtime/answers"
    qos: Annotated[int, Meta(ge=0, le=2)] = 1
    username: str = ""
    password_file: Path | None = None
    tls: bool = False
    tls_ca: Path | None = None
    spooled: bool = True


Sink = JsonLines | Stdout | Callback | Mqtt


class Config(_Table, frozen=True, kw_only=True):
    """The whole file. ``bundle`` is that of every source without one of its own."""

    bundle: Path | None = None
    models: Models = Models()
    link: Link = Link()
    http: Http = Http()
    log: Log = Log()
    spool: Spool | None = None
    source: tuple[Source, ...] = ()
    sink: tuple[Sink, ...] = ()
