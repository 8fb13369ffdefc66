"""Repositories of the Hugging Face hub, fetched at a pinned commit into the hub's own cache."""

from pathlib import Path
from typing import Literal

from overopt.errors import UserError, in_one_line


def fetched(
    repository: str,
    revision: str | None,
    kind: Literal["model", "dataset"],
    *,
    named: str,
    key: str,
    patterns: list[str] | None = None,
) -> Path:
    """Folder of the hub's cache that holds a repository; the network is asked where it lacks it.

    `patterns` are the files to fetch, None for all; `named` begins messages, `key` is the key of
    the config that may name a local folder instead.

    Raises
    ------
    UserError
        It cannot be fetched; the message says why and what to do.
    """
    # Imported here: it takes a second that nobody need pay who reads a local folder.
    from huggingface_hub import errors, snapshot_download

    path = f"datasets/{repository}" if kind == "dataset" else repository
    page, what = f"https://huggingface.co/{path}", {"model": "model", "dataset": "data set"}[kind]
    by_hand = (
        f"`hf download {repository}{' --repo-type dataset' * (kind == 'dataset')} --revision "
        f"{revision} --local-dir FOLDER` on a machine with network, and give FOLDER as {key}, "
        "without revision"
    )
    try:
        folder = snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=patterns
        )
    except errors.GatedRepoError as error:
        raise UserError(
            f"{named}: is gated; accept its terms at {page}, log in with `hf auth login`, and run "
            "the same command again"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(
            f"{named}: has no revision {revision}; take a commit from {page}/commits/main"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise UserError(
            f"{named}: the hub has no {what} of this name, or it is private; correct the name, or "
            "log in with `hf auth login`"
        ) from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        cause = error.__cause__ or error
        is_offline = isinstance(cause, errors.OfflineModeIsEnabled)
        reason = "HF_HUB_OFFLINE is set" if is_offline else in_one_line(cause)
        raise UserError(
            f"{named}: is not in the hub's cache on this machine, and the hub cannot be reached "
            f"({reason}). Connect this machine, or run {by_hand}"
        ) from error
    # Each has a message of the library's own, for programmers.
    except Exception as error:
        raise UserError(
            f"{named}: cannot be fetched ({in_one_line(error)}). Try again later, or run {by_hand}"
        ) from error
    return Path(folder)
