"""What an audit can find: each kind with its title and what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    `title` goes after the path of a file; `remedy` says what to do. A note is worth knowing and no
    fault: it does not count for the exit code.
    """

    name: str
    title: str
    remedy: str
    is_note: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing found: what kind, which file, and in what way, in a sentence."""

    kind: Kind
    path: str
    detail: str


# Deleting a file is not enough: Snakemake makes no intermediate file that nothing stale asks for.
ANEW = "`snakemake --cores 2 --force PATH` (and the study's --configfile) makes it anew"
BACK = "`dvc checkout --force PATH` brings back what was recorded with DVC"

CHANGED = Kind(
    "changed",
    "differs from what its job wrote: edited, cut short or damaged since",
    f"{BACK}. Or {ANEW}.",
)
MISSING = Kind(
    "missing",
    "is gone, though a record lists it",
    f"{BACK}. Or {ANEW}. If the whole job is no longer wanted, remove its record as well.",
)
UNRECORDED = Kind(
    "unrecorded",
    "has no record: nothing says where it comes from",
    "If you put the file there, move it out of the results. If an older version of the workflow "
    f"made it, remove it. If its record was lost, {ANEW} with its record. Until then do not report "
    "numbers from it.",
)
UNREADABLE = Kind(
    "unreadable",
    "is a record that cannot be read or trusted",
    f"{BACK}. Or {ANEW}, with what the job wrote.",
)
NO_OUTPUTS = Kind(
    "no-outputs",
    "is a record that does not list what the job wrote: an older version of this project made it",
    "Nothing can be checked against it. Run Snakemake: the code has changed since, so it makes all "
    "of this anew.",
)
LISTED_TWICE = Kind(
    "listed-twice",
    "is listed by two records: one of them was copied or left behind",
    "Remove the record that does not belong there; the newer one was believed here.",
)
STALE = Kind(
    "stale",
    "is of a job whose input has been made anew since",
    "Run Snakemake: it brings them up to date. `snakemake -n` says which jobs that are.",
)
SOURCE_CHANGED = Kind(
    "source-changed",
    "came into the study from outside and has changed since it was used",
    "Put the old file back, or run Snakemake to make everything that follows from the new one.",
)
NO_MAKER = Kind(
    "no-maker",
    "was used by jobs, and nothing of it is left, neither the file nor the record of its maker",
    f"{ANEW}; then run Snakemake for what follows from it.",
)
NO_METADATA = Kind(
    "no-metadata",
    "is unknown to Snakemake, which takes it as up to date whatever has changed since",
    "This is what a cluster job leaves that outlived its Snakemake. "
    f"{ANEW}; or, if you know that settings and code are those of now, "
    "`snakemake --cores 1 --touch --force PATH` tells Snakemake so.",
)
DISAGREES = Kind(
    "disagrees",
    "says something else than Snakemake noted when it ran the job",
    "Either the record was edited, or `snakemake --touch` blessed an old file under new settings "
    f"or code. {ANEW}.",
)
NOT_AS_LOCKED = Kind(
    "not-as-locked",
    "differs from dvc.lock",
    "If they were made since, `dvc repro` records them. Otherwise `dvc checkout --force` brings "
    "back what was recorded.",
)
LOCK_UNREADABLE = Kind(
    "lock-unreadable",
    "cannot be read",
    "`git checkout HEAD dvc.lock` brings back the committed one.",
)
DIRTY = Kind(
    "dirty",
    "is of a job that ran from a tree with uncommitted changes: its commit is not what ran",
    "Commit first, then run. The code digest still tells what ran, wherever a commit gives the "
    f"same one. To have it on record, {ANEW} from a clean tree.",
)
MIXED_CODE = Kind(
    "mixed-code",
    "rests on results that different versions of one script made",
    "Run Snakemake: it makes anew what the present code did not make. `snakemake -n` says which "
    "jobs that are.",
)
LEFTOVERS = Kind(
    "leftovers",
    "is a leftover of a job that was killed, or is running now",
    "Nothing: the same job goes on from them or removes them. No result contains them.",
    is_note=True,
)
MIXED_VERSIONS = Kind(
    "mixed-versions",
    "is a package of which the jobs used different versions",
    "Nothing, if the difference is known not to matter; else make the study anew in one "
    "environment.",
    is_note=True,
)
NO_COMMIT = Kind(
    "no-commit",
    "is of a job that ran outside of a git repository: which commit made it is not known",
    "Their code digests still tell whether the code was the same. Run in a git clone next time.",
    is_note=True,
)
ORPHANS = Kind(
    "orphans",
    "belongs to a cell that the config no longer has",
    "`overopt orphans` lists them, `overopt orphans --remove` removes them.",
    is_note=True,
)
NOT_CHECKED = Kind(
    "not-checked",
    "could not be checked",
    "Where it matters, name the study's config with --configfile.",
    is_note=True,
)
