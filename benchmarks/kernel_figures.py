"""Tables of the kernels: how far each is from what the core can do, its instructions, the feature coder's stages."""

from __future__ import annotations

from typing import Any

from result_files import read

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def performance_tables() -> list[Table]:
    """Those of docs/performance.md."""
    return [ceiling_table(), limit_table(), instruction_table(), stage_table(), (SHARE_HEAD, share_rows())]


CEILINGS = {
    "copy_in_cache": "copy, in cache",
    "triad_in_cache": "triad, in cache",
    "copy_beyond": "copy, beyond",
    "triad_beyond": "triad, beyond",
    "floats": "float multiply-adds",
    "products": "16-bit multiply-adds",
}


def ceiling_table() -> Table:
    """What the core can do in each set, and the best set's loops beside plain ones."""
    found, checked = read("kernel_limits.json")["ceilings"], read("ceilings.json")["ceilings"]
    head = ("limit", *(row["isa"] for row in found), f"{read('ceilings.json')['isa']} ÷ plain loop")
    rows = []
    for key, name in CEILINGS.items():
        unit = "Gop/s" if key in {"floats", "products"} else "GB/s"
        ratio = "{ratio:.2f} ({spread[0]:.2f} to {spread[1]:.2f})".format(**checked[name]) if name in checked else ""
        rows.append((f"{name}, {unit}", *(f"{row[key] / 1e9:.0f}" for row in found), ratio))
    return head, rows


