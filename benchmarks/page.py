"""The tables of docs/performance.md, made from the results; the prose around them is by hand.

A table stands between `<!-- NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Spread

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
Results = dict[str, Any]


def fill(page: str, results: Results) -> str:
    """The page with every table anew whose sections were measured."""

    def table(match: re.Match[str]) -> str:
        name = match.group(1)
        if not all(section in results for section in SECTIONS_OF[name]):
            return match.group(0)
        return f"<!-- {name} -->\n\n{TABLES[name](results)}\n\n<!-- end -->"

    return re.sub(r"<!-- ([a-z_]+) -->.*?<!-- end -->", table, page, flags=re.DOTALL)


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def times(measured: Spread | None) -> str:
    """A ratio with its range."""
    if measured is None:
        return "not measured"
    return f"**{measured['median']:.2f}** ({measured['min']:.2f} to {measured['max']:.2f})"


def thousands(measured: Spread) -> str:
    """A rate in thousands with its range."""
    low, middle, high = (measured[name] / 1e3 for name in ("min", "median", "max"))  # type: ignore[literal-required]
    digits = 2 if middle < 1 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def verdict(medians: Sequence[float], target: float) -> str:
    """Whether all reach the target, some, or none."""
    reached = sum(value >= target for value in medians)
    if reached == len(medians):
        return "yes"
    return "no" if reached == 0 else f"{reached} of {len(medians)}"


def _range(values: Sequence[float], form: str) -> str:
    low, high = min(values), max(values)
    return form.format(low) if len(values) == 1 else f"{form.format(low)} to {form.format(high)}"


def _medians(rows: Sequence[dict[str, Any]], key: str = "ratio") -> list[float]:
    return [row[key]["median"] for row in rows if key in row]


def summary(results: Results) -> str:
    """Every row of the design's table of targets."""
    rows: list[list[str]] = []
    for size in ("small", "large"):
        chosen = [row for row in results["sampler"]["rows"] if row["policy"] == size]
        rows.append(
            _row(
                f"sampler, {size} policy, against `generate`", _medians(chosen), chosen[0]["target"]
            )
        )
    rows.append(_of_rows("PPO, episodes, against TRL's PPO trainer", results["ppo"]))
    rows.append(
        _of_rows("RM training, pairs, against TRL's RewardTrainer", results["reward_model"])
    )
    for kind in ("scoring", "RM training", "fine-tuning"):
        chosen = [row for row in results["matmul_share"]["rows"] if row["work"] == kind]
        shares = [100 * value for value in _medians(chosen, "share")]
        target = 100 * chosen[0]["target"]
        name = f"{kind}, share of the fp32 matrix product"
        rows.append([name, f"{target:.0f}%", _range(shares, "{:.0f}%"), verdict(shares, target)])
    estimator = results["best_of_n"]
    seconds = estimator["curve_seconds"]["median"]
    rows.append(
        [
            f"best-of-n, 1,000 x 12,600 responses, a curve's {estimator['num_ns']} values of n",
            "under 1 s",
            f"{seconds:.2f} s",
            _yes(seconds < estimator["target"]),
        ]
    )
    every = estimator["every_n_seconds"]["median"]
    rows.append(
        ["the same, every n from 1 to 12,600", "under 1 s", f"{every:.2f} s", _yes(every < 1)]
    )
    workflow = results["workflow"]
    if "share_outside" in workflow:
        share = workflow["share_outside"]
        rows.append(
            [
                "default study, CPU seconds outside the science",
                "under 20%",
                f"{100 * share:.1f}%",
                _yes(share < workflow["target_share"]),
            ]
        )
    for point in workflow["planning"]:
        if point["target_seconds"]:
            wall, target = point["wall_seconds"], point["target_seconds"]
            rows.append(
                [
                    f"`snakemake -n`, {point['jobs']:,} jobs",
                    f"{target:.0f} s",
                    f"{wall:.1f} s ({point['cpu_seconds']:.1f} CPU s)",
                    _yes(wall < target),
                ]
            )
    return markdown(["what", "at least", "measured", "reached"], rows)


def _row(name: str, ratios: list[float], target: float) -> list[str]:
    return [name, f"{target:.1f}x", _range(ratios, "{:.2f}x"), verdict(ratios, target)]


