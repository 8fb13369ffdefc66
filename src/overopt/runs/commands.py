"""The commands on other people's runs: fit, diagnose, kl, label-plan."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from overopt.errors import UserError

Files = Annotated[
    list[Path], typer.Argument(help="Logs or scored samples; several runs may be given.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="ROLE=KEY where the file does not speak for itself: proxy, gold, kl, "
        "length, prompt, response, logprob, ref_logprob, step. Give it once a role.",
    ),
]
KLUnit = Annotated[
    Literal["sequence", "token"], typer.Option(help="Of the key named by --column kl=KEY.")
]
KLEstimator = Annotated[
    Literal["k1", "k2", "k3", "exact"], typer.Option(help="Of the key named by --column kl=KEY.")
]
Temperature = Annotated[float | None, typer.Option(help="Of the sampling, if not 1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything as JSON.")]
ROLES = (
    *("proxy", "gold", "kl", "length", "prompt", "response", "logprob", "ref_logprob", "step"),
)


def fit(
    files: Files,
    column: Column = None,
    kl_unit: KLUnit = "sequence",
    kl_estimator: KLEstimator = "k1",
    temperature: Temperature = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each run, PNG and SVG.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the coefficients as CSV.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit the laws of overoptimization to a run: coefficients, peak, intervals.

    Exit code 0 where every run was fitted, 3 where one could not be (no KL, too few points), 1
    where a file cannot be read.
    """
    from overopt.runs.fit import fit_run
    from overopt.runs.fit_text import describe_record, describe_run, fit_table

    all_fits, failed = [], []
    for curve in _curves(files, column, kl_unit, kl_estimator, temperature):
        try:
            fits = fit_run(curve)
        except UserError as error:
            failed.append({"run": curve.name, "reason": str(error)})
            if not as_json:
                lines = [f"{curve.name}: {curve.format}", *describe_record(curve)]
                print("\n".join([*lines, f"  not fitted: {error}"]))
            continue
        all_fits += fits
        if not as_json:
            print(describe_run(curve, fits))
        if plot is not None:
            from overopt.runs.fit_plot import plot_run

            plot.mkdir(parents=True, exist_ok=True)
            for path in plot_run(fits, plot / _file_name(curve.name)):
                print(f"  drawn: {path}", file=sys.stderr)
    table = fit_table(all_fits)
    if csv is not None:
        table.to_csv(csv, index=False)
    if as_json:
        _print_json({"fits": table.to_dict("records"), "not_fitted": failed})
    if failed:
        raise typer.Exit(3)


