"""
dvc.yaml: the stages whose results DVC versions. Snakemake schedules; DVC stores and compares.

    python -m overopt.audit.dvc_stages config/config.yaml [config/study.yaml ...]

writes dvc.yaml for these studies: six stages each, named after the study, a seventh where it starts
from published checkpoints, and one for Snakemake's own records. Which results a study makes depends
on its config (human files have no features, a grid may have no large-n sweep), and DVC refuses an
output that does not exist; so the file is generated.
"""

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml

from overopt.config.methods import sweep_methods
from overopt.data.sources import local_paths
from overopt.errors import UserError
from overopt.study.config_file import read_config_file
from overopt.study.study import Study, read_study

# Coarse on purpose: a stage that DVC calls without need costs one call of Snakemake that does
# nothing; a dependency that is missing here would leave a stale result unnoticed.
WORKFLOW = ["Snakefile", "workflow", "src/overopt"]
SNAKEMAKE_RECORDS = ".snakemake/metadata"
PLOTTED_FIGURES = ("figure_01a", "figure_01b", "figure_03a", "figure_03b", "figure_03c")
TABLES = (
    "coefficients",
    "peaks",
    "differences",
    "trends",
    "forms",
    "extrapolation",
    "kl_estimate",
    "gold_ceiling",
    "claims",
    "paper_comparison",
    "methods",
    "predictions",
)

HEADER = """\
# Made by `{command}`.
# Make it anew for other studies, or when the workflow has changed; do not edit it.
#
# DVC keeps the versions of the results and compares them; Snakemake decides what runs.
# docs/versions.md tells how to record, publish, fetch and go back.
#
# Each stage calls Snakemake, which does only what is stale, and then checks that every file is what
# its job wrote: DVC would record whatever lies there. So record with `dvc repro`, not with
# `dvc commit -f`. Each out has `persist`, or DVC would delete it before its stage runs and
# Snakemake would have to make all of it anew.
"""


@dataclass(frozen=True)
class Stage:
    """One stage of a study: the Snakemake target that makes its outs, all below results/<name>/.

    `needs` are paths below results/<name>/ too; `sources` are files from elsewhere.
    """

    name: str
    description: str
    target: str
    outs: list[str]
    needs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)


def study_stages(study: Study) -> list[Stage]:
    """The stages of a study; their outs hold every file that Snakemake makes, logs left out."""
    sources = local_paths(study.data)
    checkpoints = _checkpoint_stages(study)
    started_from = [out for stage in checkpoints for out in stage.outs]
    curves = [method for method in sweep_methods() if study.runs(method)]
    tables = [*TABLES, *(["feature_correlations"] if study.source.has_hidden_utility else [])]
    return [
        Stage(
            name="data",
            description="Prompts, demonstrations and the tokenizer.",
            target="data",
            sources=sources,
            outs=[
                "data/prompts.parquet",
                "data/demonstrations.parquet",
                "data/demonstrations_record.json",
                "data/tokenizer",
                *(["data/hub"] if study.source.is_fetched else []),
            ],
        ),
        *checkpoints,
        Stage(
            name="policies",
            description="Initial policies, one per size.",
            target="policies",
            needs=["data/demonstrations.parquet", "data/tokenizer", *started_from],
            outs=["policies"],
        ),
        Stage(
            name="gold_rm",
            description="Human comparisons and the gold reward model.",
            target="gold_rm",
            sources=sources,
            needs=["data/prompts.parquet", "policies", *started_from],
            outs=[
                "data/human_comparisons.parquet",
                "data/human_comparisons_record.json",
                "gold_rm",
            ],
        ),
        Stage(
            name="proxy_rms",
            description="Synthetic comparisons, backbones and proxy reward models.",
            target="proxy_rms",
            needs=[
                *("data/prompts.parquet", "data/demonstrations.parquet", "policies", "gold_rm"),
                *started_from,
            ],
            outs=["synthetic_comparisons", "backbones", "proxy_rms"],
        ),
        Stage(
            name="curves",
            description="Best-of-n, large-n best-of-n and PPO against every proxy of the grid.",
            target="curves",
            needs=["data/prompts.parquet", "policies", "gold_rm", "proxy_rms"],
            outs=curves,
        ),
        Stage(
            name="analysis",
            description="Coefficients, claims, tables, figures and report pages.",
            target="all",
            needs=["gold_rm", "proxy_rms", *curves],
            outs=["analysis", "figures", "report", *(f"{table}.csv" for table in tables)],
            metrics=["summary.json"],
        ),
    ]


def _checkpoint_stages(study: Study) -> list[Stage]:
    """The stage of the published checkpoints; none where all models start from random weights."""
    used = study.checkpoints().values()
    if not used:
        return []
    return [
        Stage(
            name="checkpoints",
            description="Published checkpoints, as the project writes its own models.",
            target="checkpoints",
            sources=list(dict.fromkeys(one.checkpoint for one in used if one.is_local)),
            outs=["checkpoints"],
        )
    ]


