"""Every job has the same bootstrap replicates, whichever cells it looks at."""

import re
from pathlib import Path

import numpy as np

import overopt
from curve_examples import GOLD_SD, study_curves, temperatures
from overopt.analysis.curve_statistics import QUANTITIES
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import study_statistics
from overopt.config.analysis import AnalysisConfig

CONFIG = AnalysisConfig(num_bootstrap=20)


def test_some_cells_have_the_replicates_of_all() -> None:
    raw = study_curves(np.random.default_rng(0), sizes=("s1", "s4"), num_prompts=12)
    curves = recalibrate(raw, temperatures(raw), main_policy="small", gold_sd=GOLD_SD)
    # s4 has one seed less, so that the seeds of its own rows are not those of the study.
    curves = curves[(curves["proxy_size"] == "s1") | (curves["seed"] == 0)]
    whole = study_statistics(curves, CONFIG, 3)
    part = study_statistics(curves, CONFIG, 3, curves[curves["proxy_size"] == "s4"])
    columns = whole.groups.index[whole.groups["proxy_size"] == "s4"]
    assert len(part.groups) == len(columns)
    for quantity in set(QUANTITIES) - {"shared_alpha", "shared_beta", "shared_r2"}:
        np.testing.assert_array_equal(whole.values[quantity][:, columns], part.values[quantity])
    np.testing.assert_array_equal(whole.resamples.seed_draws("s4"), part.resamples.seed_draws("s4"))


def test_no_other_module_computes_statistics_of_its_own() -> None:
    package = Path(overopt.__file__).parent
    users = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"import .*\bcurve_statistics\b|\bresamples_of\b", path.read_text())
    }
    assert users == {"analysis/statistics.py", "analysis/curve_statistics.py"}