def _of_rows(name: str, result: dict[str, Any]) -> list[str]:
    ratios = _medians(result["rows"])
    if not ratios:
        return [name, f"{result['rows'][0]['target']:.1f}x", "not measured", "-"]
    return _row(name, ratios, result["rows"][0]["target"])


def _yes(is_reached: bool) -> str:
    return "yes" if is_reached else "no"


def sampler(results: Results) -> str:
    """Tokens per CPU second."""
    rows = [
        [
            row["policy"],
            f"{row['batch']:,}",
            thousands(row["ours"]),
            thousands(row["generate"]),
            f"{row['continuous'] / 1e3:.1f}" if "continuous" in row else "-",
            times(row["ratio"]),
            f"{row['logprob_error']:.0e}",
        ]
        for row in results["sampler"]["rows"]
    ]
    header = ["policy", "batch", "ours, 1,000 tokens/s", "`generate`", "`generate_batch`"]
    return markdown([*header, "ours / `generate`", "largest log-prob error"], rows)


def ppo(results: Results) -> str:
    """Episodes per CPU second, and the phases."""
    rows = []
    for row in results["ppo"]["rows"]:
        for name, key in (("ours", "ours"), ("TRL, PPO", "trl_ppo"), ("TRL, RLOO", "trl_rloo")):
            if key not in row:
                continue
            side = row[key]
            phases = side.get("milliseconds", {})
            cells = [
                f"{phases[phase]:.0f}" if phase in phases else "-"
                for phase in ("rollout", "score", "update", "evaluation")
            ]
            episodes = side["episodes"]
            label = f"{name} {side['version']}" if "version" in side else name
            rows.append(
                [
                    f"{row['policy']}, {row['reward_model']}",
                    label,
                    f"{episodes['median']:.0f} ({episodes['min']:.0f} to {episodes['max']:.0f})",
                    *cells,
                    f"{side['response_length']:.1f}",
                    times(row.get("ratio")) if key == "trl_ppo" else "",
                ]
            )
    header = ["policy, proxy RM", "", "episodes/s", "rollout ms", "score ms", "update ms"]
    return markdown([*header, "evaluation ms", "mean length", "ours / PPO of TRL"], rows)


def reward_model(results: Results) -> str:
    """Pairs per CPU second."""
    rows = [
        [
            row["size"],
            thousands(row["ours"]),
            thousands(row["trl"]) if "trl" in row else "-",
            times(row.get("ratio")),
        ]
        for row in results["reward_model"]["rows"]
    ]
    return markdown(["reward model", "ours, 1,000 pairs/s", "TRL", "ours / TRL"], rows)


def matmul_share(results: Results) -> str:
    """Share of the matrix product."""
    rows = [
        [
            row["work"],
            row["model"],
            f"{row['num_parameters']:,}",
            f"{row['gflops']['median']:.0f}",
            f"{row['peak_gflops']['median']:.0f}",
            times(row["share"]),
            f"{row['done']:.2f}",
            f"{row['share']['median'] * row['done']:.2f}",
        ]
        for row in results["matmul_share"]["rows"]
    ]
    head = ["work", "model", "parameters", "GFLOP/s", "peak", "share", "of it done", "busy"]
    return markdown(head, rows)


def best_of_n(results: Results) -> str:
    """CPU seconds of the estimator."""
    result = results["best_of_n"]
    curve, every = result["curve_seconds"], result["every_n_seconds"]
    return markdown(
        ["what", "CPU seconds"],
        [
            [
                f"ours, {result['num_ns']} values of n",
                f"{curve['median']:.2f} ({curve['min']:.2f} to {curve['max']:.2f})",
            ],
            ["ours, every n", f"{every['median']:.2f} ({every['min']:.2f} to {every['max']:.2f})"],
            [
                f"straightforward, {result['num_ns']} values of n (from "
                f"{result['straightforward_timed_values']} timed)",
                f"{result['straightforward_seconds']:,.0f}",
            ],
            ["largest difference of the two", f"{result['largest_difference']:.0e}"],
        ],
    )


