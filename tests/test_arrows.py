"""The arrows of the design: which room may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH_SIDE = {"torch", "onnx", "onnxscript", "litert_torch", "exporters"}

# Room -> rooms of the device package that it may import, besides errors and messages.
DEVICE_ARROWS = {
    "kernels": set(),
    "codecs": {"kernels"},
    "models": set(),
    "transport": set(),
    "systems": {"kernels", "codecs", "models", "control"},
    "control": set(),
    "scheduling": {"kernels", "codecs", "models", "systems", "control"},
    "daemon": {"kernels", "codecs", "models", "systems", "transport", "control", "scheduling"},
    "profiling": {"kernels", "codecs", "models", "systems", "scheduling", "evaluation"},
    "evaluation": {"kernels", "codecs", "models", "systems", "transport", "control", "scheduling"},
}


def imports(path: Path) -> set[str]:
    """Absolute modules imported anywhere in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(package: str) -> list[Path]:
    """All modules of a package, generated ones included."""
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("edge_runtime"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_device_never_imports_torch_exporters_or_the_server(path: Path) -> None:
    """A device installs none of them, so no module of its package may name them."""
    tops = {name.partition(".")[0] for name in imports(path)}
    assert set() == tops & (TORCH_SIDE | {"server_ref"})


@pytest.mark.parametrize("room", DEVICE_ARROWS)
def test_rooms_of_the_device_import_only_along_the_arrows(room: str) -> None:
    """cli → evaluation, daemon → scheduling → systems → codecs → kernels; models, control and transport beside them."""
    rooms = set(DEVICE_ARROWS)
    for path in sources(f"edge_runtime/{room}"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("edge_runtime.") and "." in name}
        assert set() == (used & rooms) - DEVICE_ARROWS[room] - {room}, path


def test_every_room_has_its_arrows() -> None:
    """A new room must say what it may import."""
    rooms = {path.name for path in (ROOT / "edge_runtime").iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(DEVICE_ARROWS)


@pytest.mark.parametrize("path", sources("server_ref"), ids=lambda path: path.name)
def test_the_server_imports_only_codecs_models_kernels_and_messages(path: Path) -> None:
    """The server shares the device's bytes, models and what was calibrated for both, not its systems."""
    allowed = {"kernels", "codecs", "models", "transport", "control", "errors", "messages", "__version__"}
    used = {name.split(".")[1] for name in imports(path) if name.startswith("edge_runtime.")}
    assert set() == used - allowed
    assert set() == {name.partition(".")[0] for name in imports(path)} & TORCH_SIDE


@pytest.mark.parametrize("path", sources("exporters"), ids=lambda path: str(path.relative_to(ROOT)))
def test_exporters_import_only_what_they_write_files_for(path: Path) -> None:
    """Exporters write bundles, the codec's tables and the scheduler's policy; they know nothing of systems."""
    used = {name.split(".")[1] for name in imports(path) if name.startswith("edge_runtime.")}
    allowed = {"models", "codecs", "kernels", "scheduling", "control", "errors", "photos", "labelled_photos"}
    assert set() == used - allowed


@pytest.mark.parametrize("package", ["edge_runtime", "server_ref"])
def test_nothing_that_reads_the_network_can_run_what_it_reads(package: str) -> None:
    """No pickle, marshal, eval or exec in what faces the network."""
    for path in sources(package):
        tree = ast.parse(path.read_text())
        calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert set() == calls & {"eval", "exec", "compile", "__import__"}, path
        assert set() == imports(path) & {"pickle", "marshal", "shelve", "dill"}, path
