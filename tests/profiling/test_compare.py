"""Two profiles side by side."""

from __future__ import annotations

import msgspec
import pytest

from edge_runtime.profiling import compare


def verdict(old, new):
    """On the one kernel of two profiles."""
    (found,) = [one for one in compare.compare(old, new).verdicts if one.key.startswith("softmax")]
    return found


@pytest.mark.parametrize(
    ("seconds", "judgement"), [(1e-5, "same"), (1.05e-5, "same"), (1.2e-5, "slower"), (8e-6, "faster")]
)
def test_a_row_is_judged_beyond_the_tolerance(made_up, rows, seconds, judgement):
    """20 % are seen, 5 % are not held against anybody."""
    old, new = (made_up(kernels=(rows.kernel(seconds=taken),)) for taken in (1e-5, seconds))

    found = verdict(old, new)

    assert found.judgement == judgement
    assert found.ratio == pytest.approx(seconds / 1e-5)
    assert found.low < found.ratio < found.high


def test_a_row_that_is_not_known_well_is_not_judged(made_up, rows):
    """20 % more, but within what chance explains."""
    found = [msgspec.structs.replace(rows.kernel(), timing=rows.timing(taken, narrow=0.15)) for taken in (1e-5, 1.2e-5)]

    assert verdict(*(made_up(kernels=(row,)) for row in found)).judgement == "same"


def test_a_clock_that_changed_is_not_a_kernel_that_changed(made_up, rows):
    """Twice the seconds, and as many cycles."""
    slow = msgspec.structs.replace(rows.timing(2e-5), quick=rows.timing(1e-5).quick)
    old, new = (
        made_up(kernels=(rows.kernel(),)),
        made_up(kernels=(msgspec.structs.replace(rows.kernel(), timing=slow),)),
    )

    assert verdict(old, new).judgement == "same"


def test_seconds_are_compared_where_one_side_has_no_cycles(made_up, rows):
    """A profile without the compiled kernels beside one with them."""
    bare = msgspec.structs.replace(rows.kernel(), timing=rows.timing(2e-5, unit="seconds"))

    found = verdict(made_up(kernels=(rows.kernel(),)), made_up(kernels=(bare,)))

    assert (found.judgement, found.ratio) == ("slower", pytest.approx(2))


def test_rows_that_only_one_side_has(made_up, rows):
    """New ones and those that are gone, also ones that no longer run."""
    old = made_up(kernels=(rows.kernel("a"),), models=(rows.model(),), pipelines=())
    new = made_up(kernels=(rows.kernel("b"),), models=(rows.model(None, error="gone"),), pipelines=(rows.pipeline(),))

    found = {one.key: one.judgement for one in compare.compare(old, new).verdicts}

    assert found == {
        "b [native avx2]": "new",
        "attention: JPEG decode": "new",
        "attention: model": "new",
        "a [native avx2]": "gone",
        "net-litert.bin [litert ×1]": "gone",
    }


def test_the_text_names_what_changed_and_another_machine(made_up, rows):
    """The same rows are only counted."""
    old = made_up()
    other = msgspec.structs.replace(old.fingerprint, governor="performance")
    new = made_up(fingerprint=other, kernels=(rows.kernel(seconds=2e-5), *old.kernels[1:]))

    lines = compare.text(compare.compare(old, new)).splitlines()

    assert lines[0] == "warning: another machine or software: governor: ondemand → performance"
    assert lines[1].startswith("slower ")
    assert lines[1].endswith("softmax of 1000 [native avx2]")
    assert lines[2].startswith("4 rows the same")
    assert len(lines) == 3


def test_on_a_disturbed_machine_rows_scatter_and_the_tolerance_grows(made_up, rows):
    """Twenty rows by a fifth either way, one of them by twice as much, and one by five times."""
    factors = [1.2, 1 / 1.2] * 10 + [1.4, 5.0]
    old = made_up(kernels=tuple(rows.kernel(str(n)) for n in range(len(factors))))
    new = made_up(kernels=tuple(rows.kernel(str(n), seconds=1e-5 * factor) for n, factor in enumerate(factors)))

    found = compare.compare(old, new)

    assert 0.4 < found.tolerance < 1.0
    assert [one.key for one in found.slower] == ["21 [native avx2]"]


def test_a_quiet_machine_sees_one_kernel_among_many(made_up, rows):
    """One of twenty that takes a fifth longer."""
    old = made_up(kernels=tuple(rows.kernel(str(n)) for n in range(20)))
    new = made_up(kernels=(*old.kernels[:-1], rows.kernel("19", seconds=1.2e-5)))

    found = compare.compare(old, new)

    assert found.tolerance == compare.TOLERANCE
    assert [one.key for one in found.slower] == ["19 [native avx2]"]


def test_all_kernels_slower_is_no_scatter(made_up, rows):
    """They moved together: every row is flagged."""
    old, new = (made_up(kernels=tuple(rows.kernel(str(n), seconds=s) for n in range(20))) for s in (1e-5, 1.3e-5))

    assert len(compare.compare(old, new).slower) == 20
