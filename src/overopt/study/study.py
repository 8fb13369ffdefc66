"""
The study: everything a config describes, checked at the border, and the cells it consists of.

Imports no torch, so that Snakemake parses in a second. `read_study` reports all faults of a
config together, each with its key and a remedy.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, NonNegativeInt, PositiveFloat, TypeAdapter, ValidationError

from overopt.config.analysis import AnalysisConfig
from overopt.config.best_of_n import BestOfNConfig
from overopt.config.cells import ProxyRM, Run
from overopt.config.compute import ComputeConfig
from overopt.config.data import EmbeddedDataConfig, SplitConfig
from overopt.config.deep_best_of_n import DeepBestOfNConfig
from overopt.config.grid import GridConfig
from overopt.config.keep import KeepConfig
from overopt.config.methods import BEST_OF_N, METHODS, main_methods, sweep_methods
from overopt.config.model import CheckpointSettings, ModelConfig
from overopt.config.policy import (
    BackboneConfig,
)
from overopt.config.ppo import PPOConfig
from overopt.config.reward_model import (
    GoldRMConfig,
    ProxyRMConfig,
    SyntheticComparisonsConfig,
)
from overopt.config.strict_model import StrictModel
from overopt.config.training import TextConfig
from overopt.config.world import PLAIN_WORLD, WorldConfig
from overopt.data.sources import SOURCES, DataConfig, Source
from overopt.errors import UserError
from overopt.jobs.plugins import load_plugins
from overopt.study.checks import faults_between
from overopt.study.faults import parse_sections, printable, refuse_excess

# They become folders.
StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
SizeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$", max_length=32)]
# Of code that runs: dotted, so that no path can be meant.
ModuleName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=256)
]
MAX_FAULTS_SHOWN = 50
_Data = TypeVar("_Data", bound=StrictModel)


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
        default=DeepBestOfNConfig(), description="Best-of-n of the sweeps that go to large n."
    )
    ppo: PPOConfig = Field(description="PPO.")
    grid: GridConfig = Field(description="Which cells are computed.")
    analysis: AnalysisConfig = Field(description="Fits and intervals.")
    compute: ComputeConfig = Field(
        default=ComputeConfig(), description="How training jobs use the hardware."
    )
    keep: KeepConfig = Field(default=KeepConfig(), description="Large files that stay.")
    plugins: list[ModuleName] = Field(
        default=[], max_length=32, description="Python modules with your own code, which is run."
    )
    methods: dict[str, dict[str, Any]] = Field(
        default={}, description="Settings of the methods that plugins register, by method."
    )

    @property
    def source(self) -> Source:
        """Where the human data comes from, as `overopt.data.sources` describes it."""
        return SOURCES[self.data.source]

    def data_of(self, kind: type[_Data]) -> _Data:
        """Section `data` of the config, for code that serves this one source; else TypeError."""
        if not isinstance(self.data, kind):
            raise TypeError(f"the human data is of source {self.data.source}, no {kind.__name__}")
        return self.data

    @property
    def world(self) -> WorldConfig:
        """Dials of the embedded world; of other data sources all are at 0."""
        return self.data.world if isinstance(self.data, EmbeddedDataConfig) else PLAIN_WORLD

    # What the DAG is made of.

    def runs(self, method: str) -> list[Run]:
        """Cells of a method, in the order of the config, each once.

        Cells of best-of-n are joined by those that recalibration needs for the other cells: a
        curve counts from the initial scores of its own policy and of the main policy under the
        same proxy, which the best-of-n curves of these policies hold at n = 1.
        """
        listed = self.grid.runs(method)
        if METHODS[method].column != BEST_OF_N:
            return listed
        others = [name for name in main_methods() if name != BEST_OF_N]
        counted = [run for name in others for run in self.grid.runs(name)]
        needed = [
            _run_of(method, policy_size, run)
            for run in [*listed, *(counted if method == BEST_OF_N else [])]
            for policy_size in (run.policy_size, self.main_policy)
        ]
        return list(dict.fromkeys([*listed, *needed]))

    def curves(self) -> list[Run]:
        """Cells of all methods whose curves are fitted together: best-of-n, then the others."""
        return [run for method in main_methods() for run in self.runs(method)]

    def main_best_of_n_runs(self) -> list[Run]:
        """Best-of-n of the main policy: one per proxy RM that best-of-n optimizes."""
        return [run for run in self.runs(BEST_OF_N) if run.policy_size == self.main_policy]

    def tilted_runs(self) -> list[Run]:
        """Cells whose tilted distribution is computed: where a run has a KL penalty."""
        penalized = [run for run in self.curves() if run.kl_coef > 0]
        return list(dict.fromkeys(_run_of("tilted", run.policy_size, run) for run in penalized))

    def all_runs(self) -> list[Run]:
        """Cells of every method that sweeps list."""
        return [run for method in sweep_methods() for run in self.runs(method)]

    def proxy_rms(self) -> list[ProxyRM]:
        """Every proxy RM, each once."""
        return list(dict.fromkeys(run.proxy_rm for run in self.all_runs()))

    @property
    def comparison_policy(self) -> str:
        """The policy whose responses the synthetic comparisons compare."""
        return self.synthetic_comparisons.policy or self.main_policy

    def policy_sizes(self) -> list[str]:
        """Every policy that the study trains, the gold RM's backbone included."""
        used = [run.policy_size for run in self.all_runs()]
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
        """Copy of this study with one sweep alone, switched on."""
        sweep = self.grid.sweeps[name].model_copy(update={"enabled": True})
        grid = self.grid.model_copy(update={"sweeps": {name: sweep}})
        return self.model_copy(update={"grid": grid})

    # The hardware of each training job.

    def policy_compute(self, policy_size: str) -> ComputeConfig:
        """Hardware of this policy's training, by SFT and against proxies."""
        return self.compute.overridden_by(self.policies[policy_size].compute)

    def gold_rm_compute(self) -> ComputeConfig:
        """Hardware of the gold RM's training: that of the policy it starts from."""
        backbone = self.gold_rm.backbone
        return self.compute if backbone is None else self.policy_compute(backbone)

    def proxy_compute(self, proxy_size: str) -> ComputeConfig:
        """Hardware of training the proxy RMs of this size and their backbones."""
        return self.compute.overridden_by(self.proxy_sizes[proxy_size].compute)


def _run_of(method: str, policy_size: str, run: Run) -> Run:
    return Run(method=method, policy_size=policy_size, proxy_rm=run.proxy_rm)


# Reading a config, and all that can be wrong with it.


def read_study(config: Mapping[str, object], *, imports_plugins: bool = True) -> Study:
    """Check a config and build the study; import the plugins that it names, unless told not to.

    Raises
    ------
    UserError
        With every fault found (the first 50 told): unknown and missing keys, wrong types, and what
        does not fit together, each with its key and a remedy. Or with the plugin that cannot be
        used.
    """
    if not isinstance(config, Mapping) or not config:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UserError(
            f"the config is {'empty' if not config else 'no mapping of keys to values'}; expected "
            f"the sections {', '.join(Study.model_fields)}: start from a copy of config/config.yaml"
        )
    refuse_excess(config)
    if imports_plugins:
        load_plugins(named_plugins(config))  # first: they name methods, variants and readers
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


def named_plugins(config: Mapping[str, object]) -> list[str]:
    """Modules of users' own code that a config names; what is no such list is a fault elsewhere."""
    try:
        return TypeAdapter(list[ModuleName]).validate_python(config.get("plugins", []), strict=True)
    except ValidationError:
        return []
