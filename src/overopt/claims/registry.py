"""All claims of the paper that are tested, C1 to C54."""

from overopt.claims import (
    curve_shape,
    functional_form,
    kl_penalty,
    methods,
    policy_size,
    proxy_curves,
    rm_data,
    rm_size,
    scores_and_labels,
    theory,
)
from overopt.claims.verdicts import Claim

CLAIMS: list[Claim] = sorted(
    [
        *curve_shape.CLAIMS,
        *functional_form.CLAIMS,
        *proxy_curves.CLAIMS,
        *rm_size.CLAIMS,
        *rm_data.CLAIMS,
        *policy_size.CLAIMS,
        *methods.CLAIMS,
        *kl_penalty.CLAIMS,
        *theory.CLAIMS,
        *scores_and_labels.CLAIMS,
    ],
    key=lambda claim: int(claim.id[1:]),
)
