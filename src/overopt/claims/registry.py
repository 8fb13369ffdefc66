"""The register of claims: a decorator puts a test function into it, with the words of its claim."""

import re
from collections.abc import Callable

from overopt.claims.evidence import Evidence
from overopt.claims.verdicts import Claim, Finding
from overopt.errors import UserError

Test = Callable[[Evidence], Finding]

_CLAIMS: dict[str, Claim] = {}


def claim(
    id: str, *, title: str, says: str, section: str, paper: str | None = None
) -> Callable[[Test], Test]:
    """Register the function below as the test of a claim; it stays as it is.

    Parameters
    ----------
    id
        Such as "C16": claims are listed by this number, and random streams are named after it.
    title
        A few words.
    says
        What the paper claims, in full sentences.
    section
        Where in the paper.
    paper
        The paper's number in words, where it has one.

    Raises
    ------
    UserError
        If the id is not a C and a number, or has a test already.

    """
    if not re.fullmatch(r"C[1-9]\d*", id):
        raise UserError(f"claim {id!r}: the id must be C and a number, such as C16")

    def register(test: Test) -> Test:
        if id in _CLAIMS:
            other = _CLAIMS[id].test
            raise UserError(
                f"claim {id} has two tests, {other.__module__}.{other.__name__} and "
                f"{test.__module__}.{test.__name__}; give the second one a number of its own"
            )
        _CLAIMS[id] = Claim(id, title, says, section, paper, test)
        return test

    return register


def registered_claims() -> list[Claim]:
    """Claims of all modules imported so far, by number."""
    return sorted(_CLAIMS.values(), key=lambda claim: int(claim.id[1:]))
