"""
Settings of every job of a study: exactly what the job uses, with a seed of its own.

Snakemake compares them as JSON (`as_param`) and reruns a job whose settings have changed.
"""

import json
from collections.abc import Sequence

from overopt.config.analysis import AnalysisSettings, ComparisonSettings
from overopt.config.best_of_n import BestOfNSettings, PoolScoreSettings, PoolSettings
from overopt.config.cells import ProxyRM, Run
from overopt.config.data import (
    EmbeddedComparisonSettings,
    EmbeddedDataConfig,
    EmbeddedDemonstrationSettings,
    FeatureSettings,
    FileSettings,
)
from overopt.config.deep_best_of_n import DeepBestOfNSettings, DeepPoolSettings
from overopt.config.gold_ceiling import GoldCeilingSettings
from overopt.config.hub import HubDataConfig, HubSettings
from overopt.config.method_job import MethodSettings
from overopt.config.methods import METHODS
from overopt.config.policy import (
    LanguageModelSettings,
    SamplingSettings,
)
from overopt.config.ppo import PPOSettings
from overopt.config.reward_model import (
    LabelSettings,
    PublishedGoldRMSettings,
    RewardModelSettings,
)
from overopt.config.strict_model import StrictModel
from overopt.config.training import OptimizationConfig
from overopt.config.utility_gold import UtilityGold, UtilityGoldSettings
from overopt.data.sources import vocabulary_size
from overopt.jobs.plugins import origin, registering, with_plugins
from overopt.randomness import job_seed
from overopt.study.study import Study


def _seed(study: Study, *key: object) -> int:
    return job_seed(study.seed, *key)


def file_settings(study: Study) -> FileSettings:
    """Settings of the job that reads prompts and demonstrations, and trains the tokenizer."""
    return FileSettings(splits=study.splits, vocabulary_size=vocabulary_size(study.data))


def embedded_demonstration_settings(study: Study) -> EmbeddedDemonstrationSettings:
    """Settings of the job that writes prompts and demonstrations of the embedded world."""
    return EmbeddedDemonstrationSettings(
        num_demonstrations=study.data_of(EmbeddedDataConfig).num_demonstrations,
        splits=study.splits,
        seed=_seed(study, "demonstrations"),
    )


def hub_settings(study: Study) -> HubSettings:
    """Settings of the job that fetches human data of the hub."""
    data = study.data_of(HubDataConfig)
    return HubSettings(
        comparisons=data.comparisons,
        demonstrations=data.demonstrations,
        max_prompt_characters=data.max_prompt_characters,
        seed=_seed(study, "hub_data"),
    )


def embedded_comparison_settings(study: Study) -> EmbeddedComparisonSettings:
    """Settings of the job that has the embedded world's annotators compare responses."""
    data = study.data_of(EmbeddedDataConfig)
    return EmbeddedComparisonSettings(
        num_comparisons=study.gold_rm.num_comparisons or 0,  # the hidden utility learns from none
        num_validation=study.gold_rm.num_validation,
        candidates=data.candidates,
        annotators=data.annotators,
        world=data.world,
        text=study.text,
        seed=_seed(study, "human_comparisons", study.gold_rm.seed),
    )


def policy_settings(study: Study, policy_size: str) -> LanguageModelSettings:
    """Settings of one policy's supervised fine-tuning."""
    policy = study.policies[policy_size]
    return LanguageModelSettings(
        shape=policy.shape,
        optimization=OptimizationConfig(
            learning_rate=policy.learning_rate,
            batch_size=policy.batch_size,
            num_epochs=policy.num_epochs,
        ),
        text=study.text,
        numerics=study.policy_compute(policy_size).numerics,
        seed=_seed(study, "policy", policy_size),
    )


def gold_rm_settings(study: Study) -> RewardModelSettings:
    """Settings of the gold RM's training."""
    gold = study.gold_rm
    if gold.num_comparisons is None or gold.learning_rate is None:
        raise TypeError("a gold RM that is published, or no model, is not trained")
    return RewardModelSettings(
        proxy_rm=None,
        num_comparisons=gold.num_comparisons,
        num_validation=gold.num_validation,
        optimization=OptimizationConfig(
            learning_rate=gold.learning_rate,
            batch_size=gold.batch_size,
            num_epochs=gold.num_epochs,
        ),
        text=study.text,
        numerics=study.gold_rm_compute().numerics,
        seed=_seed(study, "gold_rm", study.gold_rm.seed),
        subset_seed=_seed(study, "human_comparisons", "subset"),
    )


