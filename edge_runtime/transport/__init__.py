"""The link: protobuf schema, client, circuit breaker, TLS options and the link shaper.

The generated code beside the schema is written by

    python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \\
        edge_runtime/transport/edge_runtime.proto
"""

from __future__ import annotations

from edge_runtime.transport.breaker import Breaker
from edge_runtime.transport.client import Client, Description
from edge_runtime.transport.shaper import LinkShape, Shaper
from edge_runtime.transport.tls import ClientTls, ServerTls

__all__ = ["Breaker", "Client", "ClientTls", "Description", "LinkShape", "ServerTls", "Shaper"]
