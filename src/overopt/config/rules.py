"""The rules of the workflow: the scripts that each runs, and the stage whose cost it is part of."""

from dataclasses import dataclass

ANALYSIS = "fits, claims, figures, report"


@dataclass(frozen=True)
class Rule:
    """One rule of `workflow/rules/`.

    Attributes
    ----------
    stage : part of the study under which its cost is told.
    scripts : of `workflow/scripts/`, by the config one or another.
    folder : the folder of results that it writes to, where another rule runs the same script.
    """

    stage: str
    scripts: tuple[str, ...]
    folder: str = ""


RULES = {
    "published_checkpoint": Rule("published checkpoints", ("published_checkpoint.py",)),
    "hub_data": Rule("human data", ("hub_data.py",)),
    "demonstrations": Rule("human data", ("embedded_demonstrations.py", "file_demonstrations.py")),
    "human_comparisons": Rule("human data", ("embedded_comparisons.py", "file_comparisons.py")),
    "policy": Rule("policies", ("train_language_model.py",), "policies"),
    "gold_rm": Rule("gold RM", ("train_gold_rm.py", "published_gold_rm.py", "utility_gold_rm.py")),
    "synthetic_responses": Rule("synthetic comparisons", ("synthetic_responses.py",)),
    "synthetic_comparisons": Rule("synthetic comparisons", ("synthetic_comparisons.py",)),
    "backbone": Rule("proxy RMs", ("train_language_model.py",), "backbones"),
    "proxy_rm": Rule("proxy RMs", ("train_proxy_rm.py",)),
    "pool": Rule("best-of-n", ("pool.py",)),
    "pool_gold_scores": Rule("best-of-n", ("pool_gold_scores.py",)),
    "best_of_n": Rule("best-of-n", ("best_of_n.py",)),
    "tilted": Rule("best-of-n", ("tilted.py",)),
    "gold_ceiling": Rule("best-of-n", ("gold_ceiling.py",)),
    "deep_pool": Rule("large-n best-of-n", ("deep_pool.py",)),
    "deep_best_of_n": Rule("large-n best-of-n", ("deep_best_of_n.py",)),
    "ppo": Rule("PPO", ("ppo.py",)),
    "method": Rule("other RL and plugins", ("method.py",)),
    "feature_correlations": Rule(ANALYSIS, ("feature_correlations.py",)),
    "fits": Rule(ANALYSIS, ("fits.py",)),
    "forms": Rule(ANALYSIS, ("forms.py",)),
    "claims": Rule(ANALYSIS, ("claims.py",)),
    "paper_comparison": Rule(ANALYSIS, ("paper_comparison.py",)),
    "compare_methods": Rule(ANALYSIS, ("compare_methods.py",)),
    "figures": Rule(ANALYSIS, ("figures.py",)),
    "table_01": Rule(ANALYSIS, ("table_01.py",)),
    "table_02": Rule(ANALYSIS, ("table_02.py",)),
    "report_run": Rule(ANALYSIS, ("report_run.py",)),
    "report_tables": Rule(ANALYSIS, ("report_tables.py",)),
}
"""Every rule by its name, in the order of the workflow, but for targets, which make nothing."""


def stage_of(script: str, record: str) -> str:
    """The stage of a job, by its script and its record's path from the study's folder on.

    A script that no rule runs counts as analysis.
    """
    for rule in RULES.values():
        if script in rule.scripts and record.startswith(rule.folder):
            return rule.stage
    return ANALYSIS
