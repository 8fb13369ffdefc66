"""Faults of a config that only several of its values together show."""

import math
import os.path
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from overopt.config.best_of_n import BestOfNConfig
from overopt.config.compute import ComputeConfig
from overopt.config.data import EmbeddedDataConfig, FileDataConfig, SplitConfig
from overopt.config.deep_best_of_n import DeepBestOfNConfig
from overopt.config.grid import SWEEP_KEYS, GridConfig, SweepConfig
from overopt.config.hub import HubDataConfig, HubDatasetConfig
from overopt.config.methods import METHODS, job_methods
from overopt.config.model import CheckpointConfig
from overopt.config.policy import SAMPLERS, BackboneConfig
from overopt.config.reward_model import GoldRMConfig, ProxyRMConfig, SyntheticComparisonsConfig
from overopt.config.strict_model import StrictModel
from overopt.config.training import TextConfig
from overopt.data.bpe import NUM_BYTES, SMALLEST_VOCABULARY
from overopt.data.hub.local_files import MAX_FILES, files_of
from overopt.data.sources import SOURCES, DataConfig
from overopt.data.splits import assign_split
from overopt.data.world.prompts import all_prompts
from overopt.data.world.vocabulary import MAX_PROMPT_TOKENS, MAX_RESPONSE_TOKENS

EMBEDDED_TEXT = {
    "max_prompt_tokens": MAX_PROMPT_TOKENS,
    "max_response_tokens": MAX_RESPONSE_TOKENS,
}
"""Lengths of the embedded world's texts, in tokens."""
MAX_CELLS = 100_000
"""Most cells of one sweep; Snakemake takes minutes to plan as many jobs."""
Check = Callable[..., Iterator[str]]
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def faults_between(sections: Mapping[str, object], config: Mapping[str, object]) -> list[str]:
    """What does not fit together, one sentence a fault.

    Each check runs where the sections it needs hold. Of the sizes only the names are asked, which
    a fault inside of them does not hide: these two are taken from the config as it was written.
    """
    named = {
        name: sizes
        for name in ("policies", "proxy_sizes")
        if isinstance(sizes := config.get(name), Mapping) and sizes
    }
    known = {**named, **sections}
    return [
        fault
        for names, check in _CHECKS
        if all(name in known for name in names)
        for fault in check(*(known[name] for name in names))
    ]


def _check_splits(splits: SplitConfig) -> Iterator[str]:
    total = sum(splits.model_dump().values())
    if abs(total - 1) > 1e-9:
        yield f"splits: the shares sum to {total:.6g}; make them sum to 1"


def _check_samplers(policies: Mapping[str, object], compute: ComputeConfig) -> Iterator[str]:
    chosen: dict[str, object] = {"compute": compute}
    chosen |= {
        f"policies.{name}.compute": getattr(p, "compute", None) for name, p in policies.items()
    }
    for key, section in chosen.items():
        if isinstance(section, ComputeConfig) and section.sampler not in SAMPLERS:
            known = ", ".join(SAMPLERS)
            yield f"{key}.sampler: {section.sampler!r} is no sampler; use one of {known}"


def _check_policies(
    policies: Collection[str], main_policy: str, gold_rm: GoldRMConfig
) -> Iterator[str]:
    yield from _undefined("main_policy", [main_policy], policies, "policies")
    if gold_rm.backbone is not None:
        yield from _undefined("gold_rm.backbone", [gold_rm.backbone], policies, "policies")


def _check_comparison_policy(
    policies: Collection[str], synthetic: SyntheticComparisonsConfig
) -> Iterator[str]:
    if synthetic.policy is not None:
        yield from _undefined(
            "synthetic_comparisons.policy", [synthetic.policy], policies, "policies"
        )


def _check_checkpoints(
    policies: Mapping[str, object],
    proxy_sizes: Mapping[str, object],
    gold_rm: GoldRMConfig,
    backbone: BackboneConfig,
) -> Iterator[str]:
    models: dict[str, object] = {f"policies.{name}": model for name, model in policies.items()}
    models |= {f"proxy_sizes.{name}": model for name, model in proxy_sizes.items()}
    models["gold_rm"] = gold_rm
    for key, model in models.items():
        if not isinstance(model, CheckpointConfig):
            continue  # a size with faults
        if fault := _checkpoint_fault(model):
            yield f"{key}.{fault}"
        is_untrained = getattr(model, "num_epochs", backbone.num_epochs) == 0
        if is_untrained and model.checkpoint is None:
            owner = key if hasattr(model, "num_epochs") else "backbone"
            yield (
                f"{owner}.num_epochs: 0, but {key} starts from random weights; give at least 1, or "
                "a checkpoint"
            )