def limit_table() -> Table:
    """One row per kernel: the scalar source and the best set against copy and arithmetic."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read("kernel_limits.json")["kernels"]:
        rows.setdefault(row["kernel"], []).append(row)
    head = ("kernel", "scalar: of copy; of arithmetic", "best set", "× scalar", "of copy; of arithmetic", "spread")
    return head, [_limit_row(kernel, sets) for kernel, sets in rows.items()]


AS_FAST = 1.05
"""Of sets that are no more than this apart, the first one counts as the best."""


def _limit_row(kernel: str, sets: list[dict[str, Any]]) -> tuple[str, ...]:
    by_isa = {row["isa"]: row for row in sets}
    isas = [row["isa"] for row in read("kernel_limits.json")["ceilings"]]
    scalar, fastest = by_isa["scalar"], min(row["p50_us"] for row in sets)
    best = next(by_isa[isa] for isa in isas if by_isa[isa]["p50_us"] <= AS_FAST * fastest)
    faster = scalar["p50_us"] / best["p50_us"]
    return (
        f"`{kernel}`",
        _shares(scalar),
        f"{best['isa']}, {best['p50_us']:.3g} µs",
        f"{faster:.2f}",
        _shares(best),
        f"{best['spread']:.0%}",
    )


def _shares(row: dict[str, Any]) -> str:
    arithmetic = f"{100 * row['share_of_arithmetic']:.2g}%" if row["operations"] else "none"
    return f"{100 * row['share_of_copy']:.2g}%; {arithmetic}"


def instruction_table() -> Table:
    """One row per kernel: instructions of a call in every set of both machines."""
    kernels = read("instructions.json")["kernels"]
    isas = list(dict.fromkeys(isa for row in kernels.values() for isa in row))
    isas.sort(key=lambda isa: not isa.startswith("x86"))
    head = ("kernel", *(isa.replace("aarch64", "ARM").replace("x86-64", "x86") for isa in isas), "best ÷ scalar on ARM")
    rows = []
    for kernel, row in kernels.items():
        counts = [row[isa] for isa in isas]
        shown = ("=" if i and count == counts[i - 1] else f"{count:,}" for i, count in enumerate(counts))
        rows.append((f"`{kernel}`", *shown, f"{_fewest(row) / row['aarch64 scalar']:.2f}"))
    return head, rows


def _fewest(row: dict[str, int]) -> int:
    return min(count for isa, count in row.items() if isa.startswith("aarch64"))


COUNTED = {"gate": "gate", "feature_encode": "FF encode", "feature_decode": "FF decode"}
PROFILE = "`make bench-profile`"


def board_rows() -> list[tuple[str, str, str]]:
    """What the README says of ARM and of profiles: name, figures, command."""
    kernels, profiles = read("instructions.json")["kernels"], read("profile_repeats.json")
    repeats, planted = profiles["repeats"], profiles["planted"]
    ratios = [_fewest(kernels[name]) / kernels[name]["aarch64 scalar"] for name in COUNTED]
    runs = [abs(ratio - 1) for ratio in repeats["median_ratio_of_runs"]]
    found, rows = (sum(case[key] for case in planted) for key in ("flagged", "rows"))
    alarms = len(repeats["false_alarms"]) + sum(len(case["false_alarms"]) for case in planted)
    return [
        (
            f"instructions on ARM, vector code ÷ what gcc makes of the scalar source: {'; '.join(COUNTED.values())}",
            "; ".join(f"{ratio:.2f}" for ratio in ratios),
            "`make count-aarch64`",
        ),
        (
            "`profile` of kernels, one run against the one before: furthest median ratio from 1; rows within 10 %",
            f"{max(runs):.1%}; {repeats['rows_within_10_percent']:.1%} of {repeats['rows']}",
            PROFILE,
        ),
        (
            "`profile --compare`: rows with a fifth more work that are flagged; verdicts without a reason",
            f"{found} of {rows}; {alarms}",
            PROFILE,
        ),
    ]


SAMPLERS = {"random": "select_random", "grid": "sample_grid", "jittered-grid": "sample_grid_jittered"}


def sampling_table() -> Table:
    """What a device that only samples does to a photo, by pattern."""
    kernels = read("instructions.json")["kernels"]
    gathered = f"{_fewest(kernels['gather_sampled']):,}"
    head = ("pattern", "instructions to sample 49 of 196 patches", "to gather them")
    return head, [(f"`{pattern}`", f"{_fewest(kernels[name]):,}", gathered) for pattern, name in SAMPLERS.items()]


TYPICAL = [40, 28, 28], "many"
ENCODING = 6
"""So many stages encode, the others decode."""


def stage_table() -> Table:
    """Each stage against memcpy and the arithmetic limit: on one map per instruction set, on all maps for the best."""
    cases = read("stages.json")["cases"]
    isas = list(dict.fromkeys(case["isa"] for case in cases))
    typical = [case["stages"] for case in cases if (case["shape"], case["activity"]) == TYPICAL]
    best = [case["stages"] for case in cases if case["isa"] == isas[-1]]
    head = ("stage", *(f"{isa} ÷ memcpy" for isa in isas), f"{isas[-1]}, all maps", f"of the limit: {'; '.join(isas)}")
    rows = []
    for i, stage in enumerate(typical[-1]):
        medians = [stages[i]["times_memcpy"][1] for stages in best]
        rows.append(
            (
                f"`{stage['stage']}`",
                *("{1:.3g} ({0:.3g} to {2:.3g})".format(*stages[i]["times_memcpy"]) for stages in typical),
                f"{min(medians):.3g} to {max(medians):.3g}",
                "; ".join(
                    f"{stages[i]['share_of_limit'][1]:.0%}" for stages in typical if "share_of_limit" in stages[i]
                ),
            )
        )
    return head, rows


SHARE_HEAD = (
    "map",
    "levels not zero",
    "encoding: load, transform, mix, quantise, code, rANS",
    "decoding: rANS, uncode, dequantise, mix, transform, store",
    "cycles per symbol: put; take",
)


def share_rows() -> list[tuple[str, ...]]:
    """Where the time goes with the best instruction set, and what a symbol costs the entropy coder."""
    cases = read("stages.json")["cases"]
    rows = []
    for case in cases:
        if case["isa"] != cases[-1]["isa"]:
            continue
        times = [stage["cycles_per_value"][1] * stage["values"] for stage in case["stages"]]
        put, take = (stage["cycles_per_value"] for stage in case["stages"][ENCODING - 1 : ENCODING + 1])
        rows.append(
            (
                "×".join(map(str, case["shape"])),
                f"{case['nonzero']:.0%}",
                *(
                    ", ".join(f"{100 * time / sum(half):.0f}" for time in half) + " %"
                    for half in (times[:ENCODING], times[ENCODING:])
                ),
                "; ".join(f"{median:.1f} ({low:.1f} to {high:.1f})" for low, median, high in (put, take)),
            )
        )
    return rows
