"""
The reference study: small results in the repository that a new run is compared with.

A coefficient is *outside* where the new estimate lies outside the reference's interval. Both runs
have sampling error, so some are outside by chance: for each coefficient the chance follows from
both intervals, and its sum is told. *Beyond chance* is one whose difference is significant over all
coefficients together (Bonferroni, which holds however they depend on each other). Intervals cover
prompts and reward-model seeds, not another gold reward model or world.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from overopt.config.cells import DEFAULTS, GROUP_KEYS
from overopt.errors import UserError

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "reference"
CELL = ["form", *(key for key in GROUP_KEYS if key != "num_parameters")]
KEYS = [*CELL, "coefficient"]
FAMILY_WISE_ERROR = 0.05
INTERVAL_CONFIDENCE = 0.95  # where the reference's settings do not say


@dataclass(frozen=True)
class ReferenceComparison:
    """A new run beside the reference.

    Attributes
    ----------
    coefficients
        One row per coefficient that both have: KEYS, estimate, low, high (new), reference,
        reference_low, reference_high, chance (to lie outside by sampling error), distance (in
        standard errors of the difference), is_outside, is_beyond_chance.
    missing, added
        Fits (CELL) that only the reference has, that only the new run has.
    verdicts
        One row per claim whose verdict changed: id, title, reference, verdict. A claim that one
        side does not list counts as "absent" there.
    settings
        Settings that differ, "key: reference's -> this run's".

    """

    coefficients: pd.DataFrame
    missing: pd.DataFrame
    added: pd.DataFrame
    verdicts: pd.DataFrame
    settings: list[str]

    @property
    def reversed_verdicts(self) -> pd.DataFrame:
        """Rows of `verdicts` that went from supported to contradicted or back."""
        sides = self.verdicts[["reference", "verdict"]].isin(["supported", "contradicted"])
        return self.verdicts[sides.all(axis=1)]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs beyond what chance gives."""
        return not self.coefficients["is_beyond_chance"].any() and self.reversed_verdicts.empty


def compare_with_reference(results: Path, reference: Path = FOLDER) -> ReferenceComparison:
    """Compare the folder of a finished study with that of the reference.

    Raises
    ------
    UserError
        Where a table is missing, or the two have no fit in common.
    """
    new, old = _fits(results, "finished study"), _fits(reference, "reference study")
    settings, old_settings = study_settings(results), _reference_settings(reference)
    confidence = old_settings.get("analysis", {}).get("confidence", INTERVAL_CONFIDENCE)
    both = _coefficients(new).merge(_coefficients(old), on=KEYS, suffixes=("", "_old"))
    if both.empty:
        raise UserError(
            f"{results} has no fit in common with the reference in {reference}: no cell has the "
            "same policy, proxy size, labels, comparisons, epochs and KL penalty"
        )
    return ReferenceComparison(
        coefficients=_judged(both, confidence),
        missing=_only_in(old, new),
        added=_only_in(new, old),
        verdicts=_changed_verdicts(results, reference),
        settings=_setting_differences(old_settings, settings) if settings else [],
    )