def _checkpoint_fault(model: CheckpointConfig) -> str | None:
    path = model.checkpoint
    if path is None:
        return None
    if special := sorted(set("{}<").intersection(path)):
        return f"checkpoint: {path!r} holds {' and '.join(special)}, which Snakemake would replace"
    if not path.isprintable() or not path.strip():
        return f"checkpoint: {path!r}; give a folder or a repository of the hub"
    if model.revision is None:
        if os.path.isfile(os.path.join(path, "config.json")):
            return None
        found = "has no config.json" if os.path.isdir(path) else "is no folder here"
        return (
            f"checkpoint: {path!r} {found}; give the folder of a transformers checkpoint, or, for "
            "a repository of the hub, its revision too (a commit)"
        )
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path):
        return (
            f"checkpoint: {path!r} has a revision, but is no name of a repository; write "
            "owner/name, or remove revision for a local folder"
        )
    return None


def _check_utility(data: DataConfig, gold_rm: GoldRMConfig) -> Iterator[str]:
    if gold_rm.is_utility and not SOURCES[data.source].has_hidden_utility:
        known = ", ".join(name for name, source in SOURCES.items() if source.has_hidden_utility)
        yield (
            f"gold_rm.source: utility, but human data of source {data.source} has no hidden "
            f"utility (only {known} has); remove it and give a reward model (backbone, "
            "num_comparisons and learning_rate, or checkpoint)"
        )


def _check_gold_data(data: EmbeddedDataConfig, gold_rm: GoldRMConfig) -> Iterator[str]:
    if gold_rm.is_published:
        yield (
            "gold_rm.checkpoint: no published reward model knows the embedded world; train one "
            "(backbone, num_comparisons, learning_rate), or give your own data"
        )


def _undefined(
    key: str, names: Collection[str], defined: Collection[str], section: str
) -> Iterator[str]:
    for name in names:
        if name not in defined:
            yield (
                f"{key}: {name!r} is not defined; use one of {', '.join(map(str, defined))} or "
                f"add it to {section}"
            )


def _check_pool(best_of_n: BestOfNConfig) -> Iterator[str]:
    if best_of_n.max_n > best_of_n.num_responses:
        yield (
            f"best_of_n.max_n: {best_of_n.max_n} is larger than the pool "
            f"(best_of_n.num_responses: {best_of_n.num_responses}); lower max_n or draw more "
            "responses (four times max_n is advisable)"
        )


def _check_deep_pool(
    deep: DeepBestOfNConfig, best_of_n: BestOfNConfig, grid: GridConfig
) -> Iterator[str]:
    enabled = (sweep for sweep in grid.sweeps.values() if sweep.enabled)
    if not any("deep_best_of_n" in sweep.methods for sweep in enabled):
        return
    if deep.max_n > deep.num_responses:
        yield (
            f"deep_best_of_n.max_n: {deep.max_n} is larger than its pool "
            f"(deep_best_of_n.num_responses: {deep.num_responses}); lower max_n or draw more "
            "responses"
        )
    if deep.num_prompts > best_of_n.num_prompts:
        yield (
            f"deep_best_of_n.num_prompts: {deep.num_prompts}, but there are "
            f"{best_of_n.num_prompts} evaluation prompts (best_of_n.num_prompts); lower it"
        )


def _check_grid(
    grid: GridConfig,
    policies: Collection[str],
    proxy_sizes: Collection[str],
    synthetic: SyntheticComparisonsConfig,
) -> Iterator[str]:
    enabled = {name: sweep for name, sweep in grid.sweeps.items() if sweep.enabled}
    if not enabled:
        yield "grid.sweeps: every sweep is switched off, the grid is empty; enable at least one"
    for name, sweep in enabled.items():
        key = f"grid.sweeps.{name}"
        yield from _undefined(
            f"{key}.policy_sizes", sweep.values("policy_size"), policies, "policies"
        )
        yield from _undefined(
            f"{key}.proxy_sizes", sweep.values("proxy_size"), proxy_sizes, "proxy_sizes"
        )
        yield from _check_axes(key, sweep, synthetic.num_comparisons)


def _check_number_of_cells(grid: GridConfig) -> Iterator[str]:
    """Of sweeps that are switched off too: each is a target."""
    for name, sweep in grid.sweeps.items():
        num_rms = math.prod(len(sweep.values(axis)) for axis in SWEEP_KEYS) * len(sweep.methods)
        num_cells = len(grid.seeds_of(sweep)) * num_rms
        if num_cells > MAX_CELLS:
            yield (
                f"grid.sweeps.{name}: {num_cells:,} cells with all seeds, more than {MAX_CELLS:,}; "
                "shorten its lists"
            )


