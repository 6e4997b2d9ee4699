"""Whole models that are loaded, for all sources together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from edge_runtime.errors import BundleError
from edge_runtime.systems.edge import EdgeModel, WholeModel

if TYPE_CHECKING:
    from edge_runtime.models import Bundle, Execution


class Shelf:
    """Whole models that are loaded, shared by the sources that use them: one thread runs them all."""

    def __init__(self) -> None:
        self._models: WeakValueDictionary[tuple[Any, ...], WholeModel] = WeakValueDictionary()

    def whole(self, bundle: Bundle, name: str, execution: Execution) -> WholeModel:
        """The edge model of that name (empty: the bundle's), which answers alone; raises BundleError, ModelError."""
        spec = bundle.model("edge", name)
        key = bundle.folder, bundle.hash, spec.name, execution
        found = self._models.get(key)
        if found is None:
            found = (EdgeModel if spec.kind == EdgeModel.kind else WholeModel)(bundle, spec.name, execution)
            self._models[key] = found
        return found

    def edge(self, bundle: Bundle, name: str, execution: Execution) -> EdgeModel:
        """The same, of one that says what it attended to."""
        found = self.whole(bundle, name, execution)
        if not isinstance(found, EdgeModel):
            raise BundleError(f"{bundle.folder}: {found.spec.name} has no attention; attention needs a vit-attention")
        return found
