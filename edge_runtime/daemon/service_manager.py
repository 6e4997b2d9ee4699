"""What the daemon tells the service manager: systemd's notification protocol, as sd_notify(3) has it.

One datagram per message to the socket that ``NOTIFY_SOCKET`` names; without one, nothing is said. A message that cannot
be sent is logged and given up: the service manager's trouble is never the daemon's.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

# A full queue may empty in a moment, and a lost READY would cost the start; longer would hold the event loop up.
SEND_TIMEOUT_S = 0.5


class ServiceManager:
    """Who started the daemon, and wants to hear how it is; ``watchdog_s`` is how often (None: not at all).

    ``address`` is a path, or ``@NAME`` in the abstract namespace (None: nobody listens).
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ServiceManager:
        """As ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` say."""
        return cls(environ.get("NOTIFY_SOCKET") or None, _watchdog_s(environ))

    def ready(self, status: str) -> None:
        """The daemon answers frames, or does so again after `reloading`."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says when that is over."""
        # systemd compares this moment with that of its own signal, on the same clock.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The daemon ends, orderly."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """The daemon is alive; wanted every ``watchdog_s`` seconds."""
        self._send("WATCHDOG=1")

    def _send(self, *fields: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_TIMEOUT_S)
                sender.sendto("\n".join(fields).encode(errors="replace"), self._address)
        except OSError as error:
            logger.warning("NOTIFY_SOCKET: %s was not told: %s", fields[0], error)


def _status(text: str) -> str:
    # A line break would begin another field, which could then say anything.
    return f"STATUS={' '.join(text.split())}"


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Half the time after which we would be taken for dead, in seconds, where that is meant for this process."""
    try:
        if int(environ.get("WATCHDOG_PID") or os.getpid()) != os.getpid():
            return None
        return max(0, int(environ.get("WATCHDOG_USEC", "0"))) / 2e6 or None
    except ValueError:
        return None