def published_gold_rm_settings(study: Study) -> PublishedGoldRMSettings:
    """Settings of the job that measures a published gold RM."""
    return PublishedGoldRMSettings(
        num_validation=study.gold_rm.num_validation, chat=study.gold_rm.chat
    )


def utility_gold_settings(study: Study) -> UtilityGoldSettings:
    """Settings of the job that takes the hidden utility as gold."""
    annotators = study.data_of(EmbeddedDataConfig).annotators
    return UtilityGoldSettings(
        utility=UtilityGold(inverse_temperature=annotators.inverse_temperature, world=study.world),
        num_validation=study.gold_rm.num_validation,
    )


def synthetic_response_settings(study: Study) -> SamplingSettings:
    """Settings of the pairs of responses that the gold RM labels."""
    return SamplingSettings(
        num_responses={
            "rm": study.synthetic_comparisons.num_comparisons,
            "rm_validation": study.synthetic_comparisons.num_validation,
        },
        text=study.text,
        sampler=study.policy_compute(study.comparison_policy).sampler,
        seed=_seed(study, "synthetic_responses"),
    )


def label_settings(study: Study) -> LabelSettings:
    """Settings of the gold RM's labels."""
    return LabelSettings(seed=_seed(study, "synthetic_labels"))


def backbone_settings(study: Study, proxy_size: str, seed: int) -> LanguageModelSettings:
    """Settings of the pre-training of one proxy RM's backbone."""
    size = study.proxy_sizes[proxy_size]
    return LanguageModelSettings(
        shape=size.shape,
        optimization=OptimizationConfig(
            learning_rate=size.learning_rate,
            batch_size=study.backbone.batch_size,
            num_epochs=study.backbone.num_epochs,
        ),
        text=study.text,
        numerics=study.proxy_compute(proxy_size).numerics,
        seed=_seed(study, "backbone", proxy_size, seed),
    )


def proxy_rm_settings(study: Study, proxy_rm: ProxyRM) -> RewardModelSettings:
    """Settings of one proxy RM.

    Within a seed, data sets of different sizes are nested and training differs by them only.
    """
    size = study.proxy_sizes[proxy_rm.proxy_size]
    return RewardModelSettings(
        proxy_rm=proxy_rm,
        num_comparisons=proxy_rm.num_comparisons,
        num_validation=study.synthetic_comparisons.num_validation,
        optimization=OptimizationConfig(
            learning_rate=size.learning_rate * study.proxy_rm.learning_rate_factor,
            batch_size=study.proxy_rm.batch_size,
            num_epochs=proxy_rm.num_epochs,
        ),
        text=study.text,
        numerics=study.proxy_compute(proxy_rm.proxy_size).numerics,
        seed=_seed(study, "proxy_rm", proxy_rm.proxy_size, proxy_rm.seed),
        subset_seed=_seed(study, "synthetic_comparisons", "subset", proxy_rm.seed),
    )


def pool_settings(study: Study, policy_size: str) -> PoolSettings:
    """Settings of one policy's pool of responses."""
    return PoolSettings(
        num_prompts=study.best_of_n.num_prompts,
        num_responses=study.best_of_n.num_responses,
        text=study.text,
        sampler=study.policy_compute(policy_size).sampler,
        seed=_seed(study, "pool", policy_size),
    )


def pool_score_settings(study: Study) -> PoolScoreSettings:
    """Settings of a pool's gold scores."""
    return PoolScoreSettings(has_hidden_utility=study.source.has_hidden_utility, world=study.world)


def feature_settings(study: Study) -> FeatureSettings:
    """Settings of the correlations of reward models with the hidden utility's features."""
    return FeatureSettings(world=study.world)


def best_of_n_settings(study: Study, run: Run) -> BestOfNSettings:
    """Settings of one best-of-n curve."""
    return BestOfNSettings(run=run, max_n=study.best_of_n.max_n)


