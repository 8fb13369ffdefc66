"""What the job of a method that changes the policy reads and writes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MethodFiles:
    """Files and folders of one job.

    Attributes
    ----------
    prompts : read; all prompts with their part of the split.
    policy_dir : read; the initial policy with its tokenizer.
    proxy_rm_dir : read; the proxy RM that is optimized against.
    gold_rm_dir : read; the gold RM that only measures.
    curve : written; score against KL, by `overopt.methods.curves.curve_table`.
    iterations : written; metrics of each iteration, as CSV.
    model_dir : written; the final policy and metrics.json.
    """

    prompts: Path
    policy_dir: Path
    proxy_rm_dir: Path
    gold_rm_dir: Path
    curve: Path
    iterations: Path
    model_dir: Path
