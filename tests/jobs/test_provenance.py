"""Provenance: the code digest sees what can change a result and nothing else; records."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from overopt.jobs.provenance import (
    code_digest,
    device_name,
    file_sha256,
    git_state,
    imported_sources,
    package_versions,
    write_json,
)

ROOT = Path(__file__).resolve().parents[2]

# A package in which the script reaches `far` through `near`, and never `unrelated`.
FILES = {
    "workflow/scripts/job.py": "import numpy\nfrom overopt.near import double\nprint(double(2))\n",
    "src/overopt/__init__.py": '"""The package."""\n',
    "src/overopt/near.py": "from overopt.far import two\ndef double(x):\n    return two() * x\n",
    "src/overopt/far.py": 'def two():\n    """Two."""\n    return 2\n',
    "src/overopt/unrelated.py": "x = 1\n",
    "src/overopt/part/__init__.py": '"""A part."""\n',
    "src/overopt/part/inner.py": "y = 1\n",
    "src/overopt/part/other.py": "z = 1\n",
}
SCRIPT = "workflow/scripts/job.py"

Digest = Callable[..., str]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Digest of the script in a fresh copy of the files, some of them replaced.

    Every copy lies in a folder of its own, so that equal digests also show that the absolute
    path of a checkout does not count.
    """
    copies = iter(range(1000))

    def of(changes: dict[str, str] | None = None, script: str = SCRIPT) -> str:
        folder = tmp_path / f"copy {next(copies)}"
        for name, text in (FILES | (changes or {})).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return code_digest(folder / script, folder / "src")

    return of


def test_two_checkouts_of_the_same_code_agree(digest: Digest) -> None:
    assert digest() == digest()
    assert len(digest()) == 64


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/overopt/far.py", "def two():\n    return 3\n"),
        ("src/overopt/far.py", "import math\ndef two():\n    return 2\n"),
        ("src/overopt/far.py", "def two(x=None):\n    return 2\n"),
        ("src/overopt/far.py", 'def two():\n    "Two."\n    name = "Two."\n    return 2\n'),
        ("src/overopt/far.py", "two = lambda: 2\n"),
        ("src/overopt/near.py", FILES["src/overopt/near.py"].replace("*", "+")),
        ("src/overopt/__init__.py", '"""The package."""\nSETTING = 1\n'),
        (SCRIPT, FILES[SCRIPT].replace("double(2)", "double(3)")),
    ],
)
def test_an_edit_of_a_statement_counts_wherever_it_is(digest: Digest, name: str, text: str) -> None:
    assert digest({name: text}) != digest()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "src/overopt/far.py",
            '# why\n\ndef two():\n    """Another text."""\n    return 2  # two\n',
        ),
        ("src/overopt/far.py", "def two():\n    return (\n        0x2\n    )\n"),
        ("src/overopt/far.py", "def two(): return 2;\n"),
        ("src/overopt/far.py", '"""Module."""\ndef two():\n    return 2\n"""An attribute."""\n'),
        ("src/overopt/__init__.py", ""),
        ("src/overopt/unrelated.py", "x = 2\n"),
        ("src/overopt/part/inner.py", "y = 2\n"),
        ("src/overopt/added.py", "from overopt.near import double\n"),
        (SCRIPT, '"""What the script does."""\n' + FILES[SCRIPT]),
    ],
)
def test_comments_docstrings_formatting_and_what_is_not_imported_do_not_count(
    digest: Digest, name: str, text: str
) -> None:
    assert digest({name: text}) == digest()


IMPORTS = {
    "a name": "from overopt.part.inner import y",
    "a module": "from overopt.part import inner",
    "a dotted name": "import overopt.part.inner",
    "under another name": "import overopt.part.inner as something",
    "everything": "from overopt.part.inner import *",
    "inside a function": "def later():\n    from overopt.part.inner import y\n    return y",
    "behind a condition": "if False:\n    import overopt.part.inner",
    # Followed too: what a type checker sees may be what a decorator or pydantic reads.
    "for the type checker": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
    "    from overopt.part.inner import y",
}


