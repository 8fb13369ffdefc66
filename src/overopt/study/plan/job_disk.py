"""Bytes that each kind of job leaves on disk: for good, for its readers, or while it runs."""

from dataclasses import dataclass

from overopt.config.model import CheckpointSettings
from overopt.study.plan.compute import gold_compute, policy_compute, proxy_compute
from overopt.study.plan.shapes import gold_shape, policy_shape, proxy_shape, shape_of_checkpoint
from overopt.study.plan.sizes import (
    CURVE_POINT,
    POOL_TOKEN_ON_DISK,
    SCORE_ON_DISK,
    TOKEN_ON_DISK,
    model_bytes,
    state_bytes,
)
from overopt.study.plan.texts import (
    deep_pool_texts,
    num_demonstrations,
    num_human_comparisons,
    num_synthetic_comparisons,
    pool_texts,
    texts,
)
from overopt.study.study import Study

RECORDS = 3e4
"""Record, log, metrics, tokenizer and Snakemake's own note of a job; measured: 20 to 40 kB."""
NUM_POINTS = 25
"""Points of a curve, about."""
BYTES_OF_TEXT = 2.0
"""Of a token as text in a compressed table; assumed, English of about four bytes a token."""


@dataclass(frozen=True)
class Disk:
    """Bytes of one job's files.

    Attributes
    ----------
    kept : until the study is deleted.
    temporary : until the last job that reads them is done.
    scratch : only while the job runs: what a training resumes from.
    """

    kept: float
    temporary: float = 0.0
    scratch: float = 0.0

    @staticmethod
    def of(size: float, is_kept: bool, scratch: float = 0.0) -> "Disk":
        """Files of this size, kept or temporary; the job's record is kept always."""
        kept, temporary = (size, 0.0) if is_kept else (0.0, size)
        return Disk(RECORDS + kept, temporary, scratch)


def of_statistics(study: Study, rule: str) -> Disk:
    """Of a job without a model: tables."""
    words = _tokens(study) * BYTES_OF_TEXT
    curves = len(study.curves()) * _curve(study)
    sizes = {
        "hub_data": (num_demonstrations(study) + 2 * num_human_comparisons(study)) * 2 * words,
        "demonstrations": num_demonstrations(study) * words,
        "human_comparisons": 2 * num_human_comparisons(study) * words,
        "tilted": _curve(study),
        "fits": 3 * curves,
        "figures": 8e6,
    }
    return Disk(RECORDS + sizes.get(rule, 0.0))


def published_checkpoint(study: Study, published: CheckpointSettings) -> Disk:
    """A checkpoint as the project writes its own."""
    size = model_bytes(shape_of_checkpoint(study, published.checkpoint))
    return Disk.of(size, keeps(study, "checkpoints"))


def policy(study: Study, policy_size: str) -> Disk:
    """An initial policy."""
    shape = policy_shape(study, policy_size)
    scratch = state_bytes(shape, policy_compute(study, policy_size))
    return Disk.of(model_bytes(shape), is_kept=True, scratch=scratch)


def backbone(study: Study, proxy_size: str) -> Disk:
    """A backbone, which the proxy RMs of its size and seed read and nothing else."""
    shape = proxy_shape(study, proxy_size)
    scratch = state_bytes(shape, proxy_compute(study, proxy_size))
    return Disk.of(model_bytes(shape), keeps(study, "backbones"), scratch)


def gold_rm(study: Study) -> Disk:
    """The gold RM."""
    shape = gold_shape(study)
    return Disk.of(model_bytes(shape), True, state_bytes(shape, gold_compute(study)))


def proxy_rm(study: Study, proxy_size: str) -> Disk:
    """A proxy RM."""
    shape = proxy_shape(study, proxy_size)
    scratch = state_bytes(shape, proxy_compute(study, proxy_size))
    return Disk.of(model_bytes(shape), keeps(study, "proxy_rms"), scratch)


def synthetic_responses(study: Study) -> Disk:
    """Pairs of responses."""
    pairs = texts(study, 2 * num_synthetic_comparisons(study))
    return Disk(RECORDS + TOKEN_ON_DISK * pairs.num_tokens)


def synthetic_comparisons(study: Study) -> Disk:
    """The same with their labels."""
    pairs = texts(study, 2 * num_synthetic_comparisons(study))
    return Disk(RECORDS + TOKEN_ON_DISK * pairs.num_tokens + SCORE_ON_DISK * pairs.number)


def pool(study: Study) -> Disk:
    """A pool."""
    size = TOKEN_ON_DISK * pool_texts(study).num_response_tokens
    return Disk.of(size, keeps(study, "pools"))


def scores(study: Study) -> Disk:
    """Scores of a pool by one reward model."""
    return Disk(RECORDS + SCORE_ON_DISK * pool_texts(study).number)


def best_of_n(study: Study) -> Disk:
    """Scores and the curve."""
    return Disk(RECORDS + SCORE_ON_DISK * pool_texts(study).number + _curve(study))


def deep_pool(study: Study) -> Disk:
    """A deep pool, at the full length of every response."""
    responses = deep_pool_texts(study)
    per_response = POOL_TOKEN_ON_DISK * responses.longest_response + 6
    return Disk.of(responses.number * per_response, keeps(study, "pools"))


def deep_best_of_n(study: Study) -> Disk:
    """A curve."""
    return Disk(RECORDS + _curve(study))


def ppo(study: Study, policy_size: str) -> Disk:
    """A curve, and the policy that PPO ended with."""
    shape = policy_shape(study, policy_size)
    scratch = state_bytes(shape, policy_compute(study, policy_size))
    size = model_bytes(shape)
    if keeps(study, "ppo_policies"):
        return Disk(RECORDS + size + _curve(study), scratch=scratch)
    return Disk(RECORDS + _curve(study), scratch=scratch + size)  # nothing reads it


def keeps(study: Study, name: str) -> bool:
    """Whether the study keeps these files, by `keep` of the config."""
    return bool(getattr(study.keep, name))


def _curve(study: Study) -> float:
    return NUM_POINTS * study.best_of_n.num_prompts * CURVE_POINT


def _tokens(study: Study) -> float:
    return texts(study, 1).length
