"""Tables of a synthetic study that has every sweep of the paper, for tests of the figures."""

from pathlib import Path

import numpy as np
import pandas as pd

from curve_examples import GOLD_SD, PROXIES, study_curves, temperatures
from overopt.analysis.form_tables import extrapolation_table, form_table, study_forms
from overopt.analysis.gold_ceiling import gold_ceiling_table
from overopt.analysis.kl_comparison import kl_differences
from overopt.analysis.paper_comparison import compare_with_paper
from overopt.analysis.recalibration import recalibrate
from overopt.analysis.statistics import deep_statistics, study_statistics
from overopt.analysis.sweeps import over
from overopt.analysis.tables import binned_curves, coefficients, peaks
from overopt.analysis.trends import trend_lines
from overopt.config.analysis import AnalysisConfig, AnalysisSettings
from overopt.config.cells import RM_COLUMNS
from overopt.config.figures import FIGURE_TABLES, FigureSettings
from overopt.config.gold_ceiling import GoldCeilingSettings
from overopt.figures.inputs import FigureTables
from overopt.theory.kl import best_of_n_kl, default_ns

AMOUNTS = (500, 1_000, 2_000, 8_000, 20_000, 60_000)
SEEDS = (0, 1, 2)
KL_COEFS = (0.0, 0.01, 0.02, 0.05, 0.1)


def settings(num_bootstrap: int = 200) -> FigureSettings:
    return FigureSettings(
        main_policy="small",
        excluded_sizes=["x1", "x2"],
        analysis=AnalysisConfig(num_bootstrap=num_bootstrap),
        bootstrap_seed=1,
    )


def all_curves(rng: np.random.Generator, num_prompts: int = 24) -> pd.DataFrame:
    """Raw curves of every sweep; near-chance sizes, policies, penalties, epochs and labels too."""
    shared = {"seeds": SEEDS, "num_prompts": num_prompts}
    seed = int(rng.integers(2**31))

    def some(**chosen: object) -> pd.DataFrame:
        # The prompts are drawn first, so one seed gives every sweep the same prompts.
        return study_curves(np.random.default_rng(seed), **(shared | chosen))  # type: ignore[arg-type]

    data = some(methods=("best_of_n",), num_comparisons=AMOUNTS)
    frames = [
        data,
        _near_chance(some(methods=("best_of_n",), sizes=("s1", "s2"))),
        some(methods=("ppo",)),
        some(methods=("ppo",), sizes=("s4",), num_comparisons=(2_000, 8_000, 60_000)).query(
            "num_comparisons < 60_000"
        ),
        _repeated(data[data["num_comparisons"] == 2_000]),
        some(methods=("best_of_n",), sizes=("s3", "s5")).assign(labels="sampled"),
    ]
    for policy, size, start in (("large", "s4", 0.35), ("large", "s7", 0.3)):
        frames.append(_policy(some(sizes=(size,)), policy, start))
    frames.append(_policy(some(methods=("best_of_n",), sizes=("s4", "s7")), "smalllonger", 0.15))
    frames += [
        _penalized(some(methods=("ppo",), sizes=("s5",)), coefficient)
        for coefficient in KL_COEFS[1:]
    ]
    return pd.concat(frames, ignore_index=True)


def deep_curves(rng: np.random.Generator, num_prompts: int = 12) -> pd.DataFrame:
    """Raw curves of large-n best-of-n: the forms of `study_curves`, to n = 60,000."""
    ns = np.array(default_ns(60_000))
    curves = study_curves(
        rng, seeds=SEEDS, num_prompts=num_prompts, methods=("best_of_n",), sizes=("s1", "s4")
    )
    frames = []
    for _, cell in curves.groupby(["proxy_size", "seed", "prompt_id"]):
        cell = cell.sort_values("n")
        d, wanted = np.sqrt(cell["kl"]), np.sqrt(best_of_n_kl(ns))
        rows = cell.iloc[np.zeros(len(ns), dtype=int)].assign(
            n=pd.array(ns, dtype="Int64"), kl=wanted**2, kl_estimate=wanted**2
        )
        for name in ("gold_score", "proxy_score"):
            quadratic = np.polyfit(d, cell[name], 2)
            rows[name] = np.polyval(quadratic, wanted)
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def example_tables(
    rng: np.random.Generator, *, num_prompts: int = 24, num_bootstrap: int = 200
) -> FigureTables:
    """Every table of the study, as its jobs write them."""
    options = settings(num_bootstrap=num_bootstrap)
    curves, deep = (_recalibrated(raw) for raw in (all_curves(rng, num_prompts), deep_curves(rng)))
    return tables_of(options, curves, deep, rng)


def tables_of(
    options: FigureSettings, curves: pd.DataFrame, deep: pd.DataFrame, rng: np.random.Generator
) -> FigureTables:
    """The tables that these recalibrated curves give; `deep` may have no rows."""
    fit_options = AnalysisSettings(
        main_policy=options.main_policy,
        excluded_sizes=options.excluded_sizes,
        analysis=options.analysis,
        seed=options.bootstrap_seed,
    )
    config, seed = options.analysis, options.bootstrap_seed
    statistics = study_statistics(curves, config, seed)
    # The figures show the forms of the sweep over sizes only, and fitting them takes time.
    sweep = over(curves, main_policy=options.main_policy)
    parts = [(False, sweep, study_statistics(curves, config, seed, sweep))]
    if len(deep):
        parts.append((True, deep, deep_statistics(deep, config, seed)))
    compared = [
        (is_deep, form)
        for is_deep, source, statistic in parts
        for form in study_forms(source, statistic, fit_options)
    ]
    metrics = proxy_rms(curves, rng)
    return FigureTables(
        settings=options,
        curves=curves,
        deep_curves=deep,
        binned_curves=binned_curves(statistics),
        coefficients=coefficients(statistics),
        peaks=peaks(statistics),
        trend_lines=trend_lines(statistics, "small", options.excluded_sizes),
        proxy_rms=metrics,
        forms=pd.concat([form_table(f).assign(is_deep=d) for d, f in compared]),
        extrapolation=pd.concat([extrapolation_table(f).assign(is_deep=d) for d, f in compared]),
        kl_estimate=pd.concat(
            [
                kl_differences(source, statistic, options.analysis).assign(is_deep=is_deep)
                for is_deep, source, statistic in parts
            ]
        ),
        gold_ceiling=gold_ceiling(rng),
        paper_comparison=compare_with_paper(curves, metrics, fit_options),
        iterations=iterations(rng),
    )


