"""The installer: the real scripts against a board made of folders, whose ssh, apt and systemd are small scripts.

The board is a root of its own, in namespaces of one process: this machine's programs, and the test's own folders /etc,
/srv, /tmp and /var.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["build_deb.sh", "install.sh", "install_here.sh", "debian/postinst", "debian/postrm", "debian/prerm"]
SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent))

# What a package "installs" is its text, and the daemon runs unless package, bundle or configuration say bad.
ON_BOARD = {
    "sudo": 'exec "$@"',
    "dpkg": "echo riscv64",
    "apt-get": 'for last; do :; done; echo "apt-get $last" >>/tmp/calls; cp "$last" /var/package',
    "edge-runtime": 'echo "$*" >>/tmp/calls; shift 3; ! grep -q refused "$1"',
    "journalctl": "echo the journal",
    "systemctl": """echo "systemctl $*" >>/tmp/calls
        case $* in
        *restart*) rm -f /var/active
            ! grep -qs bad /var/package /srv/edge-runtime/bundle/* /etc/edge-runtime/config.toml && touch /var/active ;;
        *stop*) rm -f /var/active ;;
        *is-active*) test -e /var/active ;;
        esac""",
}
ENTER = """
    set -e
    cd "$BOARD"
    for name in usr dev proc; do mount --rbind /$name $name; done
    exec chroot . env PATH=/fake:/usr/bin SETTLE_S=0 sh -c "$1"
"""

pytestmark = pytest.mark.host


class Board:
    """A board's root, and what the PC's ssh and scp do with it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "board"
        for name in ("usr", "dev", "proc", "etc", "srv", "tmp", "var", "fake"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (self.root / name).symlink_to(f"usr/{name}")
        for name, text in ON_BOARD.items():
            _program(self.root / "fake" / name, text)
        self.pc = folder / "pc"
        self.pc.mkdir()
        _program(self.pc / "enter", ENTER)
        enter = f"BOARD={self.root} exec unshare --user --map-root-user --mount {self.pc}/enter"
        _program(self.pc / "ssh", f'[ $1 = board ] || exit 255; shift; {enter} "$*"')
        _program(
            self.pc / "scp",
            f"""shift; options=; [ $1 != -r ] || {{ options=-r; shift; }}
            cp $options "$1" "{self.root}/${{2#board:/}}" """,
        )
        self.files = folder / "files"
        self.files.mkdir()

    def install(self, *words: str, host: str = "board") -> subprocess.CompletedProcess[str]:
        """Run install.sh as a person would, on the PC."""
        environ = {**os.environ, "PATH": f"{self.pc}:{os.environ['PATH']}"}
        command = [ROOT / "deploy" / "install.sh", *words, host]
        return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)

    def given(self, name: str, text: str) -> str:
        """A file on the PC; ``bundle`` makes a folder with one."""
        path = self.files / name
        if name == "bundle":
            path.mkdir(exist_ok=True)
            (path / "bundle.toml").write_text(text)
        else:
            path.write_text(text)
        return str(path)

    @property
    def holds(self) -> dict[str, str]:
        """What is installed, and whether the daemon runs."""
        paths = {
            "package": "var/package",
            "config": "etc/edge-runtime/config.toml",
            "bundle": "srv/edge-runtime/bundle/bundle.toml",
            "active": "var/active",
        }
        return {name: (self.root / at).read_text() for name, at in paths.items() if (self.root / at).exists()}

    @property
    def calls(self) -> str:
        """What was asked of apt, systemd and edge-runtime, a line each."""
        log = self.root / "tmp" / "calls"
        return log.read_text() if log.exists() else ""


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """A board on which nothing is installed yet."""
    return Board(tmp_path)


@pytest.fixture
def running(board: Board) -> Board:
    """A board with a daemon, put there by the installer."""
    words = ["--deb", board.given("a.deb", "one"), "--config", board.given("c.toml", "one")]
    found = board.install(*words, "--bundle", board.given("bundle", "one"))
    assert found.returncode == 0, found.stderr
    return board


ONE = {"package": "one", "config": "one", "bundle": "one", "active": ""}


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck has no wheel for this machine")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_linter_has_no_complaint(name: str) -> None:
    """What runs as root on other people's machines is held to more than a glance."""
    assert SHELLCHECK
    assert subprocess.run([SHELLCHECK, ROOT / "deploy" / name], capture_output=True, text=True).stdout == ""


def test_everything_is_put_in_its_place_and_started(running: Board) -> None:
    """Package, bundle, checked configuration, then the service; nothing is left behind."""
    assert running.holds == ONE
    asked = [line.split()[:2] for line in running.calls.splitlines()]
    assert [words[0] if words[0] == "apt-get" else " ".join(words) for words in asked] == [
        "systemctl is-active",
        "apt-get",
        "config check",
        "systemctl enable",
        "systemctl restart",
        "systemctl is-active",
    ]
    assert [path.name for path in (running.root / "tmp").iterdir()] == ["calls"]


def test_one_part_can_be_replaced_alone(running: Board) -> None:
    """The former configuration stays beside the new one, and the package is left alone."""
    found = running.install("--deb", running.given("a.deb", "one"), "--config", running.given("c.toml", "two"))
    assert found.returncode == 0, found.stderr
    assert running.holds == ONE | {"config": "two"}
    assert (running.root / "etc/edge-runtime/config.toml.bak").read_text() == "one"


def test_a_refused_configuration_changes_nothing(running: Board) -> None:
    """It is checked before it takes the old one's place, and the old package comes back with it."""
    found = running.install("--deb", running.given("a.deb", "two"), "--config", running.given("c.toml", "refused"))
    assert found.returncode == 1
    assert "the configuration was refused; going back" in found.stderr
    assert "the former daemon runs again" in found.stderr
    assert running.holds == ONE


@pytest.mark.parametrize("part", ["a.deb", "c.toml", "bundle"])
def test_what_does_not_come_up_is_taken_back(running: Board, part: str) -> None:
    """Whichever part is to blame, all that was there before is there again, and runs."""
    texts = {"a.deb": "two", "c.toml": "two", "bundle": "two"} | {part: "bad"}
    words = [running.given(name, text) for name, text in texts.items()]
    found = running.install("--deb", words[0], "--config", words[1], "--bundle", words[2])
    assert found.returncode == 1
    assert "the daemon did not come up; going back" in found.stderr
    assert "the journal" in found.stderr
    assert running.holds == ONE


def test_a_first_installation_that_fails_leaves_no_service(board: Board) -> None:
    """With nothing to go back to, the package stays, stopped, and that is said."""
    found = board.install("--deb", board.given("a.deb", "one"), "--config", board.given("c.toml", "bad"))
    assert found.returncode == 1
    assert "the former package is not known, the new one stays" in found.stderr
    assert board.holds == {"package": "one"}


def test_a_board_that_cannot_be_reached_is_left_alone(board: Board) -> None:
    """One line says so."""
    found = board.install("--deb", board.given("a.deb", "one"), host="nowhere")
    assert found.returncode == 1
    assert found.stderr == "install: nowhere: cannot be reached, or is no Debian; nothing was changed\n"


def test_without_a_package_for_the_board_the_command_that_makes_one_is_named(board: Board) -> None:
    """Nothing is built behind anybody's back."""
    found = board.install()
    assert found.returncode == 2
    assert found.stderr == "install: dist/ has no package for riscv64, run: make deb ARCH=riscv64\n"


def test_a_dry_run_only_says_what_it_would_do(board: Board) -> None:
    """Every command that would change something is printed, none is run."""
    found = board.install("--dry-run", "--deb", board.given("a.deb", "one"), "--bundle", board.given("bundle", "one"))
    assert found.returncode == 0
    assert [line.split()[0] for line in found.stdout.splitlines()] == ["'scp'"] * 3 + ["'ssh'"] * 2
    assert board.holds == {}
    assert board.calls == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "/nonexistent"], "--config: /nonexistent is no file"),
        (["--bundle", "/nonexistent"], "--bundle: /nonexistent has no bundle.toml"),
        (["--deb", "/nonexistent"], "--deb: /nonexistent is no file"),
        (["--fast"], "usage: install.sh [--deb FILE]"),
        (["--deb"], "usage: install.sh [--deb FILE]"),
        (["another"], "usage: install.sh [--deb FILE]"),
    ],
)
def test_a_wrong_word_is_named(board: Board, words: list[str], message: str) -> None:
    """Before anything is copied."""
    found = board.install(*words, host="board" if words != ["--deb"] else "--deb")
    assert found.returncode == 2
    assert message in found.stderr
