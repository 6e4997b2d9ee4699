"""Tests of the generated code beside edge_runtime/transport/edge_runtime.proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.host  # the generator of the code

ROOT = Path(__file__).parents[2]
SCHEMA = "edge_runtime/transport/edge_runtime.proto"
GENERATED = ("edge_runtime_pb2.py", "edge_runtime_pb2.pyi", "edge_runtime_pb2_grpc.py")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with freshly generated code."""
    pytest.importorskip("grpc_tools")
    out = tmp_path_factory.mktemp("generated")
    command = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", *command, SCHEMA], cwd=ROOT, check=True)
    return out / "edge_runtime" / "transport"


@pytest.mark.parametrize("name", GENERATED)
def test_committed_code_is_what_the_schema_gives(regenerated, name):
    """Generating again changes nothing."""
    assert (regenerated / name).read_text() == (ROOT / "edge_runtime" / "transport" / name).read_text()
