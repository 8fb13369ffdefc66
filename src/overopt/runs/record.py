"""
What a file of somebody's run holds, in one form: a curve over steps or n, or scored samples.

Every reader returns these. KL is in nats per sequence (per response, summed over its tokens)
wherever `kl` is not None; what the file held, and how it was converted, stands in `KLSource`.
Imports neither torch nor pandas' readers: a log is read in a second.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]
Estimator = Literal["exact", "k1", "k2", "k3", "formula", "unknown"]
Unit = Literal["sequence", "token", "unknown"]


@dataclass(frozen=True)
class KLSource:
    """How the KL of a run was measured and what was done to it.

    Attributes
    ----------
    key : the key or column of the file it was read from.
    unit : unit in the file: nats per sequence, or per token.
    estimator : k1 is the mean log-ratio, k2 half its square, k3 exp(-x) - 1 + x for log-ratio x
        (http://joschu.net/blog/kl-approx.html); "formula" is best-of-n's log n - (n - 1) / n.
    conversion : what was done to get nats per sequence; empty where nothing was.
    doubts : what may be wrong with it, one sentence each (clamped tokens, padding that counts,
        a temperature other than 1).
    is_exact_conversion : False where the conversion is right only for tokens of equal KL.
    """

    key: str
    unit: Unit
    estimator: Estimator
    conversion: str = ""
    doubts: tuple[str, ...] = ()
    is_exact_conversion: bool = True


@dataclass
class RunCurve:
    """One run: the proxy score, KL and whatever else was logged, along its steps or n.

    Attributes
    ----------
    name : of the run, for sentences and file names.
    format : which reader read it, in words ("TRL RLOO, trainer_state.json").
    point : "step" or "n".
    points : (T,), strictly rising.
    proxy : (T,), mean score of the reward that was optimized.
    kl : (T,), nats per sequence from the initial policy; None where the file has none that counts.
    kl_source : where `kl` came from; None with `kl`.
    gold : (T,), mean score that was not optimized and that the user trusts (a second reward of
        weight 0, a verifier, labels); None where there is none.
    others : further series (T,), NaN where a step has none, under the field's plain names:
        response_length (tokens), truncated (share), entropy (nats per token), reward_sd,
        zero_variance_groups (share), heldout:<name> (mean of another reward).
    per_prompt : kl, proxy and gold of each prompt, arrays (T, Q), where the file has them; they
        give intervals over prompts.
    keys : role -> key of the file, what was found.
    notes : what a reader of the result has to know, one sentence each.
    missing : why `kl` or `gold` is None, one sentence each, with what to do.
    """

    name: str
    format: str
    point: Literal["step", "n"]
    points: Array
    proxy: Array
    kl: Array | None = None
    kl_source: KLSource | None = None
    gold: Array | None = None
    others: dict[str, Array] = field(default_factory=dict[str, Array])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    per_prompt: dict[str, Array] = field(default_factory=dict[str, Array])


@dataclass
class ScoredSamples:
    """Scored responses, several to a prompt: the only record that gives intervals over prompts.

    Attributes
    ----------
    table : one row a response. Columns: prompt_id (int, 0 .. Q - 1), response_id (int, equal for
        equal responses to one prompt), row (number of the row in the file), proxy, and where the
        file has them gold, log_ratio (log pi - log pi_ref of the response, nats), length (tokens or
        characters, as `keys` says), step (checkpoint).
    """

    name: str
    format: str
    table: pd.DataFrame
    keys: dict[str, str] = field(default_factory=dict[str, str])
    notes: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])


RunRecord = RunCurve | ScoredSamples
