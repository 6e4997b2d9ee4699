"""Runs pytest as the unit would have it: no memory can be both written and executed, and there is no Numba.

    python deploy/sandboxed.py tests/daemon tests/systems

What is forbidden stays so for the children, the daemon's processes among them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

import pytest

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


class NoNumba:
    """Finds Numba first, and says that it is not there."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:  # noqa: ARG002 - of `MetaPathFinder`
        """Refuse that one package; of others, nothing is known here."""
        if name.partition(".")[0] == "numba":
            raise ModuleNotFoundError(f"{name} is denied here", name=name)


def main() -> int:
    """Forbid, see that it is forbidden, and test."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_MDWE)")
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except PermissionError:
        pass
    else:
        raise RuntimeError("memory can still be written and executed")
    sys.meta_path.insert(0, NoNumba())  # type: ignore[arg-type]
    # Children must not fall back on it either.
    os.environ["EDGE_RUNTIME_KERNELS"] = "native"
    return pytest.main(["-m", "not long", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
