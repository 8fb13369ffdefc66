"""
Seconds of each job of a study on one core: one function a rule, named as it.

Texts are counted as the jobs read and write them. Jobs of analysis, which run no model, take a
base and a time per curve and replicate of the bootstrap.
"""

import math

from overopt.data_config import EmbeddedDataConfig
from overopt.plan.machines import CpuCore, Texts
from overopt.plan.shapes import ModelShape, policy_shape, proxy_shape
from overopt.study import Study

_CORE = CpuCore()
_PROMPT_SHARE = 1.0
_RESPONSE_SHARE = 0.54
"""Mean lengths in the embedded world, as shares of `text`: 10 of 10 and 13 of 24 tokens."""
_ASSUMED_SHARE = 0.6
"""The same of other texts, which nobody has counted before they are read: assumed."""
_ANALYSIS_START = 1.0
"""Python, pandas and scipy."""


def demonstrations(study: Study) -> float:
    """Prompts and demonstrations."""
    number = _num_demonstrations(study)
    return _ANALYSIS_START + 3e-5 * number


def human_comparisons(study: Study) -> float:
    """Human comparisons: in the embedded world sampled, written and judged."""
    gold = study.gold_rm
    number = gold.num_comparisons + gold.num_validation
    if not isinstance(study.data, EmbeddedDataConfig):
        return _ANALYSIS_START + 1e-4 * number
    sampled = _texts(study, 2 * number * study.data.candidates.policy_share)
    policy = policy_shape(study, study.main_policy)
    return _CORE.start + 2e-4 * number + _CORE.sampling(policy, sampled)


def policy(study: Study, policy_size: str) -> float:
    """Supervised fine-tuning of a policy."""
    config = study.policies[policy_size]
    shape = policy_shape(study, policy_size)
    return _language_model(study, shape, config.batch_size, config.num_epochs)


def backbone(study: Study, proxy_size: str) -> float:
    """Pre-training of a proxy RM's backbone."""
    shape = proxy_shape(study, proxy_size)
    return _language_model(study, shape, study.backbone.batch_size, study.backbone.num_epochs)


def gold_rm(study: Study) -> float:
    """Training of the gold RM."""
    gold = study.gold_rm
    shape = policy_shape(study, gold.backbone)
    return _reward_model(
        study, shape, gold.num_comparisons, gold.num_validation, gold.num_epochs, gold.batch_size
    )


def synthetic_responses(study: Study) -> float:
    """Sampling of the pairs that the gold RM labels."""
    pairs = _texts(study, 2 * _num_synthetic(study))
    return _sampling(policy_shape(study, study.comparison_policy), pairs)


def synthetic_comparisons(study: Study) -> float:
    """Labelling of the pairs by the gold RM."""
    return _scoring(_gold_shape(study), _texts(study, 2 * _num_synthetic(study)))


def proxy_rm(study: Study, proxy_size: str, num_comparisons: int, num_epochs: int) -> float:
    """Training of a proxy RM on so many comparisons."""
    num_validation = study.synthetic_comparisons.num_validation
    shape, batch_size = proxy_shape(study, proxy_size), study.proxy_rm.batch_size
    return _reward_model(study, shape, num_comparisons, num_validation, num_epochs, batch_size)


def pool(study: Study, policy_size: str) -> float:
    """Sampling of a policy's pool."""
    return _sampling(policy_shape(study, policy_size), _pool(study))


def pool_gold_scores(study: Study) -> float:
    """Scores of a pool by the gold RM."""
    return _scoring(_gold_shape(study), _pool(study))


def best_of_n(study: Study, proxy_size: str) -> float:
    """Scores of a pool by a proxy RM, and the estimate for every n."""
    return _scoring(proxy_shape(study, proxy_size), _pool(study))


def deep_pool(study: Study, policy_size: str) -> float:
    """Sampling of a policy's deep pool."""
    return _sampling(policy_shape(study, policy_size), _deep_pool(study))


def deep_best_of_n(study: Study, proxy_size: str) -> float:
    """Scores of a deep pool by a proxy RM, of its first responses and the best also by gold."""
    deep = study.deep_best_of_n
    proxy = _scoring(proxy_shape(study, proxy_size), _deep_pool(study))
    by_gold = _texts(study, deep.num_prompts * deep.num_scored_responses)
    return proxy + _CORE.reading(_gold_shape(study), by_gold)


