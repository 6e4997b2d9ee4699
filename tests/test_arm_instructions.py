"""Instruction counts: exact, of every kernel, and a growth fails."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import arm_instructions as tool
import msgspec
import pytest
from emulation import FLAGS

ROOT = Path(__file__).parents[1]
TOOLS = ("gcc", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc", "qemu-x86_64", "qemu-aarch64")
emulated = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason="needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs are built."""
    return tmp_path_factory.mktemp("counted")


@pytest.fixture(scope="module")
def counted(folder: Path) -> object:
    """Counts of the sources as they are, on ARM."""
    return tool.count_machine(tool.MACHINES[1], folder)


@emulated
def test_a_count_repeats_exactly(counted: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the instruction, in another environment, of which a part lies on the emulated stack."""
    monkeypatch.setenv("SOMETHING_ELSE", "x" * 1001)
    machine = tool.MACHINES[1]
    program, plugin = folder / f"{tool.PROGRAM}-{machine.compiler}", folder / "count_instructions.so"

    again = tool.count_set(machine, program, plugin, "scalar")

    assert again == {kernel: count for kernel, isa, count in counted if isa == "aarch64 scalar"}
    assert min(again.values()) > 0


@emulated
def test_a_grown_kernel_fails(counted: object, folder: Path) -> None:
    """Kernels that a compiler made longer are named, and shorter ones are not."""
    longer = tool.count_machine(tool.MACHINES[1], folder, [flag.replace("-O3", "-O1") for flag in tool.FLAGS])

    lines = tool.worse(counted, longer)

    assert any(line.startswith("rollout, aarch64 scalar: ") for line in lines)
    assert tool.worse(counted, counted) == []


@emulated
def test_vector_sets_are_counted_where_their_cpus_have_them(counted: object) -> None:
    """NEON on the older core, the dot product on the newer one, and both take fewer than the scalar source."""
    for kernel, isa in (("feature_transform", "aarch64 neon"), ("resample_horizontal", "aarch64 dotprod")):
        assert counted.at(kernel, isa) < counted.at(kernel, "aarch64 scalar")


def counts(gate: int, compiler: str = "gcc 12") -> object:
    """One kernel in one set."""
    return tool.Counts({"aarch64": compiler}, {"gate": {"aarch64 scalar": gate}})


def test_two_per_cent_are_allowed() -> None:
    """And not an instruction more."""
    assert tool.worse(counts(1000), counts(1020)) == []
    (line,) = tool.worse(counts(1000), counts(1021))
    assert line == "gate, aarch64 scalar: 1,021 instructions instead of 1,000, +2.1%"


def test_a_set_that_is_gone_fails() -> None:
    """Vector code that is never chosen would not be missed otherwise."""
    (line,) = tool.worse(counts(1000), tool.Counts({"aarch64": "gcc 12"}, {}))

    assert line == "gate, aarch64 scalar: not counted any more, recorded are 1,000 instructions"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs the command on counts that were made up, with a file of its own; returns that file."""
    file = tmp_path / "instructions.json"
    monkeypatch.setattr(tool, "MACHINES", tool.MACHINES[1:])

    def run(found: object, *options: str) -> Path:
        monkeypatch.setattr(tool, "count_machine", lambda *_: found)
        monkeypatch.setattr(sys, "argv", ["arm_instructions.py", "--json", str(file), *options])
        tool.main()
        return file

    return run


def test_recording_says_what_fell(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    """And what was recorded is compared with from then on."""
    command(counts(1000), "--record")
    file = command(counts(900), "--record")

    assert "gate, aarch64 scalar: 900 instructions instead of 1,000, -10.0%" in capsys.readouterr().out
    assert msgspec.json.decode(file.read_bytes(), type=tool.Counts) == counts(900)
    with pytest.raises(SystemExit, match=r"gate, aarch64 scalar: 1,000 instructions instead of 900, \+11.1%"):
        command(counts(1000))


def test_another_compiler_is_not_compared(command: object) -> None:
    """It may have chosen other instructions for the same source."""
    command(counts(1000), "--record")

    with pytest.raises(SystemExit, match="recorded with gcc 12, this is gcc 13: nothing was compared; record anew"):
        command(counts(1000, "gcc 13"))


def test_nothing_recorded_is_no_success(command: object) -> None:
    """The first run has to record."""
    with pytest.raises(SystemExit, match="no counts were recorded; make count-aarch64 RECORD=1"):
        command(counts(1000))


def test_programs_are_built_as_the_extension_is() -> None:
    """Other flags would be other instructions."""
    spec = importlib.util.spec_from_file_location("build_kernels", ROOT / "csrc" / "build_kernels.py")
    assert spec is not None
    assert spec.loader is not None
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)

    assert list(FLAGS) == extension.FLAGS


def test_every_public_kernel_has_a_case_and_a_count() -> None:
    """What the header declares, but for the choice of versions and the limits they are held against."""
    header = (ROOT / "csrc" / "edge_kernels.h").read_text()
    declared = set(re.findall(r"^(?:\w+ )+\*?edge_(\w+)\(", header, re.MULTILINE))
    public = {name for name in declared if not name.startswith(("dispatch_", "limit_"))}
    cases = "".join(path.read_text() for path in (ROOT / "csrc" / "bench").glob("*_cases.c"))
    recorded = msgspec.json.decode(tool.RECORDED.read_bytes(), type=tool.Counts)

    assert len(public) > 20
    assert public <= set(re.findall(r'^        \{"(\w+)", run_', cases, re.MULTILINE))
    assert public <= recorded.kernels.keys()
