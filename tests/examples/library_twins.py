"""The same model as transformers has it: the other side of comparisons with models of our own."""

from typing import Any

from transformers import PreTrainedModel

from overopt.models.gpt2 import GPT2Model
from overopt.models.transformers_models import as_transformers_model


def twin_of(model: GPT2Model | PreTrainedModel) -> Any:
    """A model of ours as the class of transformers, with a copy of its weights as they are now."""
    return as_transformers_model(model) if isinstance(model, GPT2Model) else model
