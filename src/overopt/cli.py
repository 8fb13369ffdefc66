"""The command line: what is not a rule of the workflow."""

from pathlib import Path
from typing import Annotated, cast

import typer

from overopt.config.data import EmbeddedDataConfig
from overopt.errors import UserError
from overopt.runs import commands as runs
from overopt.terminal import show_any_character

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reward-model overoptimization: look at the embedded world, at a finished study, "
    "at a run of your own.",
)
app.callback()(show_any_character)
app.command("fit")(runs.fit)
app.command("diagnose")(runs.diagnose)
app.command("kl")(runs.kl)
app.command("label-plan")(runs.label_plan)


@app.command()
def world(
    configfile: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The config of a study of the embedded world.")
    ] = Path("config/config.yaml"),
    num_prompts: Annotated[int, typer.Option(min=0, max=2304, help="Prompts to show.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other texts.")] = 0,
) -> None:
    """Print the embedded world of a config: its hidden utility, prompts, texts and judgements."""
    from overopt.data.world.show import show_world
    from overopt.study.config_file import read_config_file
    from overopt.study.study import read_study

    try:
        study = read_study(cast(dict[str, object], read_config_file(configfile)))
        if not study.source.has_hidden_utility:
            raise UserError(
                f"{configfile}: data.source is {study.data.source}, which has no hidden utility to "
                "show; give a config whose source is embedded"
            )
    except UserError as error:
        raise runs.mistake(error) from None
    show_world(study.data_of(EmbeddedDataConfig), num_prompts, seed)


Results = Annotated[Path, typer.Argument(help="Folder of a study, e.g. results/default.")]


@app.command()
def summary(results: Results) -> None:
    """Print alpha and beta by reward-model size, the peaks, the verdicts, and what the run cost."""
    from overopt.report.summary import summarize  # pandas takes a third of a second to import

    try:
        print(summarize(results))
    except UserError as error:
        raise runs.mistake(error) from None


@app.command()
def reference(
    results: Results,
    folder: Annotated[
        Path | None, typer.Option(help="The reference; default: docs/reference.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Make this run the reference instead.")
    ] = False,
) -> None:
    """Compare a run with the reference study: coefficients outside its intervals, verdicts changed.

    Exit code 0 where nothing differs beyond what chance gives, 3 where something does.
    """
    from overopt.report.reference import FOLDER, compare_with_reference
    from overopt.report.reference_text import describe_comparison, record_reference

    folder = folder or FOLDER
    try:
        if record:
            print("\n".join([*record_reference(results, folder), f"recorded in {folder}"]))
            return
        comparison = compare_with_reference(results, folder)
    except UserError as error:
        raise runs.mistake(error) from None
    print(describe_comparison(comparison))
    if not comparison.agrees:
        raise typer.Exit(3)  # not 1, which is a mistake, nor 2, which is a wrong option


@app.command()
def audit(
    artifact: Annotated[
        Path | None,
        typer.Argument(help="A file of a study; without one, every file of --study."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(help="Folder of a study, or its name in results/; default: results/default."),
    ] = None,
    configfile: Annotated[
        Path | None,
        typer.Option(help="The study's config; default: the one in config/ that has its name."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything: full hashes, all settings.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Summarize and cut nothing.")] = False,
) -> None:
    """Check where results come from: the sources of one file, or every file of a study.

    Exit code 0 where all is well (notes do not count), 1 where a problem was found.
    """
    from overopt.audit.audit import audit_artifact, audit_study
    from overopt.audit.audit_text import audit_json, print_audit
    from overopt.audit.study_folder import find_study

    try:
        if artifact is None:
            done = audit_study(_study_folder(study), configfile)
        else:
            done = audit_artifact(artifact, _study_folder(study) if study else find_study(artifact))
    except UserError as error:
        raise runs.mistake(error) from None
    if as_json:
        print(audit_json(done))
    else:
        print_audit(done, full=full)
    if done.problems:
        raise typer.Exit(1)


def _study_folder(study: Path | None) -> Path:
    """A folder as it is given; a bare name is one of results/."""
    if study is None:
        return Path("results/default")
    named = Path("results") / study
    return named if len(study.parts) == 1 and named.is_dir() else study


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="Folder of a study, or a commit.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another folder or commit.")],
    study: Annotated[
        str, typer.Option(help="Which study of a commit, by name; default: the other side's.")
    ] = "",
) -> None:
    """Say which results of two studies differ, byte by byte, and what explains it.

    Exit code 0 where nothing differs, 3 where something does. For whether coefficients differ by
    more than chance, see `overopt reference`.
    """
    from overopt.audit.compare import compare
    from overopt.audit.compare_text import describe_comparison

    try:
        name = f"results/{study}" if study and "/" not in study else study
        comparison = compare(first, second, name=name)
    except UserError as error:
        raise runs.mistake(error) from None
    print(describe_comparison(comparison))
    if not comparison.is_equal:
        raise typer.Exit(3)


@app.command()
def orphans(
    configfile: Annotated[Path, typer.Option(help="The study's config.")] = Path(
        "config/config.yaml"
    ),
    study: Annotated[
        Path | None, typer.Option(help="Its folder; default: results/ and the config's name.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete them, after they have been listed.")
    ] = False,
) -> None:
    """List results of cells that the config no longer has; with --remove, delete them."""
    from overopt.audit.orphans import describe_orphans, find_orphans, read_config, remove_orphans

    try:
        config = read_config(configfile)
        folder = _study_folder(study) if study else Path("results", config.name)
        found = find_orphans(folder, config)
        print(describe_orphans(found, removed=remove))
        if remove:
            remove_orphans(found)
    except UserError as error:
        raise runs.mistake(error) from None


@app.command()
def plan(
    configfile: Annotated[Path, typer.Option(help="The study's config.")] = Path(
        "config/config.yaml"
    ),
    gpu: Annotated[
        str, typer.Option(help="Where the config asks for GPUs: a100 or h100.")
    ] = "a100",
) -> None:
    """Print what a study will take before it runs: jobs, hours, memory, disk, by rule.

    Exit code 0; 1 where the config has faults or a checkpoint's size is not known.
    """
    from overopt.study.config_file import read_config_file
    from overopt.study.plan.machines import GPUS
    from overopt.study.plan.plan_text import describe_plan
    from overopt.study.study import read_study

    try:
        if gpu not in GPUS:
            raise UserError(f"--gpu: {gpu} is not known; expected one of {', '.join(GPUS)}")
        content = cast(dict[str, object], read_config_file(configfile))  # read_study checks it
        print(describe_plan(read_study(content), GPUS[gpu]))
    except UserError as error:
        raise runs.mistake(error) from None


if __name__ == "__main__":
    app()
