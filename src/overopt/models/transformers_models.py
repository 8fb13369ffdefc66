"""
Models of any architecture, as transformers builds and reads them.

Apart from `overopt.models.loading` because importing transformers takes longer than many a job's
work, and models of the layout that studies make from scratch (`overopt.models.gpt2`) do not need
it.
"""

from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from overopt.errors import UserError, in_one_line
from overopt.models.architecture import backbone_of, score_head, vocabulary_logits, vocabulary_size
from overopt.models.checkpoint_files import WEIGHTS, refuse_own_code, require_weights
from overopt.models.gpt2 import GPT2Model, GPT2Policy, gpt2_config
from overopt.models.surplus_weights import require_same_weights

_PROBE = (5, 3, 8, 1)
_LARGEST_ERROR = 1e-3
ONE_FILE = "1000GB"
"""No checkpoint is split: a rule names its outputs before it runs."""


def build_classifier(backbone: PreTrainedModel) -> PreTrainedModel:
    """A sequence classifier with one label on a copy of a language model.

    Raises
    ------
    UserError
        transformers has none with a linear score head for this architecture.
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
    require_score_head(model, f"a {type(model).__name__}")
    backbone_of(model).load_state_dict(backbone_of(backbone).state_dict())
    torch.nn.init.zeros_(score_head(model).weight)
    return model.to(backbone.dtype)


def as_transformers_model(model: GPT2Model) -> PreTrainedModel:
    """Copy a model of GPT-2's layout, weights too, into the class of transformers."""
    is_policy = isinstance(model, GPT2Policy)
    auto_class = AutoModelForCausalLM if is_policy else AutoModelForSequenceClassification
    twin = auto_class.from_config(AutoConfig.for_model(**gpt2_config(model)))
    weights = model.state_dict()
    if is_policy:
        weights["lm_head.weight"] = model.transformer.wte.weight
    twin.load_state_dict(weights)
    return twin.to(device=model.device, dtype=model.dtype).train(model.training)


def load_library_policy(folder: Path) -> PreTrainedModel:
    """Read a policy, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    policy = load_checkpoint(AutoModelForCausalLM, folder)
    check_policy(policy, folder)
    return policy


def load_classifier(folder: Path) -> PreTrainedModel:
    """Read a reward model, in fp32 and evaluation mode; `UserError` where the folder holds none."""
    model = load_checkpoint(AutoModelForSequenceClassification, folder)
    require_score_head(model, str(folder))
    return model


def save_transformers_model(model: PreTrainedModel, folder: Path) -> None:
    """Write config.json and model.safetensors (and generation_config.json of a policy)."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size=ONE_FILE)


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
        The folder holds no such model, not all of its weights, or others besides.
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
    require_same_weights(folder, model, found["missing_keys"], found["unexpected_keys"])
    return model.eval()


def require_score_head(model: PreTrainedModel, name: str) -> None:
    """Raise `UserError` where a model has no linear score head with one output."""
    head = getattr(model, "score", None)
    if not isinstance(head, torch.nn.Linear) or head.out_features != 1:
        raise UserError(
            f"{name}: no linear score head with one output, as reward models of this project have. "
            "A published reward model of another kind can serve as gold RM (gold_rm.checkpoint)."
        )


def switch_off_dropout(settings: PreTrainedConfig) -> None:
    """Set every share of dropout in a model's settings to zero, in place.

    PPO's ratio has to be 1 before the first step, and a killed training has to go on to the same
    bits.
    """
    for name, value in vars(settings).items():
        is_dropout = "dropout" in name or name.endswith("_pdrop")
        if is_dropout and isinstance(value, float):
            setattr(settings, name, 0.0)


@torch.no_grad()
def check_policy(policy: PreTrainedModel, folder: object) -> None:
    """Refuse an architecture whose logits are not what `vocabulary_logits` computes.

    Raises
    ------
    UserError
        Also where the architecture has no output layer, or needs more than token ids.
    """
    probe = torch.tensor([_PROBE], device=policy.device) % vocabulary_size(policy)
    try:
        states = backbone_of(policy)(input_ids=probe, use_cache=False).last_hidden_state
        expected = policy(input_ids=probe, use_cache=False).logits.float()
        error = (vocabulary_logits(policy, states).float() - expected).abs().max().item()
    # Whatever an unusual architecture raises, it cannot serve.
    except Exception as cause:
        raise UserError(
            f"{folder}: a {type(policy).__name__} cannot be read from token ids alone "
            f"({type(cause).__name__}). Use a causal language model for text."
        ) from cause
    if not error <= _LARGEST_ERROR * max(1.0, expected.abs().max().item()):
        raise UserError(
            f"{folder}: a {type(policy).__name__} changes its logits after the output layer in a "
            f"way that is not known here (by up to {error:.2g}). Use another architecture."
        )