def diagnose(
    files: Files,
    column: Column = None,
    kl_unit: KLUnit = "sequence",
    kl_estimator: KLEstimator = "k1",
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Check a run for overoptimization: one line a check, then stop, go on, or cannot tell.

    Exit code 0 for go on and cannot tell, 4 for stop, 1 where a file cannot be read.
    """
    from dataclasses import asdict

    from overopt.runs.diagnose import diagnose as diagnose_record

    records = _records(files, column, kl_unit, kl_estimator, temperature)
    found = [diagnose_record(record) for record in records]
    if as_json:
        _print_json({"runs": [asdict(diagnosis) for diagnosis in found]})
    else:
        for diagnosis in found:
            print(f"{diagnosis.name}")
            for check in diagnosis.checks:
                print(f"  {check.verdict:<11}  {check.name}: {check.evidence}")
                if check.advice:
                    print(f"{'':15}{check.advice}")
            print(f"  => {diagnosis.verdict}: {diagnosis.why} (evidence: {diagnosis.level})")
    if any(diagnosis.verdict == "stop" for diagnosis in found):
        raise typer.Exit(4)


def kl(
    policy: Annotated[str, typer.Argument(help="Folder or name of the trained policy.")],
    reference: Annotated[str, typer.Argument(metavar="REF", help="What it was trained from.")],
    completions: Annotated[Path, typer.Option(help="Prompts and the policy's responses.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the rows with their KL, as JSON lines.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Responses read at once.")] = 8,
    temperature: Annotated[float, typer.Option(help="Of the sampling.")] = 1.0,
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Whether the responses ended by themselves.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure the KL of a policy from its reference on saved completions, nats per sequence."""
    from dataclasses import asdict

    from overopt.runs.kl import measure_kl

    try:
        found = measure_kl(
            *(policy, reference, completions),
            out=out,
            batch_size=batch_size,
            temperature=temperature,
            ends_with_eos=eos,
        )
    except UserError as error:
        raise mistake(error) from None
    if as_json:
        _print_json(asdict(found))
        return
    print(
        f"KL(policy || reference), nats per sequence: {found.exact:.4g} +- {found.exact_error:.2g} "
        f"(exact per token), {found.sampled:.4g} +- {found.sampled_error:.2g} (sampled, k1); "
        f"standard errors over {found.num_prompts} prompts, {found.num_responses} responses of "
        f"{found.tokens_per_response:.1f} tokens"
    )


def label_plan(
    file: Annotated[Path, typer.Argument(help="Scored samples of the initial policy.")],
    budget: Annotated[int, typer.Option(help="Labels that can be had.")] = 256,
    out: Annotated[Path, typer.Option(help="JSON lines to fill in.")] = Path("label_plan.jsonl"),
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    column: Column = None,
) -> None:
    """Choose which responses to have judged, and write them; `overopt fit` reads them back."""
    from overopt.runs.label_plan import plan_labels, write_plan
    from overopt.runs.record import ScoredSamples

    (record,) = _records([file], column, "sequence", "k1", None)[:1]
    try:
        if not isinstance(record, ScoredSamples):
            raise UserError(f"{file}: holds means, not scored responses; nothing can be judged")
        plan = plan_labels(record, budget, seed)
        write_plan(record, plan, file, out)
    except UserError as error:
        raise mistake(error) from None
    ns = sorted({planned.n for planned in plan})
    print(
        f"{len(plan)} responses to judge, winners of best-of-n at n = {', '.join(map(str, ns))}: "
        f"{out}. Fill in gold, then: overopt fit {out}"
    )


def _records(
    files: list[Path],
    column: list[str] | None,
    unit: Literal["sequence", "token"],
    estimator: Literal["k1", "k2", "k3", "exact"],
    temperature: float | None,
):
    from overopt.runs.reading import Choices, read_run

    try:
        choices = Choices(_named(column), unit, estimator, temperature)
        return [record for file in files for record in read_run(file, choices)]
    except UserError as error:
        raise mistake(error) from None


def _curves(
    files: list[Path],
    column: list[str] | None,
    unit: Literal["sequence", "token"],
    estimator: Literal["k1", "k2", "k3", "exact"],
    temperature: float | None,
):
    from overopt.runs.curves import curve_of_samples
    from overopt.runs.record import ScoredSamples

    records = _records(files, column, unit, estimator, temperature)
    try:
        return [
            curve_of_samples(record) if isinstance(record, ScoredSamples) else record
            for record in records
        ]
    except UserError as error:
        raise mistake(error) from None


def _named(column: list[str] | None) -> dict[str, str]:
    named: dict[str, str] = {}
    for item in column or []:
        role, equals, key = item.partition("=")
        if not equals or role not in ROLES:
            raise UserError(f"--column {item}: expected ROLE=KEY, ROLE one of {', '.join(ROLES)}")
        named[role] = key
    return named


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:80]


def _print_json(content: object) -> None:
    print(json.dumps(_plain(content), indent=2, default=str))


def _plain(value: object) -> object:
    """JSON has no infinity and no NaN: they become null, as texts tell what null means."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast(dict[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(list[object], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def mistake(error: UserError) -> typer.Exit:
    """Print a user's mistake in one line; the exit that goes with it."""
    print(f"error: {error}", file=sys.stderr)
    return typer.Exit(1)