def _check_axes(key: str, sweep: SweepConfig, num_comparisons: int) -> Iterator[str]:
    for number in sweep.values("num_comparisons"):
        if number > num_comparisons:
            yield (
                f"{key}.num_comparisons: {number} is larger than the number of comparisons there "
                f"are (synthetic_comparisons.num_comparisons: {num_comparisons}); lower it or "
                "make more"
            )
    for axis, name in SWEEP_KEYS.items():
        for value in sweep.values(axis):
            if isinstance(value, float) and float(f"{value:g}") != value:
                yield (
                    f"{key}.{name}: {value!r} has more than 6 digits, which a path does not keep; "
                    f"write {value:g}"
                )


def _check_rm_learning_rates(
    proxy_sizes: Mapping[str, object], proxy_rm: ProxyRMConfig
) -> Iterator[str]:
    for name, size in proxy_sizes.items():
        base = getattr(size, "learning_rate", 1.0)  # a size with faults has none
        rate = base * proxy_rm.learning_rate_factor
        if not 0 < rate < math.inf:
            yield (
                f"proxy_rm.learning_rate_factor: times proxy_sizes.{name}.learning_rate ({base:g}) "
                f"it gives a learning rate of {rate:g}; make it a positive number"
            )


def _check_lora(
    policies: Mapping[str, object], proxy_sizes: Mapping[str, object], compute: ComputeConfig
) -> Iterator[str]:
    for section, sizes in (("policies", policies), ("proxy_sizes", proxy_sizes)):
        for name, size in sizes.items():
            own = getattr(size, "compute", None)  # a size with faults has none
            if not isinstance(own, ComputeConfig) or getattr(size, "checkpoint", None) is not None:
                continue
            if (rank := compute.overridden_by(own).lora_rank) is not None:
                yield (
                    f"{section}.{name}: lora_rank is {rank}, but this size starts from random "
                    "weights, of which adapters alone would be trained; give it a checkpoint, or "
                    "compute: {lora_rank: null}"
                )


def _check_files(data: FileDataConfig) -> Iterator[str]:
    for key, path in (("demonstrations", data.demonstrations), ("comparisons", data.comparisons)):
        if fault := _path_fault(path):
            yield (
                f"data.{key}: {path!r} {fault}; give the path of a jsonl file, in a copy of the "
                f"config or as --config 'data={{{key}: PATH}}'"
            )
    yield from _check_vocabulary(data.vocabulary_size)


def _check_vocabulary(size: int) -> Iterator[str]:
    if size < SMALLEST_VOCABULARY:
        yield (
            f"data.vocabulary_size: {size} is too small; byte-level BPE needs "
            f"{NUM_BYTES} bytes and {SMALLEST_VOCABULARY - NUM_BYTES} special tokens, so give at "
            f"least {SMALLEST_VOCABULARY}"
        )


def _check_hub(data: HubDataConfig) -> Iterator[str]:
    yield from _check_dataset("data.comparisons", data.comparisons)
    if data.demonstrations is not None:
        yield from _check_dataset("data.demonstrations", data.demonstrations)
    yield from _check_vocabulary(data.vocabulary_size)


def _check_dataset(key: str, config: HubDatasetConfig) -> Iterator[str]:
    """With a revision it is a repository of the hub, without one a folder."""
    dataset, data_dir = config.dataset, config.data_dir
    is_repository = bool(_REPOSITORY.fullmatch(dataset))
    if data_dir and not set(PurePosixPath(data_dir).parts).isdisjoint(("/", "..")):
        yield f"{key}.data_dir: {data_dir!r} leads out of the data set; name a folder inside of it"
    elif config.revision is not None:
        if not is_repository:
            yield (
                f"{key}.dataset: {dataset!r} is no repository of the hub; write OWNER/NAME, or "
                "leave revision out to read a local folder"
            )
    elif os.path.isdir(dataset):
        yield from _check_folder(key, dataset, data_dir)
    elif is_repository:
        yield (
            f"{key}.revision: missing; {dataset} of the hub needs the commit that is meant: take "
            f"it from https://huggingface.co/datasets/{dataset}/commits/main (there is no local "
            "folder of this name either)"
        )
    else:
        yield f"{key}.dataset: {dataset!r} is no folder; give OWNER/NAME of the hub, or a folder"


def _check_folder(key: str, folder: str, data_dir: str | None) -> Iterator[str]:
    files = files_of(folder, data_dir)
    if not files:
        where = os.path.join(folder, data_dir or "")
        yield f"{key}.dataset: {where!r} holds no files; give the folder of a data set"
    if len(files) > MAX_FILES:
        yield (
            f"{key}.dataset: {folder!r} holds more than {MAX_FILES:,} files; give the folder of "
            "one data set"
        )
        return
    for file in files:
        if fault := _path_fault(file):
            yield f"{key}.dataset: the file {file!r} {fault}"


