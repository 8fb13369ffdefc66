"""Which results of two studies differ, and why."""

from dataclasses import dataclass
from pathlib import Path

from overopt.audit.causes import Cause, Causes, Change, setting_changes
from overopt.audit.code_changes import changed_files
from overopt.audit.sides import Side, commit_side, folder_side, git, locked_study, some
from overopt.audit.study_folder import RESULTS
from overopt.errors import UserError

# It tells of the run itself: when each job ran, where, and how long. It always differs.
TELLS_OF_THE_RUN = "report_run.py"


@dataclass(frozen=True)
class Comparison:
    """Two studies side by side.

    Attributes
    ----------
    num_common : results that both have.
    only_first, only_second : results that one side alone has.
    different : results that both have and that differ.
    causes : of `different`, those of most results first.
    settings : of the whole studies, where the report's page has them; `name` aside.
    changed_files : of the code, by the name of a cause; None where git lacks a commit.

    """

    first: Side
    second: Side
    num_common: int
    only_first: list[str]
    only_second: list[str]
    different: list[str]
    causes: list[Cause]
    settings: dict[str, Change]
    changed_files: dict[str, list[str] | None]

    @property
    def is_equal(self) -> bool:
        """Whether both have the same results, byte by byte."""
        return not (self.different or self.only_first or self.only_second)


def compare(first: str, second: str, *, name: str = "", root: Path = Path()) -> Comparison:
    """Compare two studies, each the path of a folder or a revision of git.

    `name` (`results/default`) says which study of a commit; by default that of the other side,
    where this is a folder.

    Raises
    ------
    UserError
        Where one of the two is neither, or holds no study.
    """
    folders = [Path(each) if Path(each).is_dir() else None for each in (first, second)]
    sides = [folder_side(folder) if folder else None for folder in folders]
    named = next((side.study.name for side in sides if side), f"{RESULTS}/default")
    name = name or named
    commits = [each for each, side in zip((first, second), sides, strict=True) if side is None]
    for commit in commits:
        if git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}") is None:
            raise UserError(f"{commit}: neither the folder of a study nor a commit of this clone")
    try:
        read = [
            side or commit_side(each, root, name)
            for each, side in zip((first, second), sides, strict=True)
        ]
    except UserError as error:
        known = _by_lock_alone(commits, root, name) if len(commits) == 2 else ""
        raise UserError(f"{error}{known}") from None
    return _compare(read[0], read[1], root)


def _by_lock_alone(commits: list[str], root: Path, name: str) -> str:
    """What the two dvc.lock say without any data."""
    first, second = (locked_study(commit, root, name) for commit in commits)
    different = sorted(
        path
        for path in first.keys() | second.keys()
        if path not in first or path not in second or first[path].md5 != second[path].md5
    )
    if not different:
        return ". By dvc.lock alone, all is the same"
    return f". By dvc.lock alone, these are not the same: {some(different)}"


def _compare(first: Side, second: Side, root: Path) -> Comparison:
    results = [_results(side) for side in (first, second)]
    common = results[0].keys() & results[1].keys()
    different = sorted(path for path in common if results[0][path] != results[1][path])
    causes = Causes(first, second).explain(different)
    return Comparison(
        first=first,
        second=second,
        num_common=len(common),
        only_first=sorted(results[0].keys() - common),
        only_second=sorted(results[1].keys() - common),
        different=different,
        causes=causes,
        settings=_study_settings(first, second),
        changed_files={c.name: _changed_files(c, root) for c in causes if c.kind == "code"},
    )


def _results(side: Side) -> dict[str, str]:
    return {
        path: digest
        for path, digest in side.results.items()
        if (maker := side.maker(path)) and maker.script != TELLS_OF_THE_RUN
    }


def _study_settings(first: Side, second: Side) -> dict[str, Change]:
    pages = [
        next((job for job in side.study.records.values() if job.script == TELLS_OF_THE_RUN), None)
        for side in (first, second)
    ]
    if pages[0] is None or pages[1] is None:
        return {}
    changes = setting_changes(pages[0].settings, pages[1].settings)
    return {key: change for key, change in changes.items() if key != "name"}


def _changed_files(cause: Cause, root: Path) -> list[str] | None:
    first, second = (commit.split(" ")[0] for commit in cause.name.split(" -> "))
    return changed_files(root, first, second, cause.scripts)
