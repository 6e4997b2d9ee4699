"""A running server: port, credentials, limits, health and an orderly end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from edge_runtime.errors import ArgumentError
from edge_runtime.transport.client import SERVICE
from server_ref.service import Service

if TYPE_CHECKING:
    from types import TracebackType

    from edge_runtime.transport import ServerTls
    from server_ref.backend import Backend

# What a frame may weigh beyond its raw values: bitmap, names, and a PNG of noise.
SLACK_BYTES = 1 << 12


class Server:
    """Serves a backend from construction to `stop`; a context manager.

    ``port`` 0 picks a free one, `address` then says which. ``workers`` requests are taken at a time, waiting ones
    included; further ones are refused with RESOURCE_EXHAUSTED, as are messages larger than the most frames of the
    largest payload that the models take. Raises ArgumentError when the port cannot be had or the certificates cannot be
    read.
    """

    def __init__(
        self,
        backend: Backend,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ServerTls | None = None,
        workers: int = 16,
    ) -> None:
        self._health = health.HealthServicer()
        self._grpc = grpc.server(
            ThreadPoolExecutor(workers, "request"),
            maximum_concurrent_rpcs=workers,
            options=(
                (
                    "grpc.max_receive_message_length",
                    backend.description.max_frames * (backend.max_payload_bytes + SLACK_BYTES),
                ),
                # Two servers on one port would share its requests by chance.
                ("grpc.so_reuseport", 0),
                # Clients ping every ten seconds while they wait.
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ),
        )
        self._grpc.add_generic_rpc_handlers((Service(backend).handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        self.address = f"{host}:{self._bind(host, port, tls)}"
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._grpc.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Say NOT_SERVING, take no further request, and wait up to ``grace_s`` seconds for those in flight."""
        self._health.enter_graceful_shutdown()
        self._grpc.stop(grace_s).wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bind(self, host: str, port: int, tls: ServerTls | None) -> int:
        address = f"{host}:{port}"
        try:
            bound = (
                self._grpc.add_insecure_port(address)
                if tls is None
                else self._grpc.add_secure_port(address, tls.credentials())
            )
        except RuntimeError:
            bound = 0
        if bound == 0:
            raise ArgumentError(f"port: {address} cannot be bound, choose a free one or 0")
        return int(bound)