@pytest.mark.parametrize("way", IMPORTS)
def test_an_import_is_followed_in_whatever_way_it_is_written(digest: Digest, way: str) -> None:
    near = {"src/overopt/near.py": IMPORTS[way] + "\ndef double(x):\n    return 2 * x\n"}
    before = digest(near)
    assert digest({**near, "src/overopt/part/inner.py": "y = 2\n"}) != before
    assert digest({**near, "src/overopt/part/__init__.py": "import os\n"}) != before
    assert digest({**near, "src/overopt/part/other.py": "z = 2\n"}) == before


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("part/first.py", "from .inner import y"),
        ("part/first.py", "from . import inner"),
        ("part/first.py", "from ..part.inner import y"),
        ("part/first.py", "from .. import part\nfrom ..part import inner"),
        ("part/__init__.py", "from .inner import y"),
    ],
)
def test_relative_imports_are_followed(digest: Digest, module: str, line: str) -> None:
    files = {
        SCRIPT: "import overopt.part.first\n",
        "src/overopt/part/first.py": "",
        f"src/overopt/{module}": f"{line}\n",
    }
    before = digest(files)
    assert digest({**files, "src/overopt/part/inner.py": "y = 2\n"}) != before
    assert digest({**files, "src/overopt/part/other.py": "z = 2\n"}) == before


def test_modules_that_import_each_other_are_no_trap(digest: Digest) -> None:
    far = {"src/overopt/far.py": "import overopt.near\ndef two():\n    return 2\n"}
    assert digest(far) != digest()


def test_equal_code_under_another_name_is_other_code(digest: Digest) -> None:
    renamed = "workflow/scripts/renamed.py"
    assert digest({renamed: FILES[SCRIPT]}, renamed) != digest()
    moved = FILES["src/overopt/near.py"].replace("overopt.far", "overopt.moved")
    files = {"src/overopt/near.py": moved, "src/overopt/moved.py": FILES["src/overopt/far.py"]}
    assert digest(files) != digest()


def test_text_that_is_not_ascii_is_read_as_utf_8(digest: Digest) -> None:
    one, other = ({"src/overopt/far.py": f"two = '{letter}'\n"} for letter in "\u00e4\u00f6")
    assert digest(one) == digest(one) != digest(other)


# What each script of the workflow depends on: an edit there, and only there, reruns its rule. An
# entry is a module of overopt or a package with all its modules. A new import that is not listed
# makes more rerun than before: list it here if that is right.

