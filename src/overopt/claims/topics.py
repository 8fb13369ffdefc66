"""The modules that test claims, one a topic. To add a topic, add its module here."""

from overopt.claims import (
    curve_shape,
    data_threshold,
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
from overopt.claims.registry import registered_claims
from overopt.claims.verdicts import Claim

TOPICS = (
    *(curve_shape, functional_form, proxy_curves, rm_size, rm_data, data_threshold),
    *(policy_size, methods, kl_penalty, theory, scores_and_labels),
)


def all_claims() -> list[Claim]:
    """Every claim that is tested, by number: those of `TOPICS`, and of plugins."""
    return registered_claims()
