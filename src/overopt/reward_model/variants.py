"""
What scores in place of a proxy RM, by the variant of its cell.

`overopt.config.variants` lists the variants; `overopt.reward_model.variant_training` trains them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch

from overopt.config.cells import ProxyRM
from overopt.config.variants import VARIANTS
from overopt.errors import UserError
from overopt.jobs.plugins import resolve
from overopt.reward_model.ensemble import load_ensemble, mean
from overopt.reward_model.scorer import Ids, Scorer, load_scorer

Load = Callable[[Path, Path, torch.device | None], Scorer]
"""Function from the proxy's folder, that of the policy's tokenizer and a device to a scorer."""


def _load_ensemble_mean(folder: Path, tokenizer_dir: Path, device: torch.device | None) -> Scorer:
    return load_ensemble(folder, tokenizer_dir, device, mean)


LOADS: dict[str, Load] = {
    "plain": load_scorer,
    "ensemble_mean": _load_ensemble_mean,
    "weight_average": load_scorer,
}
"""The project's own variants."""


def load_proxy(
    proxy_rm: ProxyRM, folder: Path, tokenizer_dir: Path, device: torch.device | None = None
) -> Scorer:
    """Load what scores for this proxy RM, for responses in the ids of a policy's tokenizer.

    Without a device it is on the GPU of this job, if it has one.

    Raises
    ------
    UserError
        A folder holds no reward model or no tokenizer, or a plugin's variant is no `Scorer`.
    """
    if (own := LOADS.get(proxy_rm.variant)) is not None:
        return own(folder, tokenizer_dir, device)
    place = VARIANTS[proxy_rm.variant].load
    scorer = resolve(place, ("folder", "tokenizer_dir", "device"))(folder, tokenizer_dir, device)
    missing = [n for n in ("num_parameters", "score", "to") if not hasattr(scorer, n)]
    if missing:
        raise UserError(
            f"{place}: returned a {type(scorer).__name__} without {', '.join(missing)}; expected a "
            "Scorer (overopt.reward_model.scorer)"
        )
    return _CheckedScorer(place, cast(Scorer, scorer))


class _CheckedScorer:
    """A plugin's scorer whose scores are checked before anything optimizes against them."""

    def __init__(self, place: str, scorer: Scorer) -> None:
        self._place = place
        self._scorer = scorer

    @property
    def num_parameters(self) -> int:
        return self._scorer.num_parameters

    def score(self, prompt_ids: Ids, response_ids: Ids) -> np.ndarray:
        scores = np.asarray(self._scorer.score(prompt_ids, response_ids))
        if scores.shape != (len(response_ids),):
            raise UserError(
                f"{self._place}: score returned the shape {scores.shape} for {len(response_ids)} "
                "responses; expected one number for each"
            )
        if not np.isfinite(scores).all():
            bad = int((~np.isfinite(scores)).sum())
            raise UserError(
                f"{self._place}: {bad} of {len(scores)} scores are not finite; expected numbers"
            )
        return scores.astype(np.float32)

    def to(self, device: torch.device) -> None:
        self._scorer.to(device)
