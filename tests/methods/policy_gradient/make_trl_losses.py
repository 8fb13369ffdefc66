"""Write trl_losses.json: losses of a fixed batch by TRL's own trainers.

Needs trl 1.16.0 beside torch and transformers: python make_trl_losses.py
The trainers' `_compute_loss` is called as it is; only what reads a model gives fixed numbers.
"""

import json
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

MAX_LENGTH = 7


def batch() -> dict[str, torch.Tensor]:
    """Six responses of up to five tokens, three to each of two prompts."""
    generator = torch.Generator().manual_seed(0)

    def draw(scale: float) -> torch.Tensor:
        return scale * torch.randn((6, 5), generator=generator, dtype=torch.float64)

    logprobs = -draw(1.0).abs() - 0.2
    lengths = torch.tensor([5, 2, 4, 1, 5, 3])
    return {
        "logprobs": logprobs,
        "old_logprobs": logprobs + draw(0.15),
        "ref_logprobs": logprobs + draw(0.4),
        "rewards": draw(1.0)[:, 0],
        "mask": torch.arange(5)[None] < lengths[:, None],
    }


def loss_of(trainer: type, of: dict[str, torch.Tensor], inputs: dict, **own: object) -> float:
    accelerator = SimpleNamespace(
        reduce=lambda x, reduction: x,
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        num_processes=1,
    )
    values = dict(
        _get_per_token_logps_and_entropies=lambda *a, **k: (
            of["logprobs"],
            torch.zeros_like(of["logprobs"]),
            None,
        ),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        epsilon_high=0.2,
        model=SimpleNamespace(training=True),
        accelerator=accelerator,
        _metrics={"train": defaultdict(list)},
        current_gradient_accumulation_steps=1,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        use_vllm=False,
        vllm_importance_sampling_correction=False,
        _entropy_bonus_enabled=False,
        max_completion_length=MAX_LENGTH,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
    )
    ids = torch.zeros((6, 5), dtype=torch.long)
    inputs = inputs | {
        "prompt_ids": ids,
        "prompt_mask": ids,
        "completion_ids": ids,
        "completion_mask": of["mask"].long(),
    }
    return float(trainer._compute_loss(SimpleNamespace(**values | own), None, inputs))


def main() -> None:
    of = batch()
    grouped = of["rewards"].view(2, 3)
    others = (grouped.sum(1, keepdim=True) - grouped) / 2
    centred = grouped - grouped.mean(1, keepdim=True)
    scaled = centred / (grouped.std(1, keepdim=True) + 1e-4)
    old = (of["old_logprobs"] * of["mask"]).sum(1)
    losses = {
        "rloo": loss_of(
            RLOOTrainer, of, {"advantages": (grouped - others).flatten(), "old_logps": old}
        )
    }
    kept = {"old_per_token_logps": of["old_logprobs"], "ref_per_token_logps": of["ref_logprobs"]}
    for name, kind, advantages in (
        ("grpo", "grpo", scaled),
        ("dr_grpo", "dr_grpo", centred),
    ):
        inputs = kept | {"advantages": advantages.flatten()}
        losses[name] = loss_of(GRPOTrainer, of, inputs, loss_type=kind, beta=0.05)
    written = {
        "trl": version("trl"),
        "max_length": MAX_LENGTH,
        "beta": 0.05,
        "batch": {name: values.tolist() for name, values in of.items()},
        "losses": losses,
    }
    Path(__file__).with_name("trl_losses.json").write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
