"""What a script imports before it works: every job of a study pays for it anew."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
OF_MODELS = {
    *("deep_best_of_n", "best_of_n", "deep_pool", "pool", "pool_gold_scores", "ppo"),
    *("embedded_comparisons", "synthetic_comparisons", "synthetic_responses"),
    "published_gold_rm",
    *("train_gold_rm", "train_language_model", "train_proxy_rm"),
}
OF_TRANSFORMERS_MODELS = {"published_checkpoint"}
PLOTS_AND_TABLES = {"datasets", "matplotlib", "seaborn", "dvc"}
OF_TOKENIZERS = {"embedded_demonstrations"}
OF_STATISTICS = {path.stem for path in SCRIPTS.glob("*.py")} - (
    OF_MODELS | OF_TRANSFORMERS_MODELS | OF_TOKENIZERS
)

IMPORT_ALL = """
import gc
import runpy
import sys

import overopt.jobs.job

collections = []
gc.callbacks.append(lambda phase, info: collections.append(info["generation"]))
for script in sys.argv[1:]:
    runpy.run_path(script, run_name="imported")
print(*sys.modules)
print(*collections)
"""


def imported(names: set[str]) -> tuple[set[str], str]:
    """Modules that these scripts import, and the garbage collections meanwhile, in a new Python."""
    paths = [str(SCRIPTS / f"{name}.py") for name in sorted(names)]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *paths], capture_output=True, text=True, check=True
    )
    modules, collections = done.stdout.splitlines()
    return set(modules.split()), collections


@pytest.mark.parametrize(
    ("names", "not_needed"),
    [
        (OF_STATISTICS, {"torch", "transformers", "accelerate", "datasets", "peft", "snakemake"}),
        (OF_TOKENIZERS, {"torch", "accelerate", "datasets", "peft", "scipy"}),
        (
            OF_MODELS,
            {"transformers", "torch._dynamo", "scipy.stats", "peft", *PLOTS_AND_TABLES},
        ),
        # transformers imports accelerate by itself, and scipy.optimize.
        (OF_TRANSFORMERS_MODELS, {"peft", "scipy.stats", *PLOTS_AND_TABLES}),
    ],
    ids=["statistics", "tokenizers", "models", "models of transformers"],
)
def test_scripts_import_no_library_that_their_jobs_do_not_need(names, not_needed):
    modules, collections = imported(names)
    assert not_needed & modules == set()
    assert collections == "", "garbage is collected while scripts are imported"


def test_every_script_imports_the_frame_before_what_is_heavy():
    """`overopt.jobs.job` holds back the garbage collector from where it is imported."""
    for path in SCRIPTS.glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        ours = [line for line in lines if line.startswith(("from overopt", "import overopt"))]
        assert ours[0].startswith("from overopt.jobs.job import "), path.name