def pipeline(studies: dict[str, Study]) -> dict[str, Any]:
    """The content of dvc.yaml for these studies, by the path of their config."""
    stages: dict[str, Any] = {}
    for config, study in studies.items():
        for stage in study_stages(study):
            name = f"{study.name}-{stage.name}"
            stages[name] = _entry(name, stage, f"results/{study.name}", config)
    summaries = [f"results/{study.name}/summary.json" for study in studies.values()]
    stages["records"] = {
        "desc": "Snakemake's record of every job. With it, and only with it, a clone with fetched "
        "results is up to date for Snakemake. It changes whenever any job has run in this folder.",
        "cmd": f"test -d {SNAKEMAKE_RECORDS}",
        "deps": summaries,  # so that this stage comes last
        "outs": [_kept(SNAKEMAKE_RECORDS)],
    }
    return {
        "stages": stages,
        "params": list(studies),
        "metrics": summaries,
        "plots": [plot for study in studies.values() for plot in _plots(study.name)],
    }


def _entry(name: str, stage: Stage, results: str, config: str) -> dict[str, Any]:
    outs = [f"{results}/{path}" for path in [*stage.outs, *stage.metrics]]
    return {
        "desc": stage.description,
        "cmd": [
            f"snakemake {stage.target} --cores all --configfile {shlex.quote(config)}",
            f"python -m overopt.audit.as_made {name}",
        ],
        "deps": [
            *WORKFLOW,
            config,
            *stage.sources,
            *(f"{results}/{path}" for path in stage.needs),
        ],
        "outs": [_kept(path) for path in outs],
    }


class _Inline(dict[str, bool]):
    """A mapping written on one line."""


class _Dumper(yaml.SafeDumper):
    """YAML as one writes it by hand: no anchors, blocks but for `_Inline`."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(
    _Inline,
    lambda dumper, inline: dumper.represent_mapping(
        "tag:yaml.org,2002:map", inline, flow_style=True
    ),
)


def _as_yaml(content: Mapping[str, object]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)


def _kept(path: str) -> dict[str, _Inline]:
    """An out that DVC does not delete before its stage runs."""
    return {path: _Inline(persist=True)}


def _plots(name: str) -> Iterator[Any]:
    """Figures, side by side in `dvc plots diff`; every gold curve, one colour a version."""
    for figure in PLOTTED_FIGURES:
        yield f"results/{name}/figures/{figure}.svg"
    yield {
        f"{name}: gold against sqrt(KL)": {
            "template": "curves",  # .dvc/plots/curves.json
            "x": "sqrt_kl",
            "x_label": "sqrt(KL)",
            "y": {f"results/{name}/analysis/binned_curves.csv": "gold"},
            "y_label": "gold score",
        }
    }


def write_pipeline(configs: Sequence[Path]) -> list[str]:
    """Write dvc.yaml for the studies of these configs; the names of the studies.

    What dvc.lock records of other stages goes: no stage would bring it up to date any more.

    Raises
    ------
    UserError
        Where a config is no study's, lies outside of the folder, or shares its name with another.
    """
    studies = {_inside(config): read_study(_content(config)) for config in configs}
    names = Counter(study.name for study in studies.values())
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(
            f"{', '.join(map(str, configs))}: two of these studies have the name {twice[0]!r} and "
            "would write to the same folder; give one of them another `name`"
        )
    command = f"python -m overopt.audit.dvc_stages {shlex.join(studies)}"
    content = pipeline(studies)
    Path("dvc.yaml").write_text(HEADER.format(command=command) + _as_yaml(content), "utf-8")
    _forget_other_stages(content["stages"], Path("dvc.lock"))
    return list(names)


def _forget_other_stages(stages: Mapping[str, object], lock: Path) -> None:
    if not lock.exists():
        return
    recorded = yaml.safe_load(lock.read_text(encoding="utf-8"))
    kept = {name: stage for name, stage in recorded["stages"].items() if name in stages}
    if len(kept) < len(recorded["stages"]):
        lock.write_text(_as_yaml(recorded | {"stages": kept}), encoding="utf-8")


def _inside(config: Path) -> str:
    folder = Path.cwd()
    if not config.resolve().is_relative_to(folder):
        raise UserError(
            f"{config}: outside of {folder}; copy it into the repository, since a clone that "
            "fetches the results needs it"
        )
    return config.resolve().relative_to(folder).as_posix()


def _content(config: Path) -> dict[str, object]:
    content = read_config_file(config)
    if not isinstance(content, dict):
        raise UserError(f"{config}: holds no settings; expected a study as in config/config.yaml")
    return cast(dict[str, object], content)


def main(
    configs: Annotated[list[Path], typer.Argument(help="Config of each study to version.")],
) -> None:
    """Write dvc.yaml for these studies."""
    try:
        names = write_pipeline(configs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"dvc.yaml: stages of {', '.join(names)}")


if __name__ == "__main__":
    typer.run(main)
