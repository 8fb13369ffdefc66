"""Claims on slopes, calibration, labels and single prompts (Gao et al. 2022, sections 2.2, 4.2)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from overopt.analysis.sweeps import over
from overopt.claims.evidence import Evidence, NotRun, size_cells
from overopt.claims.fitted_forms import by_cell, count_above, fitted_forms, own_form
from overopt.claims.registry import claim
from overopt.claims.verdicts import Condition, Finding
from overopt.config.cells import DATA_KEYS, GROUP_KEYS, PROXY_RM_KEYS, RM_KEYS
from overopt.config.methods import METHODS
from overopt.theory.form_fits import fit
from overopt.theory.forms import BEST_OF_N

Array = npt.NDArray[np.float64]

MISCALIBRATED = 0.05  # of the logarithm of a temperature: 5 % off
LOSS_MARGIN = 0.001  # nats
MUCH_NOISIER = 2.0
NUM_SIMULATIONS = 4000


@claim(
    "C47",
    title="Gold's slope is below the proxy's",
    says="At first gold rises less per distance than the proxy score: the regressional part.",
    section="4.2.1",
)
def gold_slope_is_lower(evidence: Evidence) -> Finding:
    """Alpha of the proxy minus alpha of gold, the method's own form, is not below 0."""
    conditions, notes = [], []
    for method in ("best_of_n", "ppo"):
        cells = size_cells(evidence, method)
        proxy, gold = (
            by_cell(forms, "alpha", own_form(forms))
            for forms in (fitted_forms(evidence, cells, score) for score in ("proxy", "gold"))
        )
        deficit = proxy - gold
        statistic = (
            f"alpha of the proxy score minus alpha of gold, {METHODS[method].label}, mean over "
            f"{deficit.shape[1]} RM sizes (sd per sqrt(nat))"
        )
        conditions.append(Condition(statistic, deficit.mean(axis=1), low=0))
        notes.append(f"Above 0 at {count_above(deficit)} RM sizes with {METHODS[method].label}.")
    notes.append("The proxy score is recalibrated, so its slope depends on its temperature.")
    return Finding(conditions, " ".join(notes))


@claim(
    "C51",
    title="Hard labels miscalibrate",
    says="Hard labels make proxies miscalibrated: a temperature fitted to soft labels is not 1 and "
    "improves the loss.",
    section="2.2",
)
def hard_labels_miscalibrate(evidence: Evidence) -> Finding:
    """The best temperature of RMs trained on hard labels is not 1, and improves their loss."""
    main, excluded = evidence.main_policy, evidence.excluded_sizes
    rms = over(evidence.proxy_rms, *DATA_KEYS, main_policy=main, excluded_sizes=excluded)
    if rms.empty:
        raise NotRun("no RM was trained on deterministic labels")
    distance = _over_rms(evidence, rms.assign(value=np.abs(np.log(rms["temperature"]))))
    gain = rms["soft_label_loss"] - rms["recalibrated_soft_label_loss"]
    conditions = [
        Condition(
            f"distance of the best temperature from 1, |log T|, mean over {len(rms)} RMs",
            distance,
            low=MISCALIBRATED,
        ),
        Condition(
            f"loss on soft labels before minus after recalibration, mean over {len(rms)} RMs "
            "(nats)",
            _over_rms(evidence, rms.assign(value=gain)),
            low=LOSS_MARGIN,
        ),
    ]
    note = (
        f"Temperatures from {rms['temperature'].min():.2f} to {rms['temperature'].max():.2f}; "
        f"above 1 (overconfident) for {int((rms['temperature'] > 1).sum())} of {len(rms)}. The "
        "loss can only improve on the labels the temperature is fitted to."
    )
    return Finding(conditions, note)


@claim(
    "C52",
    title="Sampled labels are noisier",
    says="Labels sampled from the gold RM's probabilities give noisier results than deterministic "
    "ones.",
    section="2.1, footnote 4",
)
def sampled_labels_are_noisier(evidence: Evidence) -> Finding:
    """Between RM seeds, gold under best-of-n varies more with sampled labels."""
    per_seed = _mean_gold_by_seed(evidence)
    keys = [key for key in RM_KEYS if key != "labels"]
    table = per_seed.groupby([*keys, "labels"])["gold"].agg(["var", "count", "mean"])
    table = table[table["count"] >= 2].unstack("labels").dropna()
    if table.empty or ("var", "sampled") not in table:
        raise NotRun(
            "no RM with two seeds of both sampled and deterministic labels: switch on the sweep "
            "sampled_labels"
        )
    freedom = {kind: int((table["count"][kind] - 1).sum()) for kind in table["var"]}
    pooled = {
        kind: float((table["var"][kind] * (table["count"][kind] - 1)).sum()) / freedom[kind]
        for kind in table["var"]
    }
    estimate = np.log(pooled["sampled"] / pooled["deterministic"])
    draws = evidence.generator("C52").f(
        freedom["sampled"], freedom["deterministic"], NUM_SIMULATIONS
    )
    statistic = (
        "log ratio of the variance between RM seeds of the mean gold score under best-of-n, "
        f"sampled over deterministic labels, pooled over RM sizes: {len(table)}"
    )
    change = float((table["mean"]["sampled"] - table["mean"]["deterministic"]).mean())
    note = (
        f"Standard deviations {np.sqrt(pooled['sampled']):.3f} and "
        f"{np.sqrt(pooled['deterministic']):.3f} sd, with {freedom['sampled']} and "
        f"{freedom['deterministic']} degrees of freedom; the interval is from the F distribution. "
        f"Sampled labels change the mean gold score by {change:+.3f} sd."
    )
    values = np.append(estimate, estimate - np.log(draws))
    return Finding([Condition(statistic, values, low=0, is_simulated=True)], note)