def proxy_rms(curves: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Metrics of every proxy RM: chance up to 2,000 comparisons, then better with data and size."""
    rows = curves[RM_COLUMNS].drop_duplicates().reset_index(drop=True)
    data = np.clip(np.log(rows["num_comparisons"] / 1_000) / np.log(60), 0, 1)
    size = 0.5 + 0.1 * np.log10(rows["num_parameters"] / 100)
    is_near_chance = rows["proxy_size"].isin(["x1", "x2"])
    loss = np.log(2) - np.where(is_near_chance, 0.01, 0.5 * data * size)
    return rows.assign(
        validation_loss=loss + rng.normal(0, 0.01, len(rows)), validation_accuracy=0.8
    )


def gold_ceiling(rng: np.random.Generator) -> pd.DataFrame:
    """Best-of-n by gold, of scores without long tails."""
    options = GoldCeilingSettings(max_n=64, analysis=AnalysisConfig(num_bootstrap=50), seed=0)
    return gold_ceiling_table(rng.uniform(size=(8, 256)), 1 / np.sqrt(12), options)


def iterations(rng: np.random.Generator) -> pd.DataFrame:
    """Shares of clipped ratios that grow in training, one row per iteration of each run."""
    step = np.arange(100)
    frames = [
        pd.DataFrame(
            {"step": step, "clipfrac": 0.04 * step / 100 + rng.exponential(0.01, 100)}
        ).assign(proxy_size=size, num_parameters=PROXIES[size][0], seed=seed)
        for size in PROXIES
        for seed in SEEDS
    ]
    return pd.concat(frames, ignore_index=True)


def write_tables(tables: FigureTables, folder: Path) -> list[Path]:
    """Write the tables as the jobs do; returns their paths, in the order of FIGURE_TABLES."""
    paths = [folder / Path(name).name for name in FIGURE_TABLES]
    for path in paths:
        table = getattr(tables, path.stem)
        if path.suffix == ".parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, index=False, float_format="%.9g")
    return paths


def _recalibrated(raw: pd.DataFrame) -> pd.DataFrame:
    return recalibrate(raw, temperatures(raw), main_policy="small", gold_sd=GOLD_SD)


def _near_chance(curves: pd.DataFrame) -> pd.DataFrame:
    """Two sizes below the smallest, which gain little."""
    names = {"s1": ("x1", 96), "s2": ("x2", 160)}
    first = curves["n"].eq(1)
    start = curves[first].set_index(["proxy_size", "seed", "prompt_id"])
    result = curves.set_index(["proxy_size", "seed", "prompt_id"])
    for name, share in (("gold_score", 0.3), ("proxy_score", 0.2)):
        base = start[name].reindex(result.index)
        result[name] = base + share * (result[name] - base)
    result = result.reset_index()
    sizes = result["proxy_size"].map(lambda size: names[size][1])
    return result.assign(
        num_parameters=sizes, proxy_size=result["proxy_size"].map(lambda size: names[size][0])
    )


def _repeated(curves: pd.DataFrame) -> pd.DataFrame:
    """Four epochs on the same data: hardly anything changes."""
    return curves.assign(num_epochs=4, gold_score=curves["gold_score"] + 0.01 * curves["kl"])


def _policy(curves: pd.DataFrame, policy: str, start: float) -> pd.DataFrame:
    """Another policy: it starts higher, gains less, and spends less KL per step."""
    kl = curves["kl"] * np.where(curves["method"] == "ppo", 0.7, 1.0)
    shift = start * GOLD_SD * (1 - 0.1 * np.sqrt(kl))
    return curves.assign(
        policy_size=policy,
        kl=kl,
        kl_estimate=kl.where(curves["method"] == "best_of_n"),
        gold_score=curves["gold_score"] + shift,
        proxy_score=curves["proxy_score"] + 0.8 * shift,
    )


def _penalized(curves: pd.DataFrame, coefficient: float) -> pd.DataFrame:
    """Under a KL penalty a run reaches less KL, and its proxy score is higher at equal KL."""
    most = float(curves["kl"].max())
    limit = most / (1 + 60 * coefficient)
    kl = limit * (1 - np.exp(-curves["kl"] / limit))
    d, before = np.sqrt(kl), np.sqrt(curves["kl"])
    share = np.where(before > 0, d / before.where(before > 0, 1), 1)
    offsets = curves[curves["step"].eq(0)].set_index(["seed", "prompt_id"])
    index = pd.MultiIndex.from_frame(curves[["seed", "prompt_id"]])
    values = {}
    for name in ("gold_score", "proxy_score"):
        base = offsets[name].reindex(index).to_numpy()
        values[name] = base + (curves[name] - base) * share * (1 + 2 * coefficient)
    return curves.assign(kl_coef=coefficient, kl=kl, kl_k1=kl, **values)
