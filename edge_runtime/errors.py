"""Every error that edge-runtime raises on purpose, in one tree.

    EdgeRuntimeError
    ├── ArgumentError      an array or option has the wrong dtype, shape or value (also a ValueError)
    ├── BundleError        a bundle is missing, malformed, or does not match its hashes
    ├── ModelError         a model cannot be loaded or run by the runtime that was asked for
    ├── PayloadError       payload bytes that do not decode
    ├── PhotoError         a photo or a data set cannot be read
    ├── Unmeetable         no way of asking meets the deadline
    ├── ConfigError        the daemon's configuration holds what it cannot do
    ├── SourceError        a source of frames cannot go on
    ├── SinkError          a sink did not take a record
    ├── SpoolError         the spool cannot be used
    ├── Dropped            a frame left the daemon's queue without an answer (daemon/frames.py)
    └── LinkError          the server gave no answer
        ├── LinkLost           refused, cut, or silent past the deadline
        └── ServerRefused      the server answered, but with a refusal that a retry would not change
            └── SessionForgotten   the server knows nothing of the first round any more

A message is one line: the thing, its value, and what to do about it.
"""

from __future__ import annotations


class EdgeRuntimeError(Exception):
    """Base of every error raised on purpose; the command line prints it as one line and exits with 2."""


class ArgumentError(EdgeRuntimeError, ValueError):
    """An argument has the wrong dtype, shape, memory layout or value; the message names it."""


class BundleError(EdgeRuntimeError):
    """A bundle is missing, malformed, or does not match its hashes."""


class ModelError(EdgeRuntimeError):
    """A model cannot be loaded or run by the runtime that was asked for."""


class PayloadError(EdgeRuntimeError):
    """Payload bytes that do not decode; nothing was allocated beyond what their header may claim."""


class PhotoError(EdgeRuntimeError):
    """A photo or a data set cannot be read."""


class Unmeetable(EdgeRuntimeError):  # noqa: N818 - a state of the link, for which nobody is to blame
    """No plan meets the deadline; the message says what is left and what the smallest needs."""


class ConfigError(EdgeRuntimeError):
    """The daemon's configuration holds what it cannot do; the message begins with the key's path."""


class SourceError(EdgeRuntimeError):
    """A source of frames cannot be opened, or cannot go on."""


class SinkError(EdgeRuntimeError):
    """A sink did not take a record, or cannot be opened."""


class SpoolError(EdgeRuntimeError):
    """The spool cannot be opened, not even anew."""


class LinkError(EdgeRuntimeError):
    """The server gave no answer; a system may still return the device's own."""


class LinkLost(LinkError):  # noqa: N818 - an event, thrown into a system's generator
    """The link was refused, cut, or silent until the deadline."""


class ServerRefused(LinkError):  # noqa: N818
    """The server answered with a refusal that sending the same request again would not change."""


class SessionForgotten(ServerRefused):
    """The server has forgotten the first round, or never knew it; sending everything at once still gives the answer."""
