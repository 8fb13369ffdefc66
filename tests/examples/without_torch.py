"""Tests of statistics run without torch: a folder's conftest.py imports the fixture."""

import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder

import pytest

MODELS = ("torch", "transformers")


class _Forbidding(MetaPathFinder):
    """Refuses to import what models need."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] in MODELS:
            raise ImportError(f"{fullname} is imported, but statistics know no models")


@pytest.fixture(autouse=True)
def forbid_torch() -> Iterator[None]:
    """Fail a test that imports torch; where other tests of the process have, it cannot be seen."""
    finder = _Forbidding()
    sys.meta_path.insert(0, finder)
    yield
    sys.meta_path.remove(finder)
