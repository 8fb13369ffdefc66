"""
Curves: score against KL along one optimization, in one tidy schema for all methods.

One row per evaluation prompt and point of the curve:

- the cell: CELL_KEYS of `overopt.config.cells`;
- the point: n or step, as the method numbers its points, the other is null;
- prompt_id, 0 .. Q - 1, the same prompts in every cell;
- kl (nats per sequence, response tokens only); beside it kl_k1 (PPO only), the sampled log-ratio,
  and kl_estimate (best-of-n only), which accounts for repeated responses where kl is the formula;
- proxy_score, gold_score, human_score: means over this prompt's responses (raw, not
  recalibrated); human_score is the embedded world's hidden utility, else null;
- response_length (RL only): mean length of this prompt's responses, in tokens;
- gold_proxy_covariance, proxy_variance (RL only): over this prompt's responses, unbiased, raw. Gold
  rises along the KL-optimal path while the covariance is above 0.

KL, proxy and gold of one row are measured on the same responses.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.cells import Run
from overopt.config.methods import METHODS
from overopt.errors import UserError

# What a method may measure. To add a column, add its name here and tell it above.
MEASUREMENTS = (
    *("kl", "kl_k1", "kl_estimate", "proxy_score", "gold_score", "human_score"),
    *("response_length", "gold_proxy_covariance", "proxy_variance"),
)


def evaluation_prompts(prompts: Path, num_prompts: int) -> list[str]:
    """The prompts every curve is measured on: the first of the evaluation part.

    The table is in the order of the prompts' hashes, which is a random order.

    Raises
    ------
    UserError
        Where the part has fewer prompts.
    """
    table = pd.read_parquet(prompts)
    part = table.loc[table["split"] == "evaluation", "prompt"].tolist()
    if len(part) < num_prompts:
        raise UserError(
            f"best_of_n.num_prompts: {num_prompts}, but the evaluation part has {len(part)} "
            "prompts; lower it or raise splits.evaluation"
        )
    return part[:num_prompts]


def curve_table(
    run: Run,
    num_parameters: int,
    points: list[int],
    measurements: dict[str, np.ndarray],
) -> pd.DataFrame:
    """Rows of one cell, from measurements of shape (number of points, number of prompts).

    `measurements` has kl and any others of MEASUREMENTS; those it has not are null. Raises
    UserError for any other name.
    """
    unknown = ", ".join(sorted(measurements.keys() - set(MEASUREMENTS)))
    if unknown:
        raise UserError(
            f"a curve has no column for {unknown}; expected some of {', '.join(MEASUREMENTS)}. Add "
            "the name to MEASUREMENTS in overopt.methods.curves, or do not return it"
        )
    is_numbered_by_n = METHODS[run.method].point == "n"
    num_points, num_prompts = measurements["kl"].shape
    point = pd.array(np.repeat(points, num_prompts), dtype="Int64")
    missing = pd.array([pd.NA] * len(point), dtype="Int64")
    unmeasured = np.full((num_points, num_prompts), np.nan)
    return pd.DataFrame(
        {
            **run.columns(num_parameters),
            "n": point if is_numbered_by_n else missing,
            "step": missing if is_numbered_by_n else point,
            "prompt_id": np.tile(np.arange(num_prompts), num_points),
            **{name: measurements.get(name, unmeasured).ravel() for name in MEASUREMENTS},
        }
    )
