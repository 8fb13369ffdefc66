"""The responses that humans compare: samples of the initial policy, of any writer, and loops.

The mixture is what lets the gold RM know more than the proxies: they only ever see samples of the
policy, while humans have also judged careless writers and degenerate texts.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from overopt.data.world.writers import Writer, degenerate, write
from overopt.errors import UserError

_SHARE_OF_DEMONSTRATORS = 0.3  # of the writers; the others come from the wide population
_DEMONSTRATOR_SPREAD = 1.0
_WIDE_SPREAD = 3.0


def write_candidates(
    prompts: Sequence[str],
    policy_answers: Callable[[npt.NDArray[np.intp]], Sequence[str]],
    policy_share: float,
    writer_share: float,
    rng: np.random.Generator,
) -> list[str]:
    """Draw one candidate per prompt from the mixture of policy, writers and degenerate texts.

    Independently for each prompt: with probability `policy_share` the policy's response, with
    `writer_share` a writer (30% of spread 1, 70% of spread 3), else a degenerate text.
    `policy_answers` is called once, with the positions of the prompts that the policy answers, in
    order.

    Raises
    ------
    UserError
        If the shares are no probabilities.
    """
    writer_bound = policy_share + writer_share
    if min(policy_share, writer_share) < 0 or writer_bound > 1 + 1e-9:
        raise UserError(
            f"candidate mixture: policy_share {policy_share} and writer_share {writer_share} must"
            " not be negative and add up to at most 1 (the rest is degenerate texts); correct them"
        )
    sources = rng.random(len(prompts))
    answers = iter(policy_answers(np.flatnonzero(sources < policy_share)))
    return [
        next(answers) if source < policy_share else _written(prompt, source < writer_bound, rng)
        for prompt, source in zip(prompts, sources, strict=True)
    ]


def _written(prompt: str, is_by_writer: bool, rng: np.random.Generator) -> str:
    if not is_by_writer:
        return degenerate(prompt, rng)
    is_demonstrator = rng.random() < _SHARE_OF_DEMONSTRATORS
    spread = _DEMONSTRATOR_SPREAD if is_demonstrator else _WIDE_SPREAD
    return write(Writer.sample(rng, spread), prompt, rng)
