"""The models that are measured: those of two configs, and some of Pythia's architecture."""

from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.state import AcceleratorState
from transformers import AutoModelForCausalLM, GPTNeoXConfig

from overopt.config.training import TransformerConfig
from overopt.models.architecture import Policy
from overopt.models.loading import build_policy, on_device

CONFIG = Path(__file__).resolve().parents[1] / "config"
WORLD_VOCABULARY = 176
NO_TOKEN = -1
PYTHIA = {"Pythia 160M": (768, 12, 12), "Pythia 410M": (1024, 24, 16)}
"""Width, layers, heads, as in Biderman et al. 2023; weights are random."""
PYTHIA_VOCABULARY = 50304
TINY_PYTHIA = {"tiny Pythia": (32, 2, 2)}


def start_accelerate_anew() -> None:
    """Forget the precision of the last training: accelerate takes one a process, as jobs do."""
    AcceleratorState._reset_state(reset_partial_state=True)


def read_config(name: str) -> dict[str, Any]:
    """A shipped config."""
    return yaml.safe_load((CONFIG / f"{name}.yaml").read_text())


def embedded_policy(settings: dict[str, Any], device: torch.device, context_length: int) -> Policy:
    """A policy of a config, with random weights."""
    shape = TransformerConfig(
        **{key: settings[key] for key in ("hidden_size", "num_layers", "num_heads")}
    )
    generator = torch.Generator().manual_seed(0)
    policy = build_policy(shape, WORLD_VOCABULARY, context_length, generator)
    return on_device(policy, device).eval()


def pythia_policy(shape: tuple[int, int, int], device: torch.device, *, is_tiny: bool) -> Policy:
    """A policy of Pythia's architecture, with random weights."""
    hidden_size, num_layers, num_heads = shape
    settings = GPTNeoXConfig(
        vocab_size=512 if is_tiny else PYTHIA_VOCABULARY,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * hidden_size,
        eos_token_id=0,
    )
    policy = AutoModelForCausalLM.from_config(settings, attn_implementation="sdpa")
    return on_device(policy, device).eval()


def measured_policies(
    device: torch.device, *, is_quick: bool
) -> list[tuple[str, Policy, int, int]]:
    """Name, policy, and the lengths of prompts and responses in tokens."""
    policies: list[tuple[str, Policy, int, int]] = []
    for name in ("test",) if is_quick else ("config", "gpu"):
        config = read_config(name)
        prompt, response = config["text"].values()
        policies += [
            (f"{name}.yaml {size}", embedded_policy(settings, device, prompt + response), prompt,
             response)
            for size, settings in config["policies"].items()
        ]  # fmt: skip
    prompt, response = (8, 8) if is_quick else (64, 64)
    for name, shape in (TINY_PYTHIA if is_quick else PYTHIA).items():
        policy = pythia_policy(shape, device, is_tiny=is_quick)
        policies.append((name, policy, prompt, response))
    return policies


def num_weights_read(policy: Policy) -> int:
    """Weights that a forward pass multiplies by: all but the tables that are only looked up."""
    output = policy.get_output_embeddings().weight
    looked_up = {
        id(module.weight)
        for module in policy.modules()
        if isinstance(module, torch.nn.Embedding) and module.weight is not output
    }
    return sum(p.numel() for p in policy.parameters() if id(p) not in looked_up)
