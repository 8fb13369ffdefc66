"""
Run time of the jobs of a study, in minutes: what rules declare as `runtime`, for a cluster.

One function a rule, with the names and arguments of `overopt.study.plan.memory`. Three times the
time that `overopt.study.plan` expects, and at least ten minutes: a cluster kills a job that takes
longer, while one that ends early costs nothing. A rule whose jobs differ declares the longest that
the config has.
"""

import math

from overopt.study.plan import job_seconds
from overopt.study.study import Study

FACTOR = 3.0
SHORTEST = 10


def demonstrations(study: Study) -> int:
    """Prompts and demonstrations, of the embedded world or from files."""
    return _minutes(job_seconds.demonstrations(study))


def human_comparisons(study: Study) -> int:
    """Human comparisons, judged in the embedded world or from files."""
    return _minutes(job_seconds.human_comparisons(study))


def policy(study: Study, policy_size: str) -> int:
    """Supervised fine-tuning of a policy."""
    return _minutes(job_seconds.policy(study, policy_size))


def backbone(study: Study, proxy_size: str) -> int:
    """Pre-training of a proxy RM's backbone."""
    return _minutes(job_seconds.backbone(study, proxy_size))


def gold_rm(study: Study) -> int:
    """Training of the gold RM."""
    return _minutes(job_seconds.gold_rm(study))


def synthetic_responses(study: Study) -> int:
    """Sampling of the pairs that the gold RM labels."""
    return _minutes(job_seconds.synthetic_responses(study))


def synthetic_comparisons(study: Study) -> int:
    """Labelling of the pairs by the gold RM."""
    return _minutes(job_seconds.synthetic_comparisons(study))


def proxy_rm(study: Study, proxy_size: str) -> int:
    """Training of a proxy RM on the most data, for the most epochs, that a sweep gives it."""
    longest = max(
        (
            (max(sweep.values("num_comparisons")), max(sweep.values("num_epochs")))
            for sweep in study.grid.sweeps.values()
            if proxy_size in sweep.values("proxy_size")
        ),
        key=math.prod,
        default=(study.synthetic_comparisons.num_comparisons, 1),
    )
    return _minutes(job_seconds.proxy_rm(study, proxy_size, *longest))


def pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's pool."""
    return _minutes(job_seconds.pool(study, policy_size))


def pool_gold_scores(study: Study) -> int:
    """Scores of a pool by the gold RM."""
    return _minutes(job_seconds.pool_gold_scores(study))


def best_of_n(study: Study, proxy_size: str) -> int:
    """Scores of a pool by a proxy RM."""
    return _minutes(job_seconds.best_of_n(study, proxy_size))


def deep_pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's deep pool."""
    return _minutes(job_seconds.deep_pool(study, policy_size))


def deep_best_of_n(study: Study) -> int:
    """Scores of a deep pool by the largest proxy RM and by gold."""
    return _minutes(max(job_seconds.deep_best_of_n(study, size) for size in study.proxy_sizes))


def ppo(study: Study, policy_size: str) -> int:
    """PPO against the largest proxy RM, to its last iteration."""
    return _minutes(max(job_seconds.ppo(study, policy_size, size) for size in study.proxy_sizes))


def fits(study: Study) -> int:
    """Fits with their bootstrap; claims and the comparison with the paper need as much."""
    return _minutes(job_seconds.claims(study))


def forms(study: Study) -> int:
    """Rival forms of the law with their bootstrap."""
    return _minutes(job_seconds.forms(study))


def figures(study: Study) -> int:
    """All figures."""
    return _minutes(job_seconds.figures(study))


def of_pool_table(study: Study, base: float, per_response: float) -> int:
    """A job of statistics on a table with a row a response: so many seconds, and for each."""
    num_responses = study.best_of_n.num_prompts * study.best_of_n.num_responses
    return _minutes(base + per_response * num_responses)


def _minutes(seconds: float) -> int:
    return max(SHORTEST, math.ceil(FACTOR * seconds / 60))
