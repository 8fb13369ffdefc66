"""The command line: what is not a rule of the workflow."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from overopt.errors import UserError
from overopt.world.__main__ import show as show_world

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reward-model overoptimization: look at the embedded world, at a finished study.",
)
app.command("world")(show_world)

Results = Annotated[Path, typer.Argument(help="Folder of a study, e.g. results/default.")]


@app.command()
def summary(results: Results) -> None:
    """Print alpha and beta by reward-model size, the peaks, the verdicts, and what the run cost."""
    from overopt.summary import summarize  # pandas takes a third of a second to import

    try:
        print(summarize(results))
    except UserError as error:
        raise _mistake(error) from None


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
    from overopt.reference import FOLDER, compare_with_reference
    from overopt.reference_text import describe_comparison, record_reference

    folder = folder or FOLDER
    try:
        if record:
            print("\n".join([*record_reference(results, folder), f"recorded in {folder}"]))
            return
        comparison = compare_with_reference(results, folder)
    except UserError as error:
        raise _mistake(error) from None
    print(describe_comparison(comparison))
    if not comparison.agrees:
        raise typer.Exit(3)  # not 1, which is a mistake, nor 2, which is a wrong option


def _mistake(error: UserError) -> typer.Exit:
    print(f"error: {error}", file=sys.stderr)
    return typer.Exit(1)


if __name__ == "__main__":
    app()
