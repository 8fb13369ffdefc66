"""
Run time of the jobs of a study, in minutes: what rules declare as `runtime`, for a cluster.

One function a rule, with the names and arguments of `overopt.memory`. A cluster kills a job that
takes longer, while one that ends early costs nothing.
"""

from overopt.study import Study

_STATISTICS = 10
_MODELS = 30


def demonstrations(study: Study) -> int:
    """Prompts and demonstrations, of the embedded world or from files."""
    return _STATISTICS


def human_comparisons(study: Study) -> int:
    """Human comparisons, judged in the embedded world or from files."""
    return _MODELS


def policy(study: Study, policy_size: str) -> int:
    """Supervised fine-tuning of a policy."""
    return _MODELS


def backbone(study: Study, proxy_size: str) -> int:
    """Pre-training of a proxy RM's backbone."""
    return _MODELS


def gold_rm(study: Study) -> int:
    """Training of the gold RM."""
    return _MODELS


def synthetic_responses(study: Study) -> int:
    """Sampling of the pairs that the gold RM labels."""
    return _MODELS


def synthetic_comparisons(study: Study) -> int:
    """Labelling of the pairs by the gold RM."""
    return _MODELS


def proxy_rm(study: Study, proxy_size: str) -> int:
    """Training of a proxy RM."""
    return _MODELS


def pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's pool."""
    return _MODELS


def pool_gold_scores(study: Study) -> int:
    """Scores of a pool by the gold RM."""
    return _MODELS


def best_of_n(study: Study, proxy_size: str) -> int:
    """Scores of a pool by a proxy RM."""
    return _MODELS


def deep_pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's deep pool."""
    return _MODELS


def deep_best_of_n(study: Study) -> int:
    """Scores of a deep pool by a proxy RM and by gold."""
    return _MODELS


def ppo(study: Study, policy_size: str) -> int:
    """PPO, to its last iteration."""
    return _MODELS


def fits(study: Study) -> int:
    """Fits with their bootstrap; claims and the comparison with the paper need as much."""
    return _MODELS


def forms(study: Study) -> int:
    """Rival forms of the law with their bootstrap."""
    return _MODELS


def figures(study: Study) -> int:
    """All figures."""
    return _MODELS


def of_pool_table(study: Study, base: float, per_response: float) -> int:
    """Statistics on a table with a row a response: so many seconds, and for each."""
    return _STATISTICS
