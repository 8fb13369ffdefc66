"""The job of a method that is a function, of the project or a plugin: run it, check its curve."""

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from overopt.config.method_job import MethodSettings
from overopt.config.methods import METHODS
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.jobs.plugins import resolve
from overopt.methods.curves import MEASUREMENTS, curve_table
from overopt.methods.method_files import MethodFiles


def optimize_by_name(job: Job, settings: MethodSettings, files: MethodFiles) -> None:
    """Run the function that the method names, with this job, its settings and its files.

    It must write `files.curve`, by `overopt.methods.curves.curve_table`; what else it leaves beside
    the curve becomes a result too.

    Raises
    ------
    UserError
        The function is not there, takes other parameters, or writes a curve that is none.
    """
    place = METHODS[settings.run.method].job
    resolve(place, ("job", "settings", "files"))(job, settings, files)
    if not files.curve.is_file():
        raise UserError(
            f"{place}: wrote no curve; expected the table of curve_table at files.curve"
        )
    if fault := curve_fault(pd.read_parquet(files.curve), settings):
        raise UserError(
            f"{place}: {fault}; expected the table of overopt.methods.curves.curve_table"
        )


def curve_fault(curve: pd.DataFrame, settings: MethodSettings) -> str:
    """What is wrong with the curve of a run, in words; empty if nothing."""
    num_prompts = settings.num_evaluation_prompts
    nothing = {"kl": np.zeros((1, num_prompts))}
    model = curve_table(settings.run, 0, [0], nothing)
    if list(curve.columns) != list(model.columns):
        return f"the curve has the columns {', '.join(map(str, curve.columns))}"
    if curve.empty or len(curve) % num_prompts:
        return f"the curve has {len(curve)} rows for {num_prompts} evaluation prompts"
    cell = [name for name in curve if name not in _MEASURED and name != "num_parameters"]
    for name in cell:
        if set(curve[name].dropna()) != set(model[name].dropna()):
            return f"the curve's {name} is not that of the run"
    point = METHODS[settings.run.method].point
    if curve[point].isna().any():
        return f"the curve lacks {point}, which numbers its points"
    for name in ("kl", "proxy_score", "gold_score"):
        values = curve[name]
        if not is_numeric_dtype(values) or not np.isfinite(values.to_numpy(float)).all():
            return f"the curve's {name} is not finite everywhere"
    return ""


_MEASURED = {"n", "step", "prompt_id", *MEASUREMENTS}
