"""Hyperparameters of this run beside the paper's (Gao et al. 2022, Appendix C): table 1."""

from collections.abc import Mapping

import pandas as pd

# Name, the paper's value (none where it states none), key in Table01Settings, and
# what differs in meaning. The paper's multipliers are of the GPT-3 pre-training step size.
ROWS: tuple[tuple[str, float | None, str, str], ...] = (
    (
        *("RM Adam learning rate multiplier", 1.67e-2, "proxy_rm.learning_rate_factor"),
        "of the rate its backbone is pre-trained with; the paper's: of GPT-3's",
    ),
    ("RM batch size", 64, "proxy_rm.batch_size", "comparisons; less for small data"),
    (
        *("RL Adam learning rate multiplier", 4e-3, "policies.ppo_learning_rate"),
        "of the main policy's rate in supervised fine-tuning; the paper's: of GPT-3's",
    ),
    (
        *("RL batch size", 256, "ppo.batch_size"),
        "responses in a rollout; the paper's are taken as 256 environments of 256 responses each",
    ),
    ("RL PPO clipping parameter", 0.2, "ppo.cliprange", ""),
    ("RL timesteps per rollout", 256, "", "a timestep of the paper is one response; here 1"),
    ("RL minibatches per epoch", 128, "ppo.num_mini_batches", ""),
    ("RL GAE bootstrapping parameter", 0.95, "ppo.lam", ""),
    ("RL epochs over a rollout", None, "ppo.num_ppo_epochs", "the paper does not say"),
    ("RL discount", None, "ppo.gamma", "the paper does not say"),
    ("RL weight of the value loss", None, "ppo.vf_coef", "the paper does not say"),
    (
        *("RL value head's learning rate multiplier", None, "ppo.value_learning_rate_factor"),
        "of the policy's; the paper does not say",
    ),
    (
        *("RL rollouts", None, "ppo.num_iterations"),
        "at most; the paper's longest runs have about 45, read off its figures 14 and 16",
    ),
    ("best-of-n: largest n", 1000, "best_of_n.max_n", "60,000 in the paper's large-n run"),
    ("evaluation prompts", None, "best_of_n.num_prompts", "the paper does not say"),
)
FIXED = {"RL timesteps per rollout": 1.0}


def table_01(hyperparameters: Mapping[str, float]) -> pd.DataFrame:
    """One row per hyperparameter: name, paper, this_run, key (of the config), note.

    `hyperparameters` by their key in the config, from `Table01Settings`. `paper` is NaN where the
    paper states no value.
    """
    rows = [
        {
            "name": name,
            "paper": paper,
            "this_run": hyperparameters[key] if key else FIXED[name],
            "key": key,
            "note": note,
        }
        for name, paper, key, note in ROWS
    ]
    return pd.DataFrame(rows)
