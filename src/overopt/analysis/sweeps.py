"""
The sweeps of the paper (Gao et al. 2022, section 3), as selections of cells.

A sweep over some axes of the grid holds every other axis at its plain value, which the axis says
itself (`overopt.config.cells`). A cell that differs in an axis nobody asked for is left out, so a
new axis changes no table of the others. pandas is not imported, so that Snakemake may ask too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from overopt.config.axes import Axis
from overopt.config.cells import ALL_AXES, CELL_KEYS, DEFAULTS, Run

if TYPE_CHECKING:
    import pandas as pd


def over(
    table: pd.DataFrame, *axes: str, main_policy: str, excluded_sizes: Collection[str] = ()
) -> pd.DataFrame:
    """Rows of `table` in a sweep over `axes`; see `cells_of_sweep`.

    The table has some of CELL_KEYS as columns. No axis named: the sweep over RM sizes.
    """
    keys = [key for key in CELL_KEYS if key in table and key != "seed"]
    if table.empty or not keys:
        return table
    cells = table[keys].drop_duplicates().to_dict("records")
    kept = cells_of_sweep(cells, axes, main_policy, excluded_sizes)  # pyright: ignore[reportArgumentType]
    return table[table.groupby(keys, sort=False).ngroup().isin(kept)]


def runs_over(
    runs: Sequence[Run], *axes: str, main_policy: str, excluded_sizes: Collection[str] = ()
) -> list[Run]:
    """Runs in a sweep over `axes`; see `cells_of_sweep`."""
    cells = [run.columns(0) for run in runs]
    return [runs[i] for i in cells_of_sweep(cells, axes, main_policy, excluded_sizes)]


def cells_of_sweep(
    cells: Sequence[Mapping[str, object]],
    axes: Collection[str],
    main_policy: str,
    excluded_sizes: Collection[str] = (),
) -> list[int]:
    """Positions of the cells that a sweep over `axes` holds, method by method.

    Every other axis is at its plain value: of the main policy, the defaults, then the most data,
    then the fewest epochs (Gao et al. 2022, section 3.2). All sizes of proxy RMs but
    `excluded_sizes`, those near chance (footnote 3), and all seeds. Axes that the cells do not
    name are not asked for.

    Raises
    ------
    ValueError
        Where one of `axes` is no axis of the grid.
    """
    if unknown := set(axes) - set(ALL_AXES):
        raise ValueError(f"no axis of the grid: {', '.join(sorted(unknown))}")
    by_method: dict[object, list[int]] = {}
    for position, cell in enumerate(cells):
        if cell.get("proxy_size") not in excluded_sizes:
            by_method.setdefault(cell.get("method"), []).append(position)
    fixed = {
        name: axis
        for name, axis in ALL_AXES.items()
        if name not in axes and cells and name in cells[0]
    }
    return sorted(
        position
        for positions in by_method.values()
        for position in _at_plain_values(cells, positions, fixed, main_policy)
    )


def _at_plain_values(
    cells: Sequence[Mapping[str, object]],
    positions: list[int],
    fixed: Mapping[str, Axis],
    main_policy: str,
) -> list[int]:
    def named(plain: str) -> list[str]:
        return [name for name, axis in fixed.items() if axis.plain == plain]

    wanted = dict.fromkeys(named("main"), main_policy) | {n: DEFAULTS[n] for n in named("default")}
    kept = [i for i in positions if all(cells[i][name] == v for name, v in wanted.items())]
    for plain, choose in (("most", max), ("fewest", min)):
        for name in named(plain):
            extreme = choose((cells[i][name] for i in kept), default=None)  # type: ignore[type-var]
            kept = [i for i in kept if cells[i][name] == extreme]
    return kept
