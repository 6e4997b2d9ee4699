"""TLS options of both ends, as files in PEM form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from edge_runtime.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a client checks its server, and how it shows who it is.

    ``ca`` holds the authorities to trust (None: those that come with gRPC). ``certificate`` and ``key`` belong
    together and are what a server with a client authority asks for. ``server_name`` is the name to find in the server's
    certificate where it is not the address's, because a proxy stands between.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Credentials for a channel; raises ArgumentError for a file that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise ArgumentError("tls: a client certificate needs its key and the other way round, give both or none")
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))

    def options(self) -> tuple[tuple[str, str], ...]:
        """Channel options that go with the credentials."""
        return (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a server shows; with ``client_ca``, clients without a certificate of that authority are turned away."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials for a port; raises ArgumentError for a file that cannot be read."""
        return grpc.ssl_server_credentials(
            [(_read(self.key), _read(self.certificate))],
            root_certificates=_read(self.client_ca),
            require_client_auth=self.client_ca is not None,
        )


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"tls: {path} cannot be read: {error.strerror}") from None