def gold_ceiling_settings(study: Study) -> GoldCeilingSettings:
    """Settings of best-of-n by the gold RM."""
    return GoldCeilingSettings(
        max_n=study.best_of_n.max_n, analysis=study.analysis, seed=_seed(study, "gold_ceiling")
    )


def deep_pool_settings(study: Study, policy_size: str) -> DeepPoolSettings:
    """Settings of one policy's pool for large n."""
    return DeepPoolSettings(
        num_prompts=study.deep_best_of_n.num_prompts,
        num_responses=study.deep_best_of_n.num_responses,
        text=study.text,
        sampler=study.policy_compute(policy_size).sampler,
        seed=_seed(study, "deep_pool", policy_size),
    )


def deep_best_of_n_settings(study: Study, run: Run) -> DeepBestOfNSettings:
    """Settings of one large-n best-of-n curve."""
    return DeepBestOfNSettings(
        run=run,
        max_n=study.deep_best_of_n.max_n,
        num_scored_responses=study.deep_best_of_n.num_scored_responses,
        has_hidden_utility=study.source.has_hidden_utility,
        world=study.world,
    )


def ppo_settings(study: Study, run: Run) -> PPOSettings:
    """Settings of one PPO run."""
    return PPOSettings(
        run=run,
        ppo=study.ppo,
        learning_rate=study.policies[run.policy_size].ppo_learning_rate,
        num_evaluation_prompts=study.best_of_n.num_prompts,
        has_hidden_utility=study.source.has_hidden_utility,
        world=study.world,
        text=study.text,
        numerics=study.policy_compute(run.policy_size).numerics,
        seed=_seed(study, "ppo", run.seed_key),
    )


def analysis_settings(study: Study) -> AnalysisSettings:
    """Settings of the fits and tables."""
    return AnalysisSettings(
        main_policy=study.main_policy,
        excluded_sizes=[n for n, size in study.proxy_sizes.items() if not size.in_trends],
        analysis=study.analysis,
        seed=_seed(study, "analysis"),
    )


def comparison_settings(study: Study) -> ComparisonSettings:
    """Settings of the comparison of all methods; the statistics of the fits, with their seed."""
    return ComparisonSettings(**dict(analysis_settings(study)), max_n=study.best_of_n.max_n)


def method_settings(study: Study, run: Run) -> MethodSettings:
    """Settings of one run of a method that has no rules of its own.

    A learning rate that its section leaves out is the policy's `ppo_learning_rate`.
    """
    model = METHODS[run.method].options_model
    options = dict(study.methods.get(run.method, {}))
    if model is not None and "learning_rate" in model.model_fields:
        rate = study.policies[run.policy_size].ppo_learning_rate
        options = {"learning_rate": rate} | options
    return MethodSettings(
        run=run,
        options={} if model is None else model.model_validate(options).model_dump(mode="json"),
        num_evaluation_prompts=study.best_of_n.num_prompts,
        has_hidden_utility=study.source.has_hidden_utility,
        world=study.world,
        text=study.text,
        numerics=study.policy_compute(run.policy_size).numerics,
        seed=_seed(study, run.method, run.seed_key),
    )


def as_param(settings: StrictModel, plugins: Sequence[str] = ()) -> str:
    """Settings as one JSON string with sorted keys, for Snakemake to compare.

    `plugins` are the modules that the job imports.
    """
    return with_plugins(json.dumps(settings.model_dump(mode="json"), sort_keys=True), plugins)


# Plugins that a job imports: only those whose entries it uses, so that an edit of a plugin makes
# no other job stale.


def proxy_plugins(proxy_rm: ProxyRM) -> list[str]:
    """Plugin that registered the variant of a proxy RM, if one did."""
    return origin("variants", proxy_rm.variant)


def run_plugins(run: Run) -> list[str]:
    """Plugins that registered the method of a run, or the variant of its proxy RM."""
    return list(dict.fromkeys([*origin("methods", run.method), *proxy_plugins(run.proxy_rm)]))


def analysis_plugins(study: Study) -> list[str]:
    """Plugins that the jobs of statistics import: those of methods, variants and forms."""
    return registering(study.plugins, "methods", "variants", "forms")


def hub_plugins(study: Study) -> list[str]:
    """Plugins that registered a reader of human data."""
    return registering(study.plugins, "readers")