@claim(
    "C53",
    title="Single prompts are noisy",
    says="Gold curves of single prompts are far noisier than their mean.",
    section="Table 2",
)
def single_prompts_are_noisy(evidence: Evidence) -> Finding:
    """A prompt's own gold curve strays from the law more than the mean curve does."""
    cells = size_cells(evidence, "best_of_n")
    mean_rmse = by_cell(fitted_forms(evidence, cells, "gold"), "rmse", "best_of_n")
    singles = _single_prompts(evidence, cells)
    rmse, share = (np.stack([cell[part] for cell in singles], axis=1) for part in (0, 1))
    excess = rmse - MUCH_NOISIER * mean_rmse
    statistic = (
        "RMSE about d (a - b d) of a single prompt's gold curve minus twice that of the mean "
        f"curve, best-of-n, mean over {len(cells)} RM sizes (sd)"
    )
    note = (
        f"RMSE {rmse[0].mean():.3f} sd for a prompt, {mean_rmse[0].mean():.3f} for the mean; "
        f"{share[0].mean():.0%} of the prompts have a gold curve of their own that rises and then "
        "falls. Single curves are estimated from a whole pool; the paper's table 2 shows one draw."
    )
    return Finding([Condition(statistic, excess.mean(axis=1), low=0)], note)


def _over_rms(evidence: Evidence, rms: pd.DataFrame) -> Array:
    """Mean over RMs of the column value, (1 + B,): over seeds as the replicates draw them."""
    weights = evidence.statistics.resamples.seed_weights
    means = [
        weights(rows["seed"].tolist(), str(rows["proxy_size"].iloc[0]))
        @ rows["value"].to_numpy(dtype=np.float64)
        for _, rows in rms.groupby(RM_KEYS)
    ]
    return np.mean(means, axis=0)


def _mean_gold_by_seed(evidence: Evidence) -> pd.DataFrame:
    """Gold under best-of-n of the main policy, mean over n >= 2 and prompts, one row per RM."""
    curves = evidence.curves
    rows = curves[(curves["method"] == "best_of_n") & (curves["n"] >= 2)]
    rows = over(rows, "labels", *DATA_KEYS, main_policy=evidence.main_policy)
    means = rows.groupby(PROXY_RM_KEYS)["recalibrated_gold_score"].mean()
    return means.rename("gold").reset_index()


def _single_prompts(evidence: Evidence, cells: pd.DataFrame) -> list[tuple[Array, Array]]:
    """Of each cell: RMSE about the law and share that is unimodal of single prompts, (1 + B,)."""
    curves = evidence.curves
    best_of_n = curves[curves["method"] == "best_of_n"]
    resamples = evidence.statistics.resamples
    result = []
    for _, cell in cells.iterrows():
        rows = best_of_n
        for key in GROUP_KEYS[1:]:
            rows = rows[rows[key] == cell[key]]
        by_seed = {
            int(str(seed)): run.pivot(
                index="prompt_id", columns="n", values="recalibrated_gold_score"
            ).to_numpy(dtype=np.float64)
            for seed, run in rows.groupby("seed", sort=True)
        }
        kl = rows.drop_duplicates("n").sort_values("n")["kl"].to_numpy(dtype=np.float64)
        weights = resamples.seed_weights(list(by_seed), str(cell["proxy_size"]))
        rmse = [resamples.prompt_weights @ _rmse(np.sqrt(kl), g) for g in by_seed.values()]
        share = [resamples.prompt_weights @ is_unimodal(g) for g in by_seed.values()]
        result.append(tuple((np.stack(x, axis=1) * weights).sum(axis=1) for x in (rmse, share)))
    return result


def _rmse(d: Array, gold: Array) -> Array:
    """RMSE of each row of `gold` (Q, n) about its own fit of the best-of-n form, without n = 1."""
    law = fit(BEST_OF_N, np.broadcast_to(d, gold.shape), gold)
    residual = gold - BEST_OF_N.score(d, law.alpha[:, None], law.beta[:, None])
    return np.sqrt((residual[:, d > 0] ** 2).mean(axis=1))


def is_unimodal(curves: Array) -> Array:
    """Whether each row rises to an inner highest point and falls after it, 1.0 or 0.0."""
    steps = np.diff(curves, axis=1)
    peak = np.argmax(curves, axis=1)[:, None]
    position = np.arange(steps.shape[1])
    is_up, is_down = steps >= 0, steps <= 0
    is_as_expected = np.where(position < peak, is_up, is_down).all(axis=1)
    is_inner = (peak[:, 0] > 0) & (peak[:, 0] < steps.shape[1])
    return (is_as_expected & is_inner).astype(np.float64)
