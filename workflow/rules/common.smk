"""
What every rule shares: the study, the digest of a script's code, the settings of a job.

Each rule passes exactly two params, so that the default rerun triggers are exact:
`config`, the settings the job uses as one JSON string with sorted keys, and `code`, the digest of
its script and of all the script imports from the package.
"""

import os
import sys
from pathlib import Path

# `include:` sets the current folder to workflow/rules; the repository is two levels up.
REPO = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    .resolve()
    .parents[1]
)
SOURCE = REPO / "src"
sys.path.insert(0, str(SOURCE))
# Jobs find the package also where an environment has not installed it.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")])
)

from overopt.errors import UserError
from overopt.grid import BestOfNRun, PPORun, ProxyRM
from overopt.provenance import code_digest
from overopt.study import as_param, read_study

try:
    study = read_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

POLICY_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
REWARD_MODEL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def code(script):
    """Digest of workflow/scripts/<script>.py and of everything it imports from the package."""
    return code_digest(REPO / "workflow" / "scripts" / f"{script}.py", SOURCE)


def beside(path, names):
    """Files of one folder."""
    return [f"{path}/{name}" for name in names]


def proxy_rm_of(wildcards):
    """The proxy RM that the wildcards of a path name."""
    return ProxyRM(
        proxy_size=wildcards.proxy_size,
        num_comparisons=wildcards.num_comparisons,
        num_epochs=wildcards.num_epochs,
        seed=wildcards.seed,
    )


def path_of(proxy_rm):
    """The part of a path that names a proxy RM."""
    return (
        f"{proxy_rm.proxy_size}/{proxy_rm.num_comparisons}-comparisons/"
        f"{proxy_rm.num_epochs}-epochs/seed-{proxy_rm.seed}"
    )


def alternatives(values):
    """A wildcard's constraint: one of these values."""
    return "|".join(sorted({re.escape(str(value)) for value in values}))


def kl_text(kl_coef):
    """A KL penalty as it stands in a path."""
    return f"{kl_coef:g}"
