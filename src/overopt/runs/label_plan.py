"""
Which responses to have judged: winners of best-of-n at several n, where labels tell most.

A label on a random response says little of what optimization reaches. `label_plan` draws winners
of best-of-n at n = 1, 4, 16, ... from a scored pool, each with the weight its n gives it, and
writes them as JSON lines with an empty `gold` to fill in; `overopt fit` reads the judged file.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overopt.errors import UserError
from overopt.runs.curves import RESPONSES_PER_N, pool_matrix
from overopt.runs.record import KLSource, RunCurve, ScoredSamples
from overopt.theory.kl import best_of_n_kl

RATIO = 4  # of neighbouring n


@dataclass(frozen=True)
class Planned:
    """One response to judge: its prompt, the n it won, its row in the pool's table."""

    prompt_id: int
    n: int
    row: int


def plan_labels(samples: ScoredSamples, budget: int, seed: int = 0) -> list[Planned]:
    """Choose winners of best-of-n, spread evenly over n and over prompts.

    Parameters
    ----------
    budget
        Labels that can be had; at least 4 for each n. Each (prompt, n) is drawn at most once, so
        a pool of few prompts gives fewer labels than a large budget would pay for.

    Raises
    ------
    UserError
        The pool is too small, or the budget below 4 for each n.
    """
    proxy = pool_matrix(samples)["proxy"]
    num_prompts, num = proxy.shape
    ns = levels(num // RESPONSES_PER_N)
    if budget < 4 * len(ns):
        raise UserError(f"--budget {budget}: expected at least {4 * len(ns)} (4 for each n)")
    rng = np.random.default_rng(seed)
    table = samples.table
    counts = table.groupby("prompt_id").size()
    kept = counts[counts >= num].index.to_numpy()
    rows = {p: np.flatnonzero(table["prompt_id"].to_numpy() == p)[:num] for p in kept}
    each = min(budget // len(ns), num_prompts)
    plan: list[Planned] = []
    for n in ns:
        for index in rng.permutation(num_prompts)[:each]:
            drawn = rng.choice(num, n, replace=False)
            winner = drawn[np.argmax(proxy[index, drawn])]
            prompt = int(kept[index])
            plan.append(Planned(prompt, n, int(rows[prompt][winner])))
    return plan


def levels(max_n: int) -> list[int]:
    """Values of n that labels are spent on: 1, 4, 16, ... up to `max_n`, which is the last."""
    ns = [1]
    while ns[-1] * RATIO <= max_n:
        ns.append(ns[-1] * RATIO)
    return ns if ns[-1] == max_n or max_n < 2 else [*ns, max_n]


def judged_curve(path: Path) -> RunCurve | None:
    """Read a judged plan back: mean gold of the winners at each n; None for any other file.

    Raises
    ------
    UserError
        Fewer than three n have judged winners, or a gold is no number.
    """
    rows = list(_rows(path))
    if not rows or not all({"n", "proxy", "gold"} <= row.keys() for row in rows):
        return None
    judged = [row for row in rows if row["gold"] not in (None, "")]
    ns = sorted({int(str(row["n"])) for row in judged})
    if len(ns) < 3:
        raise UserError(
            f"{path}: {len(judged)} of {len(rows)} responses are judged, at {len(ns)} values of n; "
            "a curve needs at least three. Fill in `gold` as numbers"
        )
    means = {
        name: [_mean(path, [row[name] for row in judged if str(row["n"]) == str(n)]) for n in ns]
        for name in ("proxy", "gold")
    }
    curve = RunCurve(
        path.stem,
        "judged winners of best-of-n",
        "n",
        np.array(ns, dtype=np.float64),
        np.array(means["proxy"]),
        best_of_n_kl(ns),
        KLSource("n", "sequence", "formula"),
        np.array(means["gold"]),
        keys={"proxy": "proxy", "gold": "gold", "kl": "n"},
    )
    curve.notes.append(f"{len(judged)} of {len(rows)} planned responses are judged")
    return curve


def _mean(path: Path, values: Sequence[object]) -> float:
    try:
        return float(np.mean([float(str(value)) for value in values]))
    except ValueError:
        raise UserError(f"{path}: a gold is no number, among {list(values)[:5]}") from None


def _rows(path: Path) -> Iterator[dict[str, str | float | int | None]]:
    if path.is_dir() or path.suffix != ".jsonl":
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line) if line.strip().startswith("{") else None
            if row is None or "label_id" not in row:
                return
            yield row


def write_plan(samples: ScoredSamples, plan: list[Planned], source: Path, path: Path) -> None:
    """Write the plan as JSON lines, in random order (who judges must not see n): texts of `source`.

    Columns: label_id, prompt, response, proxy, n, gold (null, to be filled in).
    """
    wanted = {planned.row for planned in plan}
    texts = _texts(source, samples, wanted)
    order = np.random.default_rng(len(plan)).permutation(len(plan))
    with path.open("w", encoding="utf-8") as file:
        for number, index in enumerate(order):
            planned = plan[index]
            prompt, response = texts[planned.row]
            proxy = float(samples.table["proxy"].iloc[planned.row])
            row = {"label_id": number, "prompt": prompt, "response": response, "proxy": proxy}
            file.write(json.dumps(row | {"n": planned.n, "gold": None}, ensure_ascii=False) + "\n")


def _texts(
    source: Path, samples: ScoredSamples, rows: set[int]
) -> dict[int, tuple[object, object]]:
    """Prompt and response of these rows of the table, read from the file once more."""
    from overopt.runs.samples import iterate_rows

    keys = samples.keys["prompt"], samples.keys["response"]
    wanted = {int(samples.table["row"].iloc[row]): row for row in rows}
    found: dict[int, tuple[object, object]] = {}
    for number, row in enumerate(iterate_rows(source)):
        if number in wanted:
            found[wanted[number]] = (row[keys[0]], row[keys[1]])
    return found