def _path_fault(path: str) -> str | None:
    # Snakemake reads {x} in a path as a wildcard and <x> as a part of the workflow's own paths.
    if special := sorted(set("{}<").intersection(path)):
        return f"holds {' and '.join(special)}, which Snakemake would replace: rename it"
    if not path.isprintable():
        return "holds a character that cannot be printed: rename it"
    # os.path, which says no where pathlib raises: a name too long, a folder one may not enter.
    if os.path.isfile(path):
        return None
    if os.path.isdir(path):
        return "is a folder"
    return "is no regular file" if os.path.exists(path) else "does not exist"


def _check_embedded(data: EmbeddedDataConfig, text: TextConfig) -> Iterator[str]:
    for key, expected in EMBEDDED_TEXT.items():
        if (found := getattr(text, key)) != expected:
            yield f"text.{key}: found {found}; the embedded world needs {expected}: write that"


def _check_candidates(data: EmbeddedDataConfig) -> Iterator[str]:
    candidates = data.candidates
    shares = candidates.policy_share + candidates.writer_share + candidates.exuberant_share
    if shares > 1 + 1e-9:
        yield (
            f"data.candidates: policy_share, writer_share and exuberant_share sum to {shares:.6g}; "
            "lower them to 1 or less, the rest are degenerate texts"
        )


def _check_evaluation_prompts(
    data: EmbeddedDataConfig, splits: SplitConfig, best_of_n: BestOfNConfig
) -> Iterator[str]:
    """Prompts of other sources are known only once they are read; the pool's job checks them."""
    if any(_check_splits(splits)):
        return
    available = _num_evaluation_prompts(**splits.model_dump())
    if best_of_n.num_prompts > available:
        yield (
            f"best_of_n.num_prompts: {best_of_n.num_prompts} is larger than the evaluation part "
            f"of the prompts ({available}); lower it or raise splits.evaluation"
        )


@cache
def _num_evaluation_prompts(**fractions: float) -> int:
    parts = [assign_split(prompt.text, fractions) for prompt in all_prompts()]
    return parts.count("evaluation")


def _check_methods(methods: Mapping[str, Mapping[str, Any]], grid: GridConfig) -> Iterator[str]:
    """Settings of the methods without rules of their own."""
    for name in methods:
        if name not in job_methods():
            yield (
                f"methods.{name}: neither the project nor a plugin has a method of this name with "
                f"a section here (they are {', '.join(job_methods())}); remove the section"
            )
    for name in job_methods():
        options = METHODS[name].options_model
        if options is None:
            if methods.get(name):
                yield f"methods.{name}: the method has no settings; remove the section"
            continue
        if name not in methods and not grid.runs(name):
            continue
        try:
            options.model_validate(methods.get(name, {}))
        except ValidationError as error:
            for fault in error.errors():
                key = ".".join(map(str, ("methods", name, *fault["loc"])))
                yield f"{key}: {fault['msg']}"


def _of(source: type[StrictModel], check: Check) -> Check:
    """Run a check, whose first argument is the section `data`, for this data source alone."""
    return lambda data, *others: check(data, *others) if isinstance(data, source) else iter(())


_CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    (("splits",), _check_splits),
    (("policies", "main_policy", "gold_rm"), _check_policies),
    (("policies", "compute"), _check_samplers),
    (("policies", "synthetic_comparisons"), _check_comparison_policy),
    (("policies", "proxy_sizes", "gold_rm", "backbone"), _check_checkpoints),
    (("data", "gold_rm"), _check_utility),
    (("data", "gold_rm"), _of(EmbeddedDataConfig, _check_gold_data)),
    (("best_of_n",), _check_pool),
    (("deep_best_of_n", "best_of_n", "grid"), _check_deep_pool),
    (("grid", "policies", "proxy_sizes", "synthetic_comparisons"), _check_grid),
    (("grid",), _check_number_of_cells),
    (("proxy_sizes", "proxy_rm"), _check_rm_learning_rates),
    (("policies", "proxy_sizes", "compute"), _check_lora),
    (("data",), _of(FileDataConfig, _check_files)),
    (("data",), _of(HubDataConfig, _check_hub)),
    (("data",), _of(EmbeddedDataConfig, _check_candidates)),
    (("data", "text"), _of(EmbeddedDataConfig, _check_embedded)),
    (("data", "splits", "best_of_n"), _of(EmbeddedDataConfig, _check_evaluation_prompts)),
    (("methods", "grid"), _check_methods),
)
