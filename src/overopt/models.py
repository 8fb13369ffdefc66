"""
Models: GPT-2-layout transformers, as ordinary transformers checkpoints.

A policy loads with ``AutoModelForCausalLM``, a reward model with
``AutoModelForSequenceClassification(num_labels=1)``. Weights are safetensors only.

Differences from GPT-2: ReLU in the MLP, no dropout anywhere (so that PPO's ratio is 1 before the
first step), and an initialization scaled by fan-in that suits widths from 4 to 100.
"""

import math
from pathlib import Path
from typing import TypeVar

import torch
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import (
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Model,
)

from overopt.checkpoint_files import WEIGHTS, in_one_line, refuse_own_code, require_weights
from overopt.errors import UserError
from overopt.training_config import TransformerConfig

Model = TypeVar("Model", bound=torch.nn.Module)
Checkpoint = TypeVar("Checkpoint", GPT2LMHeadModel, GPT2ForSequenceClassification)

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
"""Token ids of every tokenizer the project makes; distinct, see `tokens.load_tokenizer`."""


def build_policy(
    shape: TransformerConfig,
    vocabulary_size: int,
    context_length: int,
    generator: torch.Generator,
) -> GPT2LMHeadModel:
    """Causal language model with random weights, drawn from `generator`.

    `context_length` is the largest number of tokens, prompt and response together.
    """
    config = GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=context_length,
        n_embd=shape.hidden_size,
        n_layer=shape.num_layers,
        n_head=shape.num_heads,
        activation_function="relu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        tie_word_embeddings=True,
    )
    model = GPT2LMHeadModel(config)
    _initialize(model.transformer, generator)
    return model


@torch.no_grad()
def _initialize(backbone: GPT2Model, generator: torch.Generator) -> None:
    """Draw every weight anew: linear layers N(0, 0.8 / sqrt(fan_in)), layers that write to the
    residual stream N(0, 1 / sqrt(2 num_layers fan_in)), embeddings small, biases zero.
    """
    width, num_layers = backbone.config.n_embd, backbone.config.n_layer
    for name, parameter in backbone.named_parameters():
        if name == "wte.weight":
            parameter.normal_(0, 0.5 / math.sqrt(width), generator=generator)
        elif name == "wpe.weight":
            parameter.normal_(0, 0.1 / math.sqrt(width), generator=generator)
        elif parameter.dim() == 2:  # transformers' Conv1D: (fan_in, fan_out)
            scale = 1 / math.sqrt(2 * num_layers) if "c_proj" in name else 0.8
            parameter.normal_(0, scale / math.sqrt(parameter.shape[0]), generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        else:  # LayerNorm scale
            parameter.fill_(1.0)


def build_reward_model(backbone: GPT2LMHeadModel) -> GPT2ForSequenceClassification:
    """Reward model on a copy of the backbone, with a scalar score head that starts at zero."""
    one_label = {"id2label": {0: "score"}, "label2id": {"score": 0}}
    config = GPT2Config.from_dict({**backbone.config.to_dict(), **one_label})
    model = GPT2ForSequenceClassification(config)
    model.transformer.load_state_dict(backbone.transformer.state_dict())
    torch.nn.init.zeros_(model.score.weight)
    return model


def on_device(model: Model, device: torch.device) -> Model:
    """The model, moved in place. transformers' own `to` carries no usable types."""
    torch.nn.Module.to(model, device)
    return model


def num_parameters(model: torch.nn.Module) -> int:
    """Number of parameters without the token and position embeddings, head included.

    Embeddings are left out because at these widths the vocabulary would dominate the count.
    """
    embeddings = ("wte.", "wpe.", "lm_head.")  # lm_head is tied to wte
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if not any(part in name for part in embeddings)
    )


def save_model(model: GPT2LMHeadModel | GPT2ForSequenceClassification, folder: Path) -> None:
    """Write config.json and model.safetensors (and generation_config.json of a policy)."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)


def load_policy(folder: Path) -> GPT2LMHeadModel:
    """Read a policy, in evaluation mode. Raises `UserError` where the folder holds none."""
    return _load(GPT2LMHeadModel, folder)


def load_reward_model(folder: Path) -> GPT2ForSequenceClassification:
    """Read a reward model, in evaluation mode. Raises `UserError` where the folder holds none."""
    return _load(GPT2ForSequenceClassification, folder)


def _load(model_class: type[Checkpoint], folder: Path) -> Checkpoint:
    require_weights(folder)
    refuse_own_code(folder)
    try:
        model, found = model_class.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            folder,
            local_files_only=True,
            use_safetensors=True,
            # config.json could name a kernel to download instead.
            attn_implementation="sdpa",
            output_loading_info=True,
        )
    # Whatever a broken folder makes the library raise, the mistake is in the folder.
    except Exception as error:
        raise UserError(
            f"{folder}: config.json and {WEIGHTS} give no model ({in_one_line(error)})."
        ) from error
    # The library would draw the missing ones at random.
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"{folder}: {WEIGHTS} does not hold all weights of a {model_class.__name__}; the first "
            f"it lacks is {missing[0]}. Check the path."
        )
    return model