def _fits(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "coefficients.csv"
    if not path.is_file():
        raise UserError(f"{folder}: no coefficients.csv there; expected the folder of a {name}")
    table = pd.read_csv(path).astype({"kl_coef": float})  # a column of zeros reads as integers
    # A table from before an axis was added holds its plain value only.
    return table.assign(**{n: plain for n, plain in DEFAULTS.items() if n not in table})


def _coefficients(fits: pd.DataFrame) -> pd.DataFrame:
    """One row a coefficient; an alpha that all proxy sizes share stands once.

    With one seed there is no interval.
    """
    tables = []
    for name in ("alpha", "beta"):
        numbers = {name: "estimate", f"{name}_low": "low", f"{name}_high": "high"}
        tables.append(fits[[*CELL, *numbers, "num_seeds"]].rename(columns=numbers))
        tables[-1]["coefficient"] = name
    table = pd.concat(tables, ignore_index=True)
    is_shared = (table["form"] == "rl_shared_alpha") & (table["coefficient"] == "alpha")
    table.loc[is_shared, "proxy_size"] = "all"
    table = table.drop_duplicates(KEYS)
    return table[table["estimate"].notna()]


def _judged(both: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """`both` has estimate, low, high, num_seeds of the new run, and with _old the reference's."""
    width = 2 * norm.ppf((1 + confidence) / 2)
    error = (both["high"] - both["low"]).to_numpy() / width
    old_error = (both["high_old"] - both["low_old"]).to_numpy() / width
    # With fewer seeds the error is that of the other run, more so by their number, at least; with
    # one seed there is no interval, and it is just that.
    seeds = np.sqrt(both["num_seeds_old"] / both["num_seeds"]).to_numpy()
    error = np.where(seeds > 1, np.fmax(error, old_error * seeds), error)
    old_error = np.where(seeds < 1, np.fmax(old_error, error / seeds), old_error)
    spread = np.hypot(error, old_error)
    difference = (both["estimate"] - both["estimate_old"]).to_numpy()
    # Without an interval in either run (NaN) nothing can be judged.
    distance = np.abs(difference) / np.where(spread == 0, 1e-300, spread)
    distance = np.where(difference == 0, 0.0, distance)
    below = (both["low_old"] - both["estimate_old"]).to_numpy() / np.maximum(spread, 1e-300)
    above = (both["high_old"] - both["estimate_old"]).to_numpy() / np.maximum(spread, 1e-300)
    is_inside = both["estimate"].between(both["low_old"], both["high_old"])
    limit = norm.ppf(1 - FAMILY_WISE_ERROR / (2 * len(both)))
    names = {f"{name}_old": f"reference_{name}" for name in ("low", "high")}
    return both.rename(columns=names | {"estimate_old": "reference"}).assign(
        chance=norm.cdf(below) + norm.sf(above),
        distance=distance,
        is_outside=~is_inside & both["low_old"].notna(),
        is_beyond_chance=distance > limit,
    )


def _only_in(fits: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    joined = fits[CELL].merge(others[CELL], on=CELL, how="left", indicator=True)
    return joined.loc[joined["_merge"] == "left_only", CELL].reset_index(drop=True)


def _changed_verdicts(results: Path, reference: Path) -> pd.DataFrame:
    new, old = (_verdicts(folder) for folder in (results, reference))
    both = old.merge(new, on="id", how="outer", suffixes=("_old", ""))
    both = both.assign(
        title=both["title"].fillna(both["title_old"]),
        reference=both["verdict_old"].fillna("absent"),
        verdict=both["verdict"].fillna("absent"),
    )
    changed = both[both["reference"] != both["verdict"]]
    number = changed["id"].str.removeprefix("C").astype(int)
    return changed.assign(number=number).sort_values("number")[
        ["id", "title", "reference", "verdict"]
    ]


def _verdicts(folder: Path) -> pd.DataFrame:
    path = folder / "claims.csv"
    if not path.is_file():
        raise UserError(f"{folder}: no claims.csv there; run `snakemake --cores all` first")
    return pd.read_csv(path)[["id", "title", "verdict"]]


def study_settings(results: Path) -> dict[str, Any]:
    """The whole study's settings, from the record of the report's run page; empty without one."""
    path = results / "report" / "run_record.json"
    if not path.is_file():
        return {}
    return json.loads(json.loads(path.read_text(encoding="utf-8"))["config"])


def _reference_settings(reference: Path) -> dict[str, Any]:
    path = reference / "run.json"
    return json.loads(path.read_text(encoding="utf-8"))["settings"] if path.is_file() else {}


def _setting_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = dict(_flat(old)), dict(_flat(new))
    keys = [key for key in [*before, *(after.keys() - before.keys())] if key != "name"]
    return [
        f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in sorted(keys)
        if before.get(key, "absent") != after.get(key, "absent")
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value)
