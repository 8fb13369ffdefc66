"""Disjoint parts of the prompts, by the hash of the prompt's text.

No seed and no state: a prompt's part depends on its text and on the fractions alone. So a prompt
that is added or removed moves no other, and comparisons, demonstrations and evaluation that are
split apart from each other can never share a prompt.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

from overopt.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("sft", "rm", "rm_validation", "ppo", "evaluation")


def assign_split(prompt: str, fractions: dict[str, float]) -> str:
    """Part of a prompt: sha256(prompt) as a number in [0, 1) against the cumulative fractions.

    The parts take up [0, 1) in the order of `PARTS`. `fractions` has one share per part.

    Raises
    ------
    UserError: a part is missing or unknown, a fraction is negative or not finite, or their sum is
    not 1 within 1e-9.
    """
    return _part_at(_position(_digest(prompt)), _upper_edges(fractions))


def split_prompts(prompts: Iterable[str], fractions: dict[str, float]) -> "pd.DataFrame":
    """Part of every distinct prompt, ordered by hash: shuffled, whatever the order of the input.

    Returns
    -------
    Columns prompt, split (str); as many rows as there are distinct prompts.

    Raises
    ------
    UserError: as `assign_split`.
    """
    import pandas as pd  # Snakemake counts prompts as it parses; it needs no table for that

    edges = _upper_edges(fractions)
    by_digest = sorted((_digest(prompt), prompt) for prompt in set(prompts))
    columns = {
        "prompt": [prompt for _, prompt in by_digest],
        "split": [_part_at(_position(digest), edges) for digest, _ in by_digest],
    }
    return pd.DataFrame(columns, dtype="str")


def require_every_part(frame: "pd.DataFrame") -> None:
    """Refuse a split (columns prompt, split) in which a part of `PARTS` has no prompt.

    Raises
    ------
    UserError: names the empty parts and the number of prompts.
    """
    present = set(frame["split"])
    empty = [part for part in PARTS if part not in present]
    if empty:
        raise UserError(
            f"splits: no prompt fell into {', '.join(map(repr, empty))}: there are"
            f" {len(frame):,} distinct prompts, and each of the {len(PARTS)} parts needs at least"
            " one. Give more prompts, or a larger fraction to the empty parts."
        )


def _digest(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode("utf-8")).digest()


def _position(digest: bytes) -> float:
    # 53 bits are what a float holds exactly: 64 could round up to 1.0, outside of [0, 1).
    return (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53


def _part_at(position: float, edges: list[float]) -> str:
    return PARTS[bisect_right(edges, position)]


def _upper_edges(fractions: dict[str, float]) -> list[float]:
    _check_fractions(fractions)
    shares = [fractions[part] for part in PARTS]
    edges = [min(edge, 1.0) for edge in accumulate(shares)]
    # The sum may fall short of 1 by a rounding error: the last part that has a share takes the gap.
    last = max(index for index, share in enumerate(shares) if share > 0)
    return edges[:last] + [1.0] * (len(PARTS) - last)


def _check_fractions(fractions: dict[str, float]) -> None:
    expected = f"Expected one fraction for each of {', '.join(PARTS)}, with the sum 1."
    unknown = sorted(set(fractions) - set(PARTS))
    missing = [part for part in PARTS if part not in fractions]
    if unknown or missing:
        raise UserError(f"split fractions: unknown {unknown}, missing {missing}. {expected}")
    wrong = {part: share for part, share in fractions.items() if not 0 <= share < math.inf}
    if wrong:
        raise UserError(f"split fractions: {wrong} is not between 0 and 1. {expected}")
    total = math.fsum(fractions.values())
    if abs(total - 1) > 1e-9:
        raise UserError(f"split fractions: the sum is {total:.12g}. {expected}")
