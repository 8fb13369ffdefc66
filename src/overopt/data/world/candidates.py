"""The responses that humans compare: samples of the initial policy, of any writer, and loops.

The writers are careful, careless or, where a dial says so, exuberant.

The mixture is what lets the gold RM know more than the proxies: they only ever see samples of the
policy, while humans have also judged careless writers and degenerate texts.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from overopt.config.data import CandidateConfig
from overopt.data.world.writers import Writer, degenerate, write
from overopt.errors import UserError

_SHARE_OF_DEMONSTRATORS = 0.3  # of the writers; the others come from the wide population
_DEMONSTRATOR_SPREAD = 1.0
_WIDE_SPREAD = 3.0


def write_candidates(
    prompts: Sequence[str],
    policy_answers: Callable[[npt.NDArray[np.intp]], Sequence[str]],
    shares: CandidateConfig,
    rng: np.random.Generator,
) -> list[str]:
    """Draw one candidate per prompt from the mixture of policy, writers and degenerate texts.

    Independently for each prompt: with probability `policy_share` the policy's response, with
    `writer_share` a writer (30% of spread 1, 70% of spread 3), with `exuberant_share` an exuberant
    one, else a degenerate text. `policy_answers` is called once, with the positions of the prompts
    that the policy answers, in order.

    Raises
    ------
    UserError
        If the shares sum to more than 1.
    """
    writer_bound = shares.policy_share + shares.writer_share
    bounds = (writer_bound, writer_bound + shares.exuberant_share)
    if bounds[-1] > 1 + 1e-9:
        raise UserError(
            f"candidate mixture: policy_share, writer_share and exuberant_share sum to"
            f" {bounds[-1]:.6g}; lower them to 1 or less (the rest is degenerate texts)"
        )
    sources = rng.random(len(prompts))
    answers = iter(policy_answers(np.flatnonzero(sources < shares.policy_share)))
    return [
        next(answers) if source < shares.policy_share else _written(prompt, source, bounds, rng)
        for prompt, source in zip(prompts, sources, strict=True)
    ]


def _written(
    prompt: str, source: float, bounds: tuple[float, float], rng: np.random.Generator
) -> str:
    """Write as a writer below the first bound, exuberantly below the second, else degenerately."""
    if source >= bounds[1]:
        return degenerate(prompt, rng)
    if source >= bounds[0]:
        return write(Writer.exuberant(rng), prompt, rng)
    is_demonstrator = rng.random() < _SHARE_OF_DEMONSTRATORS
    spread = _DEMONSTRATOR_SPREAD if is_demonstrator else _WIDE_SPREAD
    return write(Writer.sample(rng, spread), prompt, rng)
