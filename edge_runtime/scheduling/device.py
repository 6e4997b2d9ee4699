"""The device's side of every plan: its models, loaded once, and the system that each plan needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.codecs.features import FeatureCodec, HalfEncoder, UniformEncoder
from edge_runtime.errors import BundleError
from edge_runtime.models.execution import DEFAULT_EXECUTION, Execution
from edge_runtime.systems.edge import PrefixModel, WholeModel
from edge_runtime.systems.local import Local
from edge_runtime.systems.remote import Remote
from edge_runtime.systems.split import Split

if TYPE_CHECKING:
    from edge_runtime.models import Bundle
    from edge_runtime.scheduling.tables import LevelCodec
    from edge_runtime.systems import BatchSystem
    from edge_runtime.systems.split import FeatureEncoder


class Device:
    """A network of a bundle, whole and before each of its cuts; raises BundleError and ModelError."""

    def __init__(
        self,
        bundle: Bundle,
        network: str = "",
        execution: Execution = DEFAULT_EXECUTION,
    ) -> None:
        self.network = network or bundle.split().network
        self.threads = execution.threads
        self.cuts = {cut.cut: cut for cut in bundle.manifest.splits if cut.network == self.network}
        if not self.cuts:
            known = ", ".join(dict.fromkeys(cut.network for cut in bundle.manifest.splits))
            raise BundleError(f"{bundle.folder}: no network {self.network!r} is cut in it; it has {known}")
        self.whole = WholeModel(bundle, self.network, execution)
        self.prefixes = {name: PrefixModel(bundle, cut.prefix, execution) for name, cut in self.cuts.items()}
        self._codecs = {name: FeatureCodec.load(bundle.read(cut.tables)) for name, cut in self.cuts.items()}
        self._local = Local(self.whole)
        self._sending: dict[tuple[str, LevelCodec, int], BatchSystem] = {}

    def local(self) -> BatchSystem:
        """The whole network here."""
        return self._local

    def lossless(self) -> BatchSystem:
        """The whole network at the server, on photos that lost nothing: what every loss is against."""
        return Remote("png", 100, self.network)

    def sending(self, cut: str, codec: LevelCodec, quality: int) -> BatchSystem:
        """Photos (no ``cut``) or a cut's maps, packed that finely."""
        key = cut, codec, quality
        if key not in self._sending:
            self._sending[key] = self._photos(quality) if codec == "jpeg" else self._split(cut, codec, quality)
        return self._sending[key]

    def _photos(self, quality: int) -> Remote:
        return Remote("jpeg", quality, self.network)

    def _split(self, cut: str, codec: LevelCodec, quality: int) -> Split:
        encoder = self._encoder(self._codecs[cut], codec, quality)
        return Split(self.prefixes[cut], encoder, self.cuts[cut].suffix, quality=quality)

    def _encoder(self, ff: FeatureCodec, codec: LevelCodec, quality: int) -> FeatureEncoder:
        if codec == "ff":
            return ff
        return HalfEncoder(ff.shape) if codec == "half" else UniformEncoder(ff.shape, quality)