FRAME = {
    "errors",
    "terminal",
    "jobs.file_list",
    "jobs.job",
    "jobs.outputs",
    "jobs.plugins",
    "jobs.processes",
    "jobs.provenance",
}
CELLS = {"config.cells", "config.axes", "config.methods", "config.variants"}
VARIANTS = {"reward_model.variants", "reward_model.ensemble", *CELLS}
SETTINGS = "config.strict_model"  # of every script that has settings
MODEL = {
    *(
        "models.loading",
        "models.transformers_models",
        "models.surplus_weights",
        "models.gpt2",
        "models.architecture",
        "models.checkpoint_files",
        "models.tokens",
    ),
    *("models.tokenizer_files", "config.training"),
}
STATES = {"models.hidden_states", "models.distinct_prefixes", "models.device"}
TEXT = {"models.tokens", "models.tokenizer_files", "models.checkpoint_files"}
TRAINING = {
    *(
        "models.training.loop",
        "models.training.adamw",
        "models.training.state",
        "randomness",
        "config.compute",
        "models.training.lora",
    ),
    "models.training.accelerator",
    *STATES,
}
SAMPLING = {
    *("policy.sampling", "policy.decoders", "policy.gpt2_decoder", "policy.preallocated_cache"),
    "policy.cache_decoder",
    *("policy.left_padding", "policy.batch_size", "config.sampling_batch"),
    *("models.device", "randomness"),
}
SAMPLERS = {"policy.samplers", "config.policy"} | SAMPLING
SCORING = {
    *("reward_model.scorer", "reward_model.scoring", "reward_model.published", "data.dialogue"),
    *("reward_model.own_format", "models.pipeline", "config.chat_format"),
    "config.reward_model_batch",
    "models.device",
    *STATES,
}
UTILITY = {
    *("data.world.utility", "data.world.dials", "data.world.prompts", "data.world.vocabulary"),
    "config.world",
}
HIDDEN_UTILITY = {"data.hidden_utility", *UTILITY}
WRITERS = {"data.world.writers", "data.world.prompts", "data.world.vocabulary"}
FILES_OF_THE_USER = {
    *("config.world", "data.files", "data.jsonl", "data.splits", "data.bpe"),
    *("data.file_kinds", "data.json_rows", "data.repeated_prompts"),
    *("config.data", "config.training"),
    *TEXT,
}
GOLD = {
    *("reward_model.gold_scorer", "config.utility_gold"),
    *HIDDEN_UTILITY,
}
REWARD_MODEL = {
    *("reward_model.training", "reward_model.scoring", "reward_model.validation"),
    *("config.reward_model_batch", "config.reward_model", "config.model", *CELLS),
    "config.chat_format",
}
POOL = {"config.best_of_n", "config.world", "theory.pool_table", *CELLS}
STATISTICS = {
    *CELLS,
    *(
        "config.analysis",
        "analysis.bootstrap",
        "analysis.intervals",
        "analysis.curve_statistics",
        "analysis.group_curves",
        "analysis.bins",
        "analysis.statistics",
        "theory.forms",
        "theory.form_fits",
    ),
    "randomness",
}
REPORT = {
    *("report.pages", "report.html", "report.run_records", "report.summary", "report.fit_names"),
    *("analysis.sweeps", "theory.forms", "theory.form_fits", "config.rules", *CELLS),
}
DEPENDENCIES = {
    "embedded_demonstrations": {
        "config.world",
        *("data.world.demonstrations", "data.world.tokenizer", "data.splits", "randomness"),
        *("config.data", "config.training"),
        *WRITERS,
    },
    "embedded_comparisons": {
        *(
            "data.world.human_comparisons",
            "data.world.candidates",
            "data.world.annotators",
            "config.data",
        ),
        *MODEL | SAMPLING | WRITERS | UTILITY,
    },
    "file_demonstrations": FILES_OF_THE_USER,
    "file_comparisons": FILES_OF_THE_USER,
    "hub_data": {
        "jobs.hub_fetch",
        *("data.hub.tables", "data.file_kinds", "data.json_rows"),
        *(
            "data.hub.prepare",
            "data.hub.readers",
            "data.hub.rows",
            "config.hub",
            "data.hub.local_files",
        ),
        "data.dialogue",
    },
    "train_language_model": {"policy.sft", "config.policy"} | MODEL | TRAINING,
    "train_gold_rm": {"reward_model.gold"} | REWARD_MODEL | MODEL | TRAINING,
    "train_proxy_rm": {
        *("reward_model.variant_training", "reward_model.ensemble"),
        *("reward_model.proxy", "reward_model.temperature"),
        *REWARD_MODEL | SCORING | MODEL | TRAINING,
    },
    "published_checkpoint": {
        *("models.published_checkpoint", "models.pipeline", "config.model", "jobs.hub_fetch"),
    }
    | MODEL - {"models.loading"},
    "published_gold_rm": {
        "reward_model.fixed_template",
        *("reward_model.published_gold", "reward_model.published", "reward_model.validation"),
        *("reward_model.own_format", "models.pipeline", "config.chat_format"),
        *("config.reward_model", "config.model", *CELLS, "data.dialogue"),
        *MODEL,
    },
    "utility_gold_rm": {
        *("reward_model.utility_gold", "reward_model.validation", "config.utility_gold"),
        *UTILITY,
    },
    "synthetic_responses": {"policy.comparison_pairs"} | MODEL | SAMPLERS,
    "synthetic_comparisons": {
        *(
            "reward_model.synthetic_labels",
            "config.reward_model",
            "config.model",
            *CELLS,
            "randomness",
        ),
        *MODEL | SCORING | GOLD,
    },
    "pool": {"methods.best_of_n.pool", "config.best_of_n", "config.world", "methods.curves", *CELLS}
    | MODEL
    | SAMPLERS,
    "pool_gold_scores": {"methods.best_of_n.gold_scores", "theory.score_units"}
    | POOL
    | MODEL
    | SCORING
    | GOLD,
    "best_of_n": {"methods.best_of_n.curve", "theory.best_of_n", "theory.kl", "methods.curves"}
    | VARIANTS
    | POOL
    | MODEL
    | SCORING,
    "ppo": {
        *("methods.ppo", "methods.rl", "methods.episodes", "methods.evaluation"),
        *("methods.sequence_kl", "methods.method_files", "methods.curves"),
        *("config.ppo", "config.rl", *VARIANTS),
    }
    | MODEL
    | TRAINING
    | SAMPLING
    | SCORING
    | GOLD,
    "method": {
        *("methods.named_method", "methods.method_files", "methods.curves"),
        *("config.method_job", "config.rl", "config.world", "config.training", *CELLS),
    },
    "deep_pool": {
        "methods.best_of_n.deep_pool",
        "config.deep_best_of_n",
        "config.world",
        "methods.curves",
        *CELLS,
    }
    | MODEL
    | SAMPLERS,
    "deep_best_of_n": {
        *(
            "methods.best_of_n.deep_pool",
            "methods.best_of_n.deep_curve",
            "config.deep_best_of_n",
            "theory.best_of_n",
            "theory.kl",
            "methods.curves",
            *VARIANTS,
        ),
        *MODEL | SAMPLERS | SCORING | GOLD,
    },
    "tilted": {"methods.best_of_n.tilted", "methods.curves"} | CELLS,
    "gold_ceiling": {
        *(
            "analysis.gold_ceiling",
            "config.gold_ceiling",
            "theory.pool_table",
            "theory.best_of_n",
            "theory.kl",
        ),
        *(
            "config.analysis",
            *("analysis.bootstrap", "analysis.intervals"),
            "theory.forms",
            "theory.form_fits",
            "randomness",
        ),
    },
    "feature_correlations": {
        *("data.world.feature_correlations", "config.data", "config.training", *CELLS),
        *TEXT | UTILITY,
    },
    "fits": {"analysis.fits", "analysis.recalibration", "analysis.tables", "analysis.trends"}
    | {"analysis.sweeps"}
    | STATISTICS,
    "forms": {
        *(
            "analysis.form_tables",
            "analysis.form_comparison",
            "analysis.held_out",
            "analysis.kl_comparison",
            "theory.kl",
        ),
        *STATISTICS,
    },
    "claims": {
        *(
            "claims",
            "analysis.form_comparison",
            "analysis.held_out",
            "theory.goodhart",
            "theory.discrete_kl",
        ),
        *("theory.best_of_n", "theory.kl", "analysis.sweeps"),
        *STATISTICS,
    },
    "paper_comparison": {"analysis.paper_comparison", "analysis.paper_values"}
    | {"analysis.sweeps"}
    | STATISTICS,
    "compare_methods": {
        *("predictions", "claims.evidence", "claims.significance", "claims.verdicts"),
        *("analysis.scored_pool", "analysis.selection_curves", "analysis.methods_table"),
        *("analysis.sweeps", "analysis.form_comparison", "analysis.held_out"),
        *("theory.selection", "theory.ranks"),
        *("theory.best_of_n", "theory.kl", "theory.pool_table", "config.variants"),
    }
    | STATISTICS,
    "figures": {"figures", "config.figures", "analysis.tables", "analysis.sweeps"} | STATISTICS,
    "table_01": {"config.figures", "figures.hyperparameters", "config.analysis"},
    "table_02": {
        *("config.figures", "figures.single_prompt", "config.analysis"),
        *TEXT,
    },
    "report_tables": REPORT,
    "report_run": REPORT,
}
SCRIPTS = sorted(path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py"))


def modules_of(script: str) -> set[str]:
    """Modules of overopt that a script depends on, packages left out."""
    package = ROOT / "src" / "overopt"
    sources = imported_sources(ROOT / "workflow" / "scripts" / f"{script}.py", ROOT / "src")
    return {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in sources
        if path.is_relative_to(package) and path.name != "__init__.py"
    }


def is_part_of(module: str, entry: str) -> bool:
    return module == entry or module.startswith(f"{entry}.")


def test_the_table_knows_every_script() -> None:
    assert sorted(DEPENDENCIES) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_depends_on_what_it_needs(script: str) -> None:
    expected = FRAME | DEPENDENCIES[script]
    found = modules_of(script)
    unlisted = {m for m in found if not any(is_part_of(m, entry) for entry in expected)}
    unlisted -= {SETTINGS}
    unused = {entry for entry in expected if not any(is_part_of(m, entry) for m in found)}
    assert unlisted == set(), "imported, directly or not, but not listed"
    assert unused == set(), "listed, but not imported any more"


@pytest.mark.parametrize(
    ("edited", "rerun"),
    [
        ("methods.ppo.rewards", {"ppo"}),
        ("config.ppo", {"ppo"}),
        ("figures.style", {"figures"}),
        ("figures.rm_size", {"figures"}),
        ("analysis.recalibration", {"fits"}),
        (
            "theory.form_fits",
            {
                *("fits", "forms", "claims", "paper_comparison", "figures", "gold_ceiling"),
                *("report_tables", "report_run", "compare_methods"),
            },
        ),
        ("claims.rm_size", {"claims"}),
        ("analysis.held_out", {"forms", "claims", "compare_methods"}),
        ("analysis.paper_values", {"paper_comparison"}),
        ("report.pages", {"report_tables", "report_run"}),
        ("methods.best_of_n.deep_curve", {"deep_best_of_n"}),
        ("data.world.annotators", {"embedded_comparisons"}),
        ("data.world.demonstrations", {"embedded_demonstrations"}),
        ("data.bpe", {"file_demonstrations", "file_comparisons"}),
        ("reward_model.training", {"train_gold_rm", "train_proxy_rm"}),
        ("reward_model.temperature", {"train_proxy_rm"}),
        (
            "theory.best_of_n",
            {"best_of_n", "deep_best_of_n", "claims", "gold_ceiling", "compare_methods"},
        ),
        ("config.grid", set()),
        ("policy.sft", {"train_language_model"}),
        (
            "policy.sampling",
            {
                *("embedded_comparisons", "synthetic_responses", "pool", "ppo"),
                *("deep_pool", "deep_best_of_n"),
            },
        ),
        # The config is read by Snakemake; a job knows its own settings only.
        ("study.study", set()),
        ("study.checks", set()),
        ("study.faults", set()),
        ("study.schema", set()),
        ("cli", set()),
    ],
)
def test_an_edit_of_a_module_reruns_these_scripts_only(edited: str, rerun: set[str]) -> None:
    assert (ROOT / "src" / "overopt" / f"{edited.replace('.', '/')}.py").is_file()
    assert {script for script in SCRIPTS if edited in modules_of(script)} == rerun


def test_init_files_import_nothing() -> None:
    """Whatever an `__init__.py` imported, every script would depend on."""
    for path in (ROOT / "src" / "overopt").rglob("__init__.py"):
        assert "import " not in path.read_text(encoding="utf-8").split('"""')[-1], path


# Hashes and records.


def test_file_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    for content in (b"", b"a\r\nb\0", bytes(range(256)) * 10_000):
        (tmp_path / "file").write_bytes(content)
        assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "deep" / "down" / "one.json", tmp_path / "other.json"
    write_json(one, {"b": [1, 2.5, None], "a": {"d": True, "c": "\u00e4"}})
    write_json(other, {"a": {"c": "\u00e4", "d": True}, "b": (1, 2.5, None)})
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().endswith(b"}\n")
    assert b"\r" not in one.read_bytes()
    assert json.loads(one.read_text())["a"]["c"] == "\u00e4"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit of one file."""
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set inside of a git hook
        monkeypatch.delenv(variable, raising=False)
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], [*identity, "commit", "-qm", "m"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    return tmp_path


def test_git_state_tells_the_commit_and_whether_tracked_files_differ(repository: Path) -> None:
    state = git_state(repository)
    assert isinstance(state["commit"], str)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (repository / "untracked").write_text("2")
    assert git_state(repository) == state
    (repository / "file").write_text("2")
    assert git_state(repository) == {**state, "dirty": True}


def test_a_folder_without_repository_has_no_git_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("GIT_DIR", raising=False)
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    assert git_state(tmp_path / "missing") == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", "")  # no git installed
    assert git_state(tmp_path) == {"commit": None, "dirty": None}


def test_the_record_names_the_versions_that_can_change_a_number() -> None:
    versions = package_versions()
    assert versions["python"] == platform.python_version()
    assert {"torch", "transformers", "numpy", "scipy"} <= versions.keys()
    assert all(versions.values())


def test_the_device_is_named() -> None:
    assert device_name()
