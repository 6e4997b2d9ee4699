"""The fingerprint of a process on a machine."""

from __future__ import annotations

import os
import platform

import msgspec
import numpy as np

from edge_runtime import kernels
from edge_runtime.profiling.fingerprint import differences, fingerprint, usable_cores


def test_machine_and_software(pi5):
    """The board from its files, versions and backend from this process."""
    found = fingerprint(pi5)

    assert (found.board, found.cpu) == ("Raspberry Pi 5 Model B Rev 1.0", "4 × Cortex-A76")
    assert found.packages["numpy"] == np.__version__
    assert (found.backend, found.isa) == (kernels.backend().name, kernels.backend().isa)
    assert found.python == platform.python_version()


def test_cores_are_those_that_may_be_used():
    """Not those that the machine has."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_differences_name_what_changed(pi5):
    """Packages one by one, missing ones as None."""
    old = fingerprint(pi5)
    new = msgspec.structs.replace(old, governor="performance", packages={**old.packages, "numpy": "0.1", "added": "1"})

    assert differences(old, old) == []
    assert differences(old, new) == [
        "governor: ondemand → performance",
        f"numpy: {np.__version__} → 0.1",
        "added: None → 1",
    ]
