"""
Which large files a study keeps (`keep` of the config).

What is not kept is `temp()` to Snakemake: deleted when the last job that reads it is done. Results
are the same either way. The price: a cell that is added later and reads such a file has it made
again, and Snakemake then reruns all that read it. Nothing reads the policies PPO ends with, so
not to keep them has no price.
"""

import re

from pydantic import Field

from overopt.strict_model import StrictModel


class KeepConfig(StrictModel):
    """Large files that stay when the jobs that read them are done."""

    ppo_policies: bool = Field(default=True, description="The policies that PPO ends with.")
    proxy_rms: bool = Field(default=True, description="Proxy RMs.")
    backbones: bool = Field(default=True, description="Backbones of the proxy RMs.")
    pools: bool = Field(default=True, description="Pools of responses, deep ones too.")


# The small files beside a model stay: a job reads them from its folder, but they are no inputs of
# its rule, so Snakemake would delete them before that job runs.
_FILES = {
    "ppo_policies": re.compile(r"ppo/.*/model\.safetensors"),
    "proxy_rms": re.compile(r"proxy_rms/.*/model\.safetensors"),
    "backbones": re.compile(r"backbones/.*/model\.safetensors"),
    "pools": re.compile(r"(deep_)?best_of_n/[^/]+/pool\.(parquet|safetensors)"),
}
_ALWAYS = re.compile(r"checkpoints/[^/]+/model\.safetensors")
"""Published checkpoints, which can be fetched again."""


def is_temporary(keep: KeepConfig, path: str) -> bool:
    """Whether a file, by its path from the study's folder on, goes when its readers are done."""
    return bool(_ALWAYS.fullmatch(path)) or any(
        pattern.fullmatch(path) for name, pattern in _FILES.items() if not getattr(keep, name)
    )
