"""
The study: everything a config describes, checked at the border, and the settings of every job.

Imports no torch, so that Snakemake parses in a second. `read_study` reports all faults of a
config together, each with its key and a remedy.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat

from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.config.best_of_n import BestOfNConfig, BestOfNSettings, PoolScoreSettings, PoolSettings
from overopt.config.cells import BestOfNRun, PPORun, ProxyRM
from overopt.config.compute import ComputeConfig
from overopt.config.data import (
    EmbeddedComparisonSettings,
    EmbeddedDataConfig,
    EmbeddedDemonstrationSettings,
    FileDataConfig,
    FileSettings,
    SplitConfig,
)
from overopt.config.deep_best_of_n import DeepBestOfNConfig, DeepBestOfNSettings, DeepPoolSettings
from overopt.config.figures import FigureSettings
from overopt.config.gold_ceiling import GoldCeilingSettings
from overopt.config.grid import GridConfig
from overopt.config.hub import HubDataConfig, HubSettings
from overopt.config.keep import KeepConfig
from overopt.config.model import CheckpointSettings, ModelConfig
from overopt.config.policy import (
    BackboneConfig,
    LanguageModelSettings,
    SamplingSettings,
)
from overopt.config.ppo import PPOConfig, PPOSettings
from overopt.config.reward_model import (
    GoldRMConfig,
    LabelSettings,
    ProxyRMConfig,
    PublishedGoldRMSettings,
    RewardModelSettings,
    SyntheticComparisonsConfig,
)
from overopt.config.strict_model import StrictModel
from overopt.config.training import OptimizationConfig, TextConfig
from overopt.errors import UserError
from overopt.randomness import job_seed
from overopt.study.checks import faults_between
from overopt.study.faults import parse_sections, printable, refuse_excess
from overopt.study.figure_settings import figure_settings

# They become folders.
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
SizeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$", max_length=32)]
MAX_FAULTS_SHOWN = 50
DataConfig = Annotated[
    EmbeddedDataConfig | FileDataConfig | HubDataConfig, Field(discriminator="source")
]


class PolicyConfig(ModelConfig):
    """One policy: what it starts from, its supervised fine-tuning, its step size under PPO."""

    learning_rate: PositiveFloat = Field(description="Peak learning rate of SFT.")
    batch_size: int = Field(default=64, gt=0, description="Demonstrations per step of SFT.")
    num_epochs: int = Field(
        default=2, ge=0, description="Passes over the demonstrations; 0: the checkpoint as it is."
    )
    ppo_learning_rate: PositiveFloat = Field(description="Learning rate under PPO.")
    compute: ComputeConfig = Field(
        default=ComputeConfig(), description="Keys that differ from `compute` for this policy."
    )


class ProxySizeConfig(ModelConfig):
    """One proxy RM size: what its backbone starts from, and the learning rate of that."""

    learning_rate: PositiveFloat = Field(description="Peak learning rate of LM pre-training.")
    in_trends: bool = Field(
        default=True,
        description="False for sizes too small to leave chance (footnote 3): trends leave them "
        "out, figures 11 and 12 show them.",
    )
    compute: ComputeConfig = Field(
        default=ComputeConfig(), description="Keys that differ from `compute` for this size."
    )


class Study(StrictModel):
    """A whole study. Every key is a section of the config, told in prose in config/README.md."""

    name: StudyName = Field(description="Results are written under results/<name>/ only.")
    seed: NonNegativeInt = Field(description="Every job's seed derives from it and the job's key.")
    data: DataConfig = Field(description="Where prompts, demonstrations and comparisons come from.")
    splits: SplitConfig = Field(description="Disjoint parts of the prompts.")
    text: TextConfig = Field(description="Lengths, in tokens.")
    policies: dict[SizeName, PolicyConfig] = Field(
        min_length=1, description="Policy sizes, by name."
    )
    main_policy: str = Field(description="The policy the proxies' comparisons are sampled from.")
    gold_rm: GoldRMConfig = Field(description="The reward model that stands for the human.")
    synthetic_comparisons: SyntheticComparisonsConfig = Field(description="The proxies' data.")
    proxy_sizes: dict[SizeName, ProxySizeConfig] = Field(
        min_length=1, description="Proxy RM sizes, by name."
    )
    backbone: BackboneConfig = Field(description="Pre-training of the proxy RMs.")
    proxy_rm: ProxyRMConfig = Field(description="Training of the proxy RMs.")
    best_of_n: BestOfNConfig = Field(description="Best-of-n, and the evaluation prompts.")
    deep_best_of_n: DeepBestOfNConfig = Field(
        default=DeepBestOfNConfig(), description="Best-of-n of the sweeps that go deep."
    )
    ppo: PPOConfig = Field(description="PPO.")
    grid: GridConfig = Field(description="Which cells are computed.")
    analysis: AnalysisConfig = Field(description="Fits and intervals.")
    compute: ComputeConfig = Field(
        default=ComputeConfig(), description="How training jobs use the hardware."
    )
    keep: KeepConfig = Field(default=KeepConfig(), description="Large files that stay.")

    @property
    def is_embedded(self) -> bool:
        """Whether the study runs in the embedded world."""
        return isinstance(self.data, EmbeddedDataConfig)

    @property
    def is_of_hub(self) -> bool:
        """Whether the human data comes from the hub, or from a folder in its layout."""
        return isinstance(self.data, HubDataConfig)

    # What the DAG is made of.

    def best_of_n_runs(self) -> list[BestOfNRun]:
        """Every best-of-n cell, with those that recalibration needs for the other cells.

        A curve counts from the initial scores of its own policy and of the main policy under
        the same proxy, which the best-of-n curves of these policies hold at n = 1.
        """
        listed = self.grid.best_of_n_runs()
        return self._with_initial_scores(listed, [*listed, *self.grid.ppo_runs()])

    def main_best_of_n_runs(self) -> list[BestOfNRun]:
        """Best-of-n of the main policy: one per proxy RM that best-of-n optimizes."""
        return [run for run in self.best_of_n_runs() if run.policy_size == self.main_policy]

    def deep_best_of_n_runs(self) -> list[BestOfNRun]:
        """Every cell of deep best-of-n, with those that recalibration needs."""
        listed = self.grid.deep_best_of_n_runs()
        return self._with_initial_scores(listed, listed)

    def _with_initial_scores(
        self, listed: list[BestOfNRun], runs: Sequence[BestOfNRun | PPORun]
    ) -> list[BestOfNRun]:
        needed = [
            BestOfNRun(policy_size=policy_size, proxy_rm=run.proxy_rm)
            for run in runs
            for policy_size in (run.policy_size, self.main_policy)
        ]
        return list(dict.fromkeys([*listed, *needed]))

    def tilted_runs(self) -> list[BestOfNRun]:
        """Cells whose tilted distribution is computed: where PPO runs with a KL penalty."""
        return list(
            dict.fromkeys(
                BestOfNRun(policy_size=run.policy_size, proxy_rm=run.proxy_rm)
                for run in self.ppo_runs()
                if run.kl_coef > 0
            )
        )

    def ppo_runs(self) -> list[PPORun]:
        """Every PPO cell."""
        return self.grid.ppo_runs()

    def proxy_rms(self) -> list[ProxyRM]:
        """Every proxy RM, each once."""
        runs = [*self.best_of_n_runs(), *self.deep_best_of_n_runs()]
        return list(dict.fromkeys(run.proxy_rm for run in runs))

    @property
    def comparison_policy(self) -> str:
        """The policy whose responses the synthetic comparisons compare."""
        return self.synthetic_comparisons.policy or self.main_policy

    def policy_sizes(self) -> list[str]:
        """Every policy that the study trains, the gold RM's backbone included."""
        runs = [*self.best_of_n_runs(), *self.deep_best_of_n_runs(), *self.ppo_runs()]
        used = [run.policy_size for run in runs]
        gold = [self.gold_rm.backbone] if self.gold_rm.backbone is not None else []
        return list(dict.fromkeys([self.main_policy, *gold, self.comparison_policy, *used]))

    @property
    def gold_checkpoint(self) -> CheckpointSettings | None:
        """The published gold RM; None where it is trained here."""
        return self.gold_rm.checkpoint_settings("reward_model")

    def checkpoints(self) -> dict[str, CheckpointSettings]:
        """Every published checkpoint that is used, by the name of its folder."""
        proxy_sizes = {proxy_rm.proxy_size for proxy_rm in self.proxy_rms()}
        models = [self.policies[name] for name in self.policy_sizes()]
        models += [size for name, size in self.proxy_sizes.items() if name in proxy_sizes]
        used = [model.checkpoint_settings("language_model") for model in models]
        used.append(self.gold_checkpoint)
        return {settings.slug: settings for settings in used if settings is not None}

    def of_sweep(self, name: str) -> "Study":
        """The same study with one sweep alone, switched on."""
        sweep = self.grid.sweeps[name].model_copy(update={"enabled": True})
        grid = self.grid.model_copy(update={"sweeps": {name: sweep}})
        return self.model_copy(update={"grid": grid})

    # The hardware of each training job.

    def policy_compute(self, policy_size: str) -> ComputeConfig:
        """Of a policy's training, and of PPO."""
        return self.compute.overridden_by(self.policies[policy_size].compute)

    def gold_rm_compute(self) -> ComputeConfig:
        """Of the gold RM's training: as the policy it starts from."""
        backbone = self.gold_rm.backbone
        return self.compute if backbone is None else self.policy_compute(backbone)

    def proxy_compute(self, proxy_size: str) -> ComputeConfig:
        """Of the training of proxy RMs of this size and of their backbones."""
        return self.compute.overridden_by(self.proxy_sizes[proxy_size].compute)

    # The settings of each job: exactly what it uses, with its own seed.

    def _seed(self, *key: object) -> int:
        return job_seed(self.seed, *key)

    def demonstration_settings(self) -> EmbeddedDemonstrationSettings | FileSettings:
        """Settings of the job that makes or reads prompts and demonstrations."""
        if isinstance(self.data, FileDataConfig | HubDataConfig):
            return FileSettings(splits=self.splits, vocabulary_size=self.data.vocabulary_size)
        return EmbeddedDemonstrationSettings(
            num_demonstrations=self.data.num_demonstrations,
            splits=self.splits,
            seed=self._seed("demonstrations"),
        )

    def hub_settings(self) -> HubSettings:
        """Settings of the job that fetches human data of the hub."""
        if not isinstance(self.data, HubDataConfig):
            raise TypeError("the human data of this study is not of the hub")
        return HubSettings(
            comparisons=self.data.comparisons,
            demonstrations=self.data.demonstrations,
            max_prompt_characters=self.data.max_prompt_characters,
            seed=self._seed("hub_data"),
        )

    def embedded_comparison_settings(self) -> EmbeddedComparisonSettings:
        """Settings of the job that has the embedded world's annotators compare responses."""
        if not isinstance(self.data, EmbeddedDataConfig):
            raise TypeError("comparisons of a study on files are read, not made")
        return EmbeddedComparisonSettings(
            num_comparisons=self.gold_rm.num_comparisons or 0,  # a published one: see study_checks
            num_validation=self.gold_rm.num_validation,
            candidates=self.data.candidates,
            annotators=self.data.annotators,
            text=self.text,
            seed=self._seed("human_comparisons", self.gold_rm.seed),
        )

    def policy_settings(self, policy_size: str) -> LanguageModelSettings:
        """Settings of one policy's supervised fine-tuning."""
        policy = self.policies[policy_size]
        return LanguageModelSettings(
            shape=policy.shape,
            optimization=OptimizationConfig(
                learning_rate=policy.learning_rate,
                batch_size=policy.batch_size,
                num_epochs=policy.num_epochs,
            ),
            text=self.text,
            numerics=self.policy_compute(policy_size).numerics,
            seed=self._seed("policy", policy_size),
        )

    def gold_rm_settings(self) -> RewardModelSettings:
        """Settings of the gold RM's training."""
        gold = self.gold_rm
        if gold.num_comparisons is None or gold.learning_rate is None:
            raise TypeError("a published gold RM is not trained")
        return RewardModelSettings(
            proxy_rm=None,
            num_comparisons=gold.num_comparisons,
            num_validation=gold.num_validation,
            optimization=OptimizationConfig(
                learning_rate=gold.learning_rate,
                batch_size=gold.batch_size,
                num_epochs=gold.num_epochs,
            ),
            text=self.text,
            numerics=self.gold_rm_compute().numerics,
            seed=self._seed("gold_rm", self.gold_rm.seed),
            subset_seed=self._seed("human_comparisons", "subset"),
        )

    def published_gold_rm_settings(self) -> PublishedGoldRMSettings:
        """Settings of the job that measures a published gold RM."""
        return PublishedGoldRMSettings(num_validation=self.gold_rm.num_validation)

    def synthetic_response_settings(self) -> SamplingSettings:
        """Settings of the pairs of responses that the gold RM labels."""
        return SamplingSettings(
            num_responses={
                "rm": self.synthetic_comparisons.num_comparisons,
                "rm_validation": self.synthetic_comparisons.num_validation,
            },
            text=self.text,
            sampler=self.policy_compute(self.comparison_policy).sampler,
            seed=self._seed("synthetic_responses"),
        )

    def label_settings(self) -> LabelSettings:
        """Settings of the gold RM's labels."""
        return LabelSettings(seed=self._seed("synthetic_labels"))

    def backbone_settings(self, proxy_size: str, seed: int) -> LanguageModelSettings:
        """Settings of the pre-training of one proxy RM's backbone."""
        size = self.proxy_sizes[proxy_size]
        return LanguageModelSettings(
            shape=size.shape,
            optimization=OptimizationConfig(
                learning_rate=size.learning_rate,
                batch_size=self.backbone.batch_size,
                num_epochs=self.backbone.num_epochs,
            ),
            text=self.text,
            numerics=self.proxy_compute(proxy_size).numerics,
            seed=self._seed("backbone", proxy_size, seed),
        )

    def proxy_rm_settings(self, proxy_rm: ProxyRM) -> RewardModelSettings:
        """Settings of one proxy RM.

        Within a seed, data sets of different sizes are nested and training differs by them only.
        """
        size = self.proxy_sizes[proxy_rm.proxy_size]
        return RewardModelSettings(
            proxy_rm=proxy_rm,
            num_comparisons=proxy_rm.num_comparisons,
            num_validation=self.synthetic_comparisons.num_validation,
            optimization=OptimizationConfig(
                learning_rate=size.learning_rate * self.proxy_rm.learning_rate_factor,
                batch_size=self.proxy_rm.batch_size,
                num_epochs=proxy_rm.num_epochs,
            ),
            text=self.text,
            numerics=self.proxy_compute(proxy_rm.proxy_size).numerics,
            seed=self._seed("proxy_rm", proxy_rm.proxy_size, proxy_rm.seed),
            subset_seed=self._seed("synthetic_comparisons", "subset", proxy_rm.seed),
        )

    def pool_settings(self, policy_size: str) -> PoolSettings:
        """Settings of one policy's pool of responses."""
        return PoolSettings(
            num_prompts=self.best_of_n.num_prompts,
            num_responses=self.best_of_n.num_responses,
            text=self.text,
            sampler=self.policy_compute(policy_size).sampler,
            seed=self._seed("pool", policy_size),
        )

    def pool_score_settings(self) -> PoolScoreSettings:
        """Settings of a pool's gold scores."""
        return PoolScoreSettings(has_hidden_utility=self.is_embedded)

    def best_of_n_settings(self, run: BestOfNRun) -> BestOfNSettings:
        """Settings of one best-of-n curve."""
        return BestOfNSettings(run=run, max_n=self.best_of_n.max_n)

    def gold_ceiling_settings(self) -> GoldCeilingSettings:
        """Settings of best-of-n by the gold RM."""
        return GoldCeilingSettings(
            max_n=self.best_of_n.max_n, analysis=self.analysis, seed=self._seed("gold_ceiling")
        )

    def deep_pool_settings(self, policy_size: str) -> DeepPoolSettings:
        """Settings of one policy's deep pool."""
        return DeepPoolSettings(
            num_prompts=self.deep_best_of_n.num_prompts,
            num_responses=self.deep_best_of_n.num_responses,
            text=self.text,
            sampler=self.policy_compute(policy_size).sampler,
            seed=self._seed("deep_pool", policy_size),
        )

    def deep_best_of_n_settings(self, run: BestOfNRun) -> DeepBestOfNSettings:
        """Settings of one deep best-of-n curve."""
        return DeepBestOfNSettings(
            run=run,
            max_n=self.deep_best_of_n.max_n,
            num_scored_responses=self.deep_best_of_n.num_scored_responses,
            has_hidden_utility=self.is_embedded,
        )

    def ppo_settings(self, run: PPORun) -> PPOSettings:
        """Settings of one PPO run."""
        return PPOSettings(
            run=run,
            ppo=self.ppo,
            learning_rate=self.policies[run.policy_size].ppo_learning_rate,
            num_evaluation_prompts=self.best_of_n.num_prompts,
            has_hidden_utility=self.is_embedded,
            text=self.text,
            numerics=self.policy_compute(run.policy_size).numerics,
            seed=self._seed("ppo", run.model_dump_json()),
        )

    def analysis_settings(self) -> AnalysisSettings:
        """Settings of the fits and tables."""
        return AnalysisSettings(
            main_policy=self.main_policy,
            excluded_sizes=[n for n, size in self.proxy_sizes.items() if not size.in_trends],
            analysis=self.analysis,
            seed=self._seed("analysis"),
        )

    def figure_settings(self) -> FigureSettings:
        """Settings of the figures."""
        return figure_settings(self)


def as_param(settings: StrictModel) -> str:
    """Settings as one JSON string with sorted keys, for Snakemake to compare."""
    return json.dumps(settings.model_dump(mode="json"), sort_keys=True)


# Reading a config, and all that can be wrong with it.


def read_study(config: Mapping[str, object]) -> Study:
    """Check a config and build the study.

    Raises
    ------
    UserError
        With every fault found (the first 50 told): unknown and missing keys, wrong types, and what
        does not fit together, each with its key and a remedy.
    """
    if not isinstance(config, Mapping) or not config:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UserError(
            f"the config is {'empty' if not config else 'no mapping of keys to values'}; expected "
            f"the sections {', '.join(Study.model_fields)}: start from a copy of config/config.yaml"
        )
    refuse_excess(config)
    sections, faults = parse_sections(Study, config)
    faults += faults_between(sections, config)
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        shown = [printable(fault) for fault in faults[:MAX_FAULTS_SHOWN]]
        if len(faults) > len(shown):
            shown.append(f"and {len(faults) - len(shown):,} more")
        listed = "\n".join(f"  - {fault}" for fault in shown)
        raise UserError(f"the config has {count}; nothing was run:\n{listed}")
    return Study(**sections)  # type: ignore[arg-type]