def ppo(study: Study, policy_size: str, proxy_size: str) -> float:
    """PPO to its last iteration; runs that reach `stop_kl` before take less."""
    config = study.ppo
    policy, proxy = policy_shape(study, policy_size), proxy_shape(study, proxy_size)
    episodes = _texts(study, config.batch_size)
    logits = episodes.num_response_tokens
    rollout = (
        _CORE.sampling(policy, episodes)
        + 2 * _CORE.reading(policy, episodes, logits)
        + _CORE.reading(proxy, episodes)
    )
    update = _CORE.training(
        policy, episodes.times(config.num_ppo_epochs), config.num_ppo_epochs, logits
    )
    measured = _texts(study, study.best_of_n.num_prompts * config.num_evaluation_responses)
    evaluation = (
        _CORE.sampling(policy, measured)
        + 2 * _CORE.reading(policy, measured, measured.num_response_tokens)
        + _CORE.reading(proxy, measured)
        + _CORE.reading(_gold_shape(study), measured)
    )
    evaluations = config.num_iterations / config.evaluate_every + (
        math.sqrt(config.stop_kl) / config.evaluate_at_sqrt_kl
    )
    return _CORE.start + config.num_iterations * (rollout + update) + evaluations * evaluation


def analysis(study: Study) -> float:
    """Fits; forms, claims and figures take up to four times as long."""
    num_curves = len(study.best_of_n_runs()) + len(study.ppo_runs())
    return _ANALYSIS_START + 15e-6 * num_curves * study.analysis.num_bootstrap


def _texts(study: Study, number: float) -> Texts:
    shares = (_PROMPT_SHARE, _RESPONSE_SHARE) if study.is_embedded else (_ASSUMED_SHARE,) * 2
    text = study.text
    return Texts(number, shares[0] * text.max_prompt_tokens, shares[1] * text.max_response_tokens)


def _num_demonstrations(study: Study) -> int:
    """Of files it is not known before they are read: as many as comparisons."""
    if isinstance(study.data, EmbeddedDataConfig):
        return study.data.num_demonstrations
    return study.gold_rm.num_comparisons


def _num_synthetic(study: Study) -> int:
    pairs = study.synthetic_comparisons
    return pairs.num_comparisons + pairs.num_validation


def _pool(study: Study) -> Texts:
    return _texts(study, study.best_of_n.num_prompts * study.best_of_n.num_responses)


def _deep_pool(study: Study) -> Texts:
    return _texts(study, study.deep_best_of_n.num_prompts * study.deep_best_of_n.num_responses)


def _gold_shape(study: Study) -> ModelShape:
    return policy_shape(study, study.gold_rm.backbone)


def _language_model(study: Study, shape: ModelShape, batch_size: int, num_epochs: int) -> float:
    texts = _texts(study, _num_demonstrations(study) * num_epochs)
    num_steps = texts.number / batch_size
    return _CORE.start + _CORE.training(shape, texts, num_steps, texts.num_response_tokens)


def _reward_model(
    study: Study,
    shape: ModelShape,
    num_comparisons: int,
    num_validation: int,
    num_epochs: int,
    batch_size: int,
) -> float:
    """Small data take smaller batches, as `train_on_comparisons` does."""
    batch_size = min(batch_size, max(8, num_comparisons // 16))
    num_steps = num_comparisons * num_epochs / batch_size
    texts = _texts(study, 2 * num_comparisons * num_epochs)
    read = _texts(study, 2 * num_validation)
    return (
        _CORE.start
        + _CORE.text * (num_comparisons + num_validation)
        + _CORE.training(shape, texts, num_steps)
        + _CORE.reading(shape, read)
    )


def _sampling(shape: ModelShape, texts: Texts) -> float:
    return _CORE.start + _CORE.sampling(shape, texts)


def _scoring(shape: ModelShape, texts: Texts) -> float:
    return _CORE.start + _CORE.text * texts.number + _CORE.reading(shape, texts)
