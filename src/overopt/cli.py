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


@app.command()
def summary(
    results: Annotated[Path, typer.Argument(help="Folder of a study, e.g. results/default.")],
) -> None:
    """Print alpha and beta by reward-model size, the peaks, and what the run cost."""
    from overopt.summary import summarize  # pandas takes a third of a second to import

    try:
        print(summarize(results))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
