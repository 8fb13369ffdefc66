"""The register of predictions, B1, B2, ...: a decorator puts a test into it, as with claims."""

from collections.abc import Callable
from dataclasses import dataclass

from overopt.claims.verdicts import Finding
from overopt.errors import UserError
from overopt.predictions.evidence import PoolEvidence

Test = Callable[[PoolEvidence], Finding]


@dataclass(frozen=True)
class Prediction:
    """One prediction: written down, with its margin, before the runs that decide it.

    Attributes
    ----------
    id : "B" and a number.
    title : a few words.
    sentence : what is predicted, in a full sentence.
    section : where it comes from: a publication, or a derivation.
    paper_value : the effect that its source gives.
    test : computes the finding, or raises NotRun.
    """

    id: str
    title: str
    sentence: str
    section: str
    paper_value: str | None
    test: Test


PREDICTIONS: dict[str, Prediction] = {}


def prediction(
    id: str, *, title: str, says: str, source: str, expected: str | None = None
) -> Callable[[Test], Test]:
    """Register the function below as the test of a prediction; it stays as it is.

    Raises
    ------
    UserError
        If the id has a test already.

    """

    def register(test: Test) -> Test:
        if id in PREDICTIONS:
            raise UserError(f"prediction {id} has two tests; give the second a number of its own")
        PREDICTIONS[id] = Prediction(id, title, says, source, expected, test)
        return test

    return register
