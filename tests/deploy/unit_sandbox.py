"""Starts a unit's program as systemd would: ``unit_sandbox.py UNIT FOLDER``, in namespaces of its own (unshare).

FOLDER has ``bin``, ``etc``, ``run`` and ``var``, which take the places of /usr/bin, /etc, /run and /var. Of the unit's
sandbox the process gets the filter of system calls and address families, no capability, no new privileges, and no
memory that can be written and executed. Its number stays that of this process.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shlex
import subprocess
import sys
from pathlib import Path

PLACES = {"bin": "/usr/bin", "etc": "/etc", "run": "/run", "var": "/var"}
MS_BIND, MS_REC = 0x1000, 0x4000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 38, 65
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_CMP_EQ = 0x7FFF0000, 0x00050000, 4
LAST_CAPABILITY = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}

libc = ctypes.CDLL(None, use_errno=True)


class Comparison(ctypes.Structure):
    """libseccomp's condition on an argument."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
    )


def settings(unit: Path) -> dict[str, list[str]]:
    """Every key's values, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def calls(group: str) -> set[str]:
    """The system calls of a group, and of the groups in it, by name."""
    command = ["systemd-analyze", "syscall-filter", "--no-pager", group]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = [line.strip() for line in listed.splitlines() if line.startswith("    ") and "#" not in line]
    return set().union(*(calls(name) if name.startswith("@") else {name} for name in names))


def allowed(filters: list[str]) -> set[str]:
    """What a unit's filters leave; @default is always part of it."""
    found = calls("@default")
    for one in filters:
        named = set().union(*(calls(word) for word in one.removeprefix("~").split()))
        found = found - named if one.startswith("~") else found | named
    return found


def bind(folder: Path) -> None:
    """Put the folder's parts in their places; only this process sees them."""
    for name, place in PLACES.items():
        if libc.mount(bytes(folder / name), place.encode(), None, MS_BIND | MS_REC, None):
            raise OSError(ctypes.get_errno(), f"{place}: cannot be replaced")


def confine(names: set[str], families: list[int]) -> None:
    """Give up what the unit gives up; for good."""
    for capability in range(LAST_CAPABILITY + 1):
        _done(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    _done(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(SCMP_ACT_ERRNO | errno.EPERM))
    for name in names - {"socket"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            _done(seccomp.seccomp_rule_add_array(rules, SCMP_ACT_ALLOW, number, 0, None))
    for family in families:
        condition = Comparison(0, SCMP_CMP_EQ, family, 0)
        number = seccomp.seccomp_syscall_resolve_name(b"socket")
        _done(seccomp.seccomp_rule_add_array(rules, SCMP_ACT_ALLOW, number, 1, ctypes.byref(condition)))
    _done(seccomp.seccomp_load(rules))
    _done(libc.prctl(PR_SET_MDWE, 1, 0, 0, 0))


def _done(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno() or -result, "this kernel cannot confine the process")


def main(unit: Path, folder: Path) -> None:
    """Become the unit's program."""
    found = settings(unit)
    names = allowed(found["SystemCallFilter"])
    families = [FAMILIES[name] for name in found["RestrictAddressFamilies"][0].split()]
    bind(folder)
    state = Path("/var/lib") / found["StateDirectory"][0]
    assert found["WorkingDirectory"] == [f"%S/{state.name}"]
    assert (found["CapabilityBoundingSet"], found["MemoryDenyWriteExecute"]) == ([""], ["yes"])
    os.chdir(state)
    environ = dict(word.split("=") for line in found["Environment"] for word in shlex.split(line))
    given = {key: os.environ[key] for key in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    (words,) = (shlex.split(value) for value in found["ExecStart"])
    confine(names, families)
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except PermissionError:
        environ |= given | {"WATCHDOG_PID": str(os.getpid()), "PATH": "/usr/bin"}
        os.execve(words[0], words, environ)  # noqa: S606 - as systemd does
    raise RuntimeError("memory can still be written and executed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
