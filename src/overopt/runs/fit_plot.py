"""The picture of a fitted run: proxy and gold against sqrt(KL), with the run's own law."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from overopt.figures.style import save_figure
from overopt.runs.fit import FittedRun
from overopt.theory.forms import FORMS


def plot_run(fits: Sequence[FittedRun], path: Path) -> list[Path]:
    """Draw the fits of one run (gold, proxy); write PNG and SVG beside each other; their paths."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for fit, color in zip(fits, ("#b8860b", "#3b6ea5"), strict=False):
        axes.plot(fit.d, fit.values, "o", color=color, markersize=4, label=f"{fit.score}, measured")
        reach = np.linspace(0, float(fit.d.max()), 200)
        form = fit.own
        law = FORMS[fit.own_form].score(reach, form.alpha.estimate, form.beta.estimate)
        axes.plot(reach, law, color=color, linewidth=1.4, label=f"{fit.score}, {fit.own_form} law")
        if fit.is_peak_reached:
            axes.axvline(float(np.sqrt(form.peak_kl.estimate)), color=color, linestyle=":")
    axes.axhline(0, color="gray", linewidth=0.6)
    axes.set_xlabel("sqrt(KL), KL in nats per sequence")
    axes.set_ylabel(f"score ({fits[0].unit})", wrap=True)
    axes.set_title(fill(fits[0].curve.name, 80), fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path)
