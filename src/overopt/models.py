"""
Models as ordinary transformers checkpoints: built from random weights, or read from a folder.

A policy loads with ``AutoModelForCausalLM``, a reward model with
``AutoModelForSequenceClassification(num_labels=1)``. Weights are safetensors only.

Models from scratch have the layout of GPT-2. Differences from it: ReLU in the MLP, no dropout
anywhere (so that PPO's ratio is 1 before the first step), and an initialization scaled by fan-in
that suits widths from 4 to 100. Pretrained ones may have another (`overopt.architecture`).
"""

import math
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel, GPT2Model

from overopt.architecture import (
    Policy,
    RewardModel,
    backbone_of,
    check_policy,
    score_head,
    switch_off_dropout,
)
from overopt.checkpoint_files import WEIGHTS, in_one_line, refuse_own_code, require_weights
from overopt.errors import UserError
from overopt.training_config import TransformerConfig

Module = TypeVar("Module", bound=torch.nn.Module)

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
"""Token ids of every tokenizer the project makes; distinct, see `tokens.load_tokenizer`."""
ONE_FILE = "1000GB"
"""No checkpoint is split: a rule names its outputs before it runs."""


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


def build_reward_model(backbone: Policy) -> RewardModel:
    """Reward model on a copy of a language model, with a scalar score head that starts at zero.

    Raises
    ------
    UserError
        transformers has no sequence classifier with a linear score head for this architecture.
    """
    settings = type(backbone.config)
    one_label = {"id2label": {0: "score"}, "label2id": {"score": 0}}
    config = settings.from_dict({**backbone.config.to_dict(), **one_label})
    classifiers = cast(Any, AutoModelForSequenceClassification)._model_mapping
    if settings not in classifiers:
        raise UserError(
            f"transformers has no sequence classifier for a {settings.model_type}: choose a "
            "backbone of another architecture for reward models"
        )
    model = classifiers[settings](config)
    _require_score_head(model, f"a {type(model).__name__}")
    backbone_of(model).load_state_dict(backbone_of(backbone).state_dict())
    torch.nn.init.zeros_(score_head(model).weight)
    return model.to(backbone.dtype)


def on_device(model: Module, device: torch.device) -> Module:
    """The model, moved in place. transformers' own `to` carries no usable types."""
    torch.nn.Module.to(model, device)
    return model


def num_parameters(model: torch.nn.Module) -> int:
    """Number of parameters without the token and position embeddings, score head included.

    Embeddings are left out because at small widths the vocabulary would dominate the count. So is
    a language model's output layer, which is their mirror image.
    """
    left_out = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters()
    }
    if isinstance(model, PreTrainedModel) and (layer := model.get_output_embeddings()) is not None:
        left_out |= {id(parameter) for parameter in layer.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in left_out)


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Write config.json and model.safetensors (and generation_config.json of a policy)."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size=ONE_FILE)


def load_policy(folder: Path) -> Policy:
    """Read a policy, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    policy = load_checkpoint(AutoModelForCausalLM, folder)
    if not isinstance(policy, GPT2LMHeadModel):
        check_policy(policy, folder)
    return policy


def load_reward_model(folder: Path) -> RewardModel:
    """Read a reward model, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    model = load_checkpoint(AutoModelForSequenceClassification, folder)
    _require_score_head(model, str(folder))
    return model


def read_settings(folder: Path) -> PreTrainedConfig:
    """Settings of a checkpoint, dropout off. Raises `UserError` where there are none."""
    refuse_own_code(folder)
    try:
        settings = AutoConfig.from_pretrained(folder, local_files_only=True)
    # Whatever a broken folder makes the library raise, the mistake is in the folder.
    except Exception as error:
        raise UserError(f"{folder}: config.json gives no model ({in_one_line(error)}).") from error
    switch_off_dropout(settings)
    return settings


def load_checkpoint(
    auto_class: type[Any], folder: Path, dtype: torch.dtype | str = torch.float32
) -> PreTrainedModel:
    """Read a checkpoint of any architecture that transformers itself holds, without dropout.

    Parameters
    ----------
    auto_class
        AutoModelForCausalLM or AutoModelForSequenceClassification.
    folder
        A folder with config.json, its weights as safetensors, and no code of its own.
    dtype
        Of the weights in memory; "auto" for that of the file.

    Raises
    ------
    UserError
        The folder holds no such model, or not all of its weights.

    """
    require_weights(folder)
    settings = read_settings(folder)
    try:
        model_class = auto_class._model_mapping[type(settings)]
        model, found = model_class.from_pretrained(
            folder,
            config=settings,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            # config.json could name a kernel to download instead.
            attn_implementation="sdpa" if model_class._supports_sdpa else "eager",
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
    return model.eval()


def _require_score_head(model: PreTrainedModel, name: str) -> None:
    head = getattr(model, "score", None)
    if not isinstance(head, torch.nn.Linear) or head.out_features != 1:
        raise UserError(
            f"{name}: no linear score head with one output, as reward models of this project have. "
            "A published reward model of another kind can serve as gold RM (gold_rm.checkpoint)."
        )
