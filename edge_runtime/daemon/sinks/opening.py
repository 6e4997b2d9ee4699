"""From a sink's table of the configuration to the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.daemon import config
from edge_runtime.daemon.sinks.callback import CallbackSink
from edge_runtime.daemon.sinks.json_lines import LineFile
from edge_runtime.daemon.sinks.lines import LineSink
from edge_runtime.daemon.sinks.mqtt import MqttSink
from edge_runtime.daemon.sinks.stdout import LinePipe

if TYPE_CHECKING:
    from edge_runtime.daemon.metrics import Metrics
    from edge_runtime.daemon.sinks import Sink
    from edge_runtime.transport.spool import Spool


def open_sink(settings: config.Sink, spool: Spool | None, metrics: Metrics) -> Sink:
    """The sink, which `start` begins; it counts what becomes of records in ``metrics``.

    Those that deliver keep what they cannot in ``spool``, in a lane of their name, unless they were told not to.
    """
    if isinstance(settings, config.JsonLines):
        return LineSink(settings.name, LineFile(settings.path, settings.max_bytes, settings.keep), metrics)
    if isinstance(settings, config.Stdout):
        return LineSink(settings.name, LinePipe(), metrics)
    if isinstance(settings, config.Callback):
        return CallbackSink(settings, spool, metrics)
    return MqttSink(settings, spool, metrics)
