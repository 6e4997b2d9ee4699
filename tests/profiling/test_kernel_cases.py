"""The list of typical calls."""

from __future__ import annotations

import numpy as np

from edge_runtime import kernels
from edge_runtime.profiling.kernel_cases import kernel_cases

# A case's first word, where it is not the kernel's own name; and what is no kernel.
CLASSES = {"gate": "Gate", "feature": "FeatureCoder", "latent": "LatentCoder"}
NO_KERNELS = {
    "PATTERNS", "BackendInfo", "CumulativeSum", "Decision", "FeaturePlan", "FeatureStep", "Geometry", "LatentPlan",
    "Pattern", "Threshold", "TopK", "Uncertainty", "backend", "patch_count", "use",
}  # fmt: skip


def test_every_kernel_has_a_case():
    """A new one must be profiled too."""
    named = {CLASSES.get(word, word) for word in (case.name.split()[0] for case in kernel_cases())}

    assert named == set(kernels.__all__) - NO_KERNELS


def test_every_case_gives_the_same_in_c_and_numpy():
    """Each call has the state of the backend that it was made in."""
    for case in kernel_cases():
        answers = []
        for backend in dict.fromkeys([kernels.backend().name, "reference"]):
            with kernels.use(backend):
                answers.append(plain(case.make()()))
        assert answers[0] == answers[-1], case.name


def plain(answer):
    """Arrays as bytes."""
    if isinstance(answer, np.ndarray):
        return answer.tobytes()
    return tuple(map(plain, answer)) if isinstance(answer, tuple) else answer


def test_costs_follow_from_the_sizes():
    """The gate reads logits and attention and moves patches; a resize multiplies every tap."""
    cases = {case.name: case for case in kernel_cases()}

    assert len(cases) == len(kernel_cases())
    assert cases["softmax of 1000"].bytes == 2 * 4000
    assert cases["normalise 224×224"].bytes == 224 * 224 * 3 * 5
    assert cases["frame 500×375 → 224"].operations > 2 * 3 * 224 * 224 * 12
    assert all(case.bytes > 0 and case.operations >= 0 for case in cases.values())
