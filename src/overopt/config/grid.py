"""
The grid: which reward models are trained and which optimizations run against them.

Written once, in the config, as named sweeps (the paper's sections); each is a product of its
axes, and the study is their union, so that a cell two sweeps share is computed once.
"""

import itertools
from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from overopt.config.cells import BestOfNRun, Labels, PPORun, ProxyRM
from overopt.config.strict_model import StrictModel

Method = Literal["best_of_n", "ppo", "deep_best_of_n"]
SweepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Cell = TypeVar("Cell", bound=StrictModel)


class SweepConfig(StrictModel):
    """One sweep of the paper: a product of axes."""

    enabled: bool = Field(default=True, description="Whether the study computes this sweep.")
    methods: list[Method] = Field(min_length=1, description="How the proxy is optimized against.")
    policy_sizes: list[str] = Field(min_length=1, description="Keys of `policies`.")
    proxy_sizes: list[str] = Field(min_length=1, description="Keys of `proxy_sizes`.")
    num_comparisons: list[PositiveInt] = Field(
        min_length=1, description="Synthetic comparisons each proxy RM is trained on."
    )
    num_epochs: list[PositiveInt] = Field(
        default=[1], min_length=1, description="Passes over these comparisons."
    )
    labels: list[Labels] = Field(
        default=["deterministic"],
        min_length=1,
        description="How the gold RM labels: the higher score wins, or a sampled choice.",
    )
    kl_coefs: list[NonNegativeFloat] = Field(
        default=[0.0], min_length=1, description="KL penalties; PPO only."
    )
    seeds: list[NonNegativeInt] | None = Field(
        default=None, min_length=1, description="In place of `grid.seeds`, for this sweep."
    )


class GridConfig(StrictModel):
    """All sweeps and the seeds they are repeated with."""

    seeds: list[NonNegativeInt] = Field(
        min_length=1, description="Seeds of the proxy RMs (backbone, RM, PPO)."
    )
    sweeps: dict[SweepName, SweepConfig] = Field(
        min_length=1, description="Sweeps, by name; each is a target of its own."
    )

    def seeds_of(self, sweep: SweepConfig) -> list[int]:
        """The seeds a sweep is repeated with."""
        return self.seeds if sweep.seeds is None else sweep.seeds

    def _proxy_rms(self, sweep: SweepConfig) -> list[ProxyRM]:
        axes = {
            "proxy_size": sweep.proxy_sizes,
            "labels": sweep.labels,
            "num_comparisons": sweep.num_comparisons,
            "num_epochs": sweep.num_epochs,
            "seed": self.seeds_of(sweep),
        }
        return [
            ProxyRM.model_validate(dict(zip(axes, cell, strict=True)))
            for cell in itertools.product(*axes.values())
        ]

    def _enabled(self, method: Method) -> Iterable[SweepConfig]:
        return (s for s in self.sweeps.values() if s.enabled and method in s.methods)

    def best_of_n_runs(self) -> list[BestOfNRun]:
        """Every best-of-n cell of the enabled sweeps, each once, in the order of the config."""
        return self._best_of_n_runs("best_of_n")

    def deep_best_of_n_runs(self) -> list[BestOfNRun]:
        """Every cell of best-of-n from the deep pool."""
        return self._best_of_n_runs("deep_best_of_n")

    def _best_of_n_runs(self, method: Method) -> list[BestOfNRun]:
        return _distinct(
            BestOfNRun(policy_size=policy, proxy_rm=proxy_rm)
            for sweep in self._enabled(method)
            for policy, proxy_rm in itertools.product(sweep.policy_sizes, self._proxy_rms(sweep))
        )

    def ppo_runs(self) -> list[PPORun]:
        """Every PPO cell of the enabled sweeps, each once, in the order of the config."""
        return _distinct(
            PPORun(policy_size=policy, kl_coef=kl_coef, proxy_rm=proxy_rm)
            for sweep in self._enabled("ppo")
            for policy, kl_coef, proxy_rm in itertools.product(
                sweep.policy_sizes, sweep.kl_coefs, self._proxy_rms(sweep)
            )
        )


def _distinct(cells: Iterable[Cell]) -> list[Cell]:
    return list(dict.fromkeys(cells))
