"""
Which large files a study keeps (`keep` of the config).

What is not kept is `temp()` to Snakemake: deleted when the last job that reads it is done. Results
are the same either way. The price: a cell that is added later and reads such a file has it made
again, and Snakemake then reruns all that read it. Nothing reads the policies PPO ends with, so
not to keep them has no price.
"""

from pydantic import Field

from overopt.config.strict_model import StrictModel


class KeepConfig(StrictModel):
    """Large files that stay when the jobs that read them are done."""

    checkpoints: bool = Field(default=True, description="Weights of published checkpoints.")
    ppo_policies: bool = Field(
        default=True, description="Weights of the policies that PPO ends with."
    )
    proxy_rms: bool = Field(default=True, description="Weights of the proxy RMs.")
    backbones: bool = Field(default=True, description="Weights of their backbones.")
    pools: bool = Field(default=True, description="Pools of responses, also for large n.")
