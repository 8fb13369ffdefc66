"""Malformed configs: each is read as a study or refused with its keys, and never anything else.

`OVEROPT_FUZZ_EXAMPLES=10000 pytest tests/study/test_fuzz_config.py` tries more than the suite does.
"""

import copy
import datetime
import os
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from overopt.errors import UserError
from overopt.study import job_settings
from overopt.study.figure_settings import figure_settings
from overopt.study.job_settings import as_param
from overopt.study.study import Study, read_study

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    str(path.relative_to(ROOT / "config")) for path in (ROOT / "config").rglob("*.yaml")
)
FUZZ = settings(
    max_examples=int(os.environ.get("OVEROPT_FUZZ_EXAMPLES", "1300")),
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # shrinking takes minutes where a config is a bomb
    deadline=datetime.timedelta(seconds=10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Place = tuple[str | int, ...]


@pytest.fixture(scope="module", autouse=True)
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every config is read in a folder of its own, which must stay empty."""
    folder = tmp_path_factory.mktemp("nothing-is-written")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)
    assert list(folder.iterdir()) == []


def load(name: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))
    if config["data"]["source"] == "files":  # any files that exist: only the paths are looked at
        config["data"] |= dict.fromkeys(("demonstrations", "comparisons"), str(ROOT / "README.md"))
    return config


BASES = {name: load(name) for name in CONFIGS}


# What is put in place of a value, of a key, or beside them.

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=20),  # lone surrogates too
    st.sampled_from(
        [
            *(
                "inf",
                "-.nan",
                "1e999",
                "1e-999",
                "1e5",
                "0x10",
                "1_0",
                "1" * 30,
                "9" * 5000,
                "-0.0",
            ),
            *("../x", "/etc/passwd", "..", ".", "~", "a/b", "a" * 33, "a" * 300, "x" * 5000),
            *("$(touch x)", "`touch x`", "a;touch x", "{x}", "<results>", "'", '"', "\n", "\0"),
            *("true", "no", "null", "", " ", "ﬀ", "١٢", "s1", "small", "large", "ppo", "README.md"),
        ]
    ),
)
GIANT = st.sampled_from([1, -1]).map(lambda sign: sign * 16**5000)  # too long for str()
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63 - 1, 2**63, 10**30, 1, 2, 7]),
    GIANT,
    st.floats(),
    st.sampled_from([0.0, -0.0, 5e-324, 1e308, 0.1 + 0.2, 1e-7]),
)
# All that Snakemake's loader of YAML makes, functions and bytes too.
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    st.dates(),
    st.datetimes(),
    st.binary(max_size=8),
    st.complex_numbers(),
    st.just(os.system),
    st.sets(st.integers(0, 5), max_size=3),
)
KEYS = st.one_of(
    TEXTS,
    st.integers(),
    st.none(),
    st.booleans(),
    st.dates(),
    st.tuples(st.integers(), TEXTS),
    GIANT,
    st.sampled_from(["trust_remote_code", "pathvars", "__use_yte__", "name"]),
)
JUNK = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=8,
)


def bomb() -> list[object]:
    """10^12 values in a few hundred bytes, as aliases of YAML make them."""
    values: list[object] = [0]
    for _ in range(12):
        values = [values] * 10
    return values


def deep() -> object:
    value: object = 0
    for _ in range(3000):
        value = {"x": [value]}
    return value


def endless() -> list[object]:
    values: list[object] = []
    values.append(values)
    return values


EXCESS = {
    "bomb": bomb,
    "deep": deep,
    "endless": endless,
    "long": lambda: list(range(3000)),
    "too long": lambda: list(range(20_000)),
}


def places_in(value: object, place: Place = ()) -> Iterator[Place]:
    if place:
        yield place
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield from places_in(part, (*place, key))


PLACES = {name: list(places_in(config)) for name, config in BASES.items()}


def parent_of(config: Any, place: Place) -> Any:
    for step in place[:-1]:
        config = config[step]
    return config


def rename(mapping: Any, old: object, new: object) -> None:
    items = list(mapping.items())
    mapping.clear()
    mapping.update((new if key == old else key, value) for key, value in items)


class Example:
    """A config whose text is short, whatever it holds."""

    def __init__(self, config: object) -> None:
        self.config = config

    def __repr__(self) -> str:
        try:
            return shortened.repr(self.config)
        except ValueError:
            return "a config with a giant number"


shortened = reprlib.Repr()
shortened.maxlevel, shortened.maxdict, shortened.maxlist = 8, 30, 10


@st.composite
def mutated_configs(draw: st.DrawFn) -> Example:
    """A real config with one to four edits, most of which are faults."""
    if draw(st.integers(0, 49)) == 7:
        return Example(draw(JUNK))
    name = draw(st.sampled_from(CONFIGS))
    config = copy.deepcopy(BASES[name])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(PLACES[name]))
        edit(draw, config, name, place)
    return Example(config)


def edit(draw: st.DrawFn, config: dict[str, Any], name: str, place: Place) -> None:
    try:
        parent = parent_of(config, place)
        value = parent[place[-1]]
    except (KeyError, IndexError, TypeError):  # an edit before this one took the place away
        return
    if not isinstance(parent, dict | list):
        return
    written = parent_of(BASES[name], place)[place[-1]]
    kinds = ["junk", "plain", "text", "number", "remove", "wrap", "elsewhere", "add"]
    kinds = ["excess"] if draw(st.integers(0, 39)) == 7 else kinds
    kind = draw(st.sampled_from([*kinds, "rename"] if isinstance(parent, dict) else kinds))
    if kind == "junk":
        parent[place[-1]] = draw(JUNK)
    elif kind == "plain":
        parent[place[-1]] = draw(PLAIN)
    elif kind == "text":  # as after --config
        texts = [str(written), f" {written}", f"{written}.0", repr(written)]
        parent[place[-1]] = draw(st.sampled_from(texts))
    elif kind == "number":
        parent[place[-1]] = draw(NUMBERS)
    elif kind == "remove":
        del parent[place[-1]]
    elif kind == "wrap":
        parent[place[-1]] = draw(
            st.sampled_from([[value], {"x": value}, [value, value], [[value]]])
        )
    elif kind == "elsewhere":  # what belongs to another key
        other = draw(st.sampled_from(PLACES[name]))
        parent[place[-1]] = copy.deepcopy(parent_of(BASES[name], other)[other[-1]])
    elif kind == "excess":
        parent[place[-1]] = EXCESS[draw(st.sampled_from(list(EXCESS)))]()
    elif kind == "rename":
        rename(parent, place[-1], draw(KEYS))
    elif isinstance(value, dict):
        value[draw(KEYS)] = draw(JUNK)
    elif isinstance(value, list):
        value.extend(draw(st.sampled_from([value[:1], [draw(PLAIN)]])))


# What must hold of each.

HEADER = re.compile(r"the config has (1 fault|\d+ faults); nothing was run:")
FAULT = re.compile(r"  - (and [\d,]+ more|.*[^:]: .+)")


def check(config: object) -> str:
    try:
        study = read_study(config)  # type: ignore[arg-type]
    except UserError as error:
        message = str(error)
        message.encode("utf-8")
        assert all(line.isprintable() for line in message.split("\n")), message
        assert len(message) < 500_000
        first, *faults = message.split("\n")
        if faults:
            assert HEADER.fullmatch(first), message
            assert all(FAULT.fullmatch(fault) for fault in faults), message
            return "faults"
        assert re.match(r"the config is (empty|no mapping)|.+: .*; nothing was run$", first), (
            message
        )
        return "refused at once"
    settings_of_jobs(study)
    return "accepted"


def settings_of_jobs(study: Study) -> None:
    """What Snakemake asks of a study that it was given, of the first cells of each kind."""
    as_param(study)
    if study.source.is_generated:
        as_param(job_settings.embedded_demonstration_settings(study))
    else:
        as_param(job_settings.file_settings(study))
    if study.gold_rm.is_utility:
        as_param(job_settings.utility_gold_settings(study))
    elif not study.gold_rm.is_published:
        as_param(job_settings.gold_rm_settings(study))
    as_param(job_settings.analysis_settings(study))
    as_param(figure_settings(study))
    for size in study.policy_sizes():
        as_param(job_settings.policy_settings(study, size))
        as_param(job_settings.pool_settings(study, size))
    for proxy_rm in study.proxy_rms()[:5]:
        as_param(job_settings.proxy_rm_settings(study, proxy_rm))
        as_param(job_settings.backbone_settings(study, proxy_rm.proxy_size, proxy_rm.seed))
    for run in study.runs("best_of_n")[:5]:
        as_param(job_settings.best_of_n_settings(study, run))
    for run in study.runs("ppo")[:5]:
        as_param(job_settings.ppo_settings(study, run))
    for name in study.grid.sweeps:
        study.of_sweep(name)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_that_are_mutated_are_accepted(name: str) -> None:
    assert check(copy.deepcopy(BASES[name])) == "accepted"


def test_every_malformed_config_is_refused_with_its_keys() -> None:
    outcomes = {"accepted": 0, "faults": 0, "refused at once": 0}

    @FUZZ
    @given(mutated_configs())
    def read(example: Example) -> None:
        outcomes[check(example.config)] += 1

    read()
    print(outcomes)
    assert outcomes["faults"] + outcomes["refused at once"] >= 1000
    assert all(outcomes.values()), "the mutator makes all kinds"