def stages(results: Results) -> str:
    """CPU seconds of the default study."""
    result = results["workflow"]
    if "stages" not in result:
        return "No finished study was at hand."
    total = result["cpu_seconds"]
    rows = [
        [
            row["stage"],
            f"{row['jobs']:.0f}",
            f"{row['cpu_seconds']:.0f}",
            f"{row['startup_cpu_seconds']:.1f}",
            f"{100 * row['startup_cpu_seconds'] / row['cpu_seconds']:.0f}%",
        ]
        for row in result["stages"]
    ]
    for name, key in (
        ("Snakemake itself", "scheduling_seconds"),
        ("processes before and after what they record", "unrecorded_seconds"),
    ):
        seconds = result[key]
        rows.append([name, "", f"{seconds:.0f}", f"{seconds:.1f}", "100%"])
    outside, share = result["outside_seconds"], 100 * result["share_outside"]
    rows.append(
        ["**all**", f"{result['num_jobs']}", f"{total:.0f}", f"{outside:.1f}", f"**{share:.1f}%**"]
    )
    return markdown(["stage", "jobs", "CPU s", "of it outside the science", "share"], rows)


def starts(results: Results) -> str:
    """CPU seconds of process starts and imports."""
    result = results["workflow"]
    by_script = sorted(result["starts"].items(), key=lambda item: -item[1]["median"])
    by_import = sorted(result["imports"].items(), key=lambda item: -item[1]["median"])
    rows = [
        [
            *_start(by_script, index, lambda name: f"`{name}`"),
            *_start(by_import, index, lambda name: "Python" if name == "pass" else f"`{name}`"),
        ]
        for index in range(max(len(by_script), len(by_import)))
    ]
    return markdown(["script, `--help`", "CPU s", "import", "CPU s, Python included"], rows)


def _start(
    items: Sequence[tuple[str, Spread]], index: int, label: Callable[[str], str]
) -> list[str]:
    if index >= len(items):
        return ["", ""]
    name, seconds = items[index]
    return [label(name), f"{seconds['median']:.2f}"]


def planning(results: Results) -> str:
    """`snakemake -n`."""
    rows = [
        [
            f"{point['jobs']:,}",
            f"{point['wall_seconds']:.1f}",
            f"{point['cpu_seconds']:.1f}",
            f"{point['target_seconds']:.0f} s" if point["target_seconds"] else "-",
        ]
        for point in results["workflow"]["planning"]
    ]
    return markdown(["jobs", "wall s", "CPU s", "target"], rows)


def growth(results: Results) -> str:
    """Exponents of cost."""
    rows = [
        [
            curve["axis"],
            curve["work"],
            f"{curve['x'][0]:,.0f} to {curve['x'][-1]:,.0f}",
            f"{curve['seconds'][0]:.3g} to {curve['seconds'][-1]:.3g}",
            f"{curve['exponent']:.2f}",
            f"{curve['upper_exponent']:.2f}",
        ]
        for curve in results["growth"]["curves"]
    ]
    header = ["against", "work", "range", "CPU s", "exponent", "upper half"]
    return markdown(header, rows)


def machine(results: Results) -> str:
    """When and where each section was measured."""
    rows = []
    for name in _ALL:
        measured = results[name]["measured"]
        rows.append(
            [
                name,
                measured["finished"].replace("T", " ").replace("+00:00", " UTC"),
                f"{measured['processor']}, {measured['cores']} cores",
                f"torch {measured['torch']}, transformers {measured['transformers']}",
                f"{measured['load'][0]} to {measured['load'][1]}",
                f"`{measured['commit'][:7]}`",
            ]
        )
    return markdown(["section", "finished", "machine", "versions", "load", "commit"], rows)


TABLES: dict[str, Callable[[Results], str]] = {
    table.__name__: table
    for table in (
        summary,
        sampler,
        ppo,
        reward_model,
        matmul_share,
        best_of_n,
        stages,
        starts,
        planning,
        growth,
        machine,
    )
}
_ALL = ("sampler", "ppo", "reward_model", "matmul_share", "best_of_n", "workflow", "growth")
SECTIONS_OF: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in TABLES},
    **{name: ("workflow",) for name in ("stages", "starts", "planning")},
    "summary": _ALL[:-1],
    "machine": _ALL,
}
