"""
Models of GPT-2's layout in plain torch: all models from scratch, and checkpoints of that layout.

Their folders are ordinary transformers checkpoints, which it reads as its own GPT-2. Its classes
are not used for them because importing those takes longer than what many a job does.

The modules hold the weights; what is computed with them stands in `overopt.models.hidden_states`
(training and scoring) and `overopt.policy.gpt2_decoder` (sampling).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from overopt.jobs.provenance import write_json
from overopt.models.checkpoint_files import WEIGHTS

ACTIVATIONS = {"relu": torch.nn.ReLU, "gelu_new": lambda: torch.nn.GELU(approximate="tanh")}
"""Activations of the MLP, by their name in config.json."""

_LAYOUT = {
    "model_type": "gpt2",
    "n_inner": None,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
"""What config.json has to say, or leave to the default, for these modules to be the model."""
_NO_DROPOUT = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
_ONE_LABEL = {"id2label": {"0": "score"}, "label2id": {"score": 0}}


@dataclass
class GPT2Settings:
    """Shape and special tokens of a model, under the names of transformers' GPT-2."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    activation_function: str
    layer_norm_epsilon: float
    pad_token_id: int | None
    bos_token_id: int | None
    eos_token_id: int | None

    @property
    def max_position_embeddings(self) -> int:
        """The longest sequence in tokens, under the name that other architectures give it."""
        return self.n_positions


class GPT2Linear(torch.nn.Module):
    """A linear layer with its weight as (inputs, outputs), as GPT-2's checkpoints have it."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(num_inputs, num_outputs))
        self.bias = torch.nn.Parameter(torch.empty(num_outputs))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Map (..., inputs) linearly to (..., outputs)."""
        rows = states.reshape(-1, states.shape[-1])
        return torch.addmm(self.bias, rows, self.weight).view(*states.shape[:-1], -1)


class GPT2Attention(torch.nn.Module):
    """The projections to queries, keys and values, and of what attention gives."""

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.c_attn = GPT2Linear(settings.n_embd, 3 * settings.n_embd)
        self.c_proj = GPT2Linear(settings.n_embd, settings.n_embd)


class GPT2MLP(torch.nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.c_fc = GPT2Linear(settings.n_embd, 4 * settings.n_embd)
        self.c_proj = GPT2Linear(4 * settings.n_embd, settings.n_embd)
        self.act: torch.nn.Module = ACTIVATIONS[settings.activation_function]()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Apply both layers to (..., D); the shape stays."""
        return self.c_proj(self.act(self.c_fc(states)))


class GPT2Block(torch.nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to the residual stream."""

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.ln_1 = _layer_norm(settings)
        self.attn = GPT2Attention(settings)
        self.ln_2 = _layer_norm(settings)
        self.mlp = GPT2MLP(settings)


class GPT2Backbone(torch.nn.Module):
    """Embeddings, blocks and the last LayerNorm.

    Attributes
    ----------
    gradient_checkpointing : whether training computes the activations of blocks again.
    """

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.config = settings
        self.wte = _embedding(settings.vocab_size, settings.n_embd)
        self.wpe = _embedding(settings.n_positions, settings.n_embd)
        self.h = torch.nn.ModuleList(GPT2Block(settings) for _ in range(settings.n_layer))
        self.ln_f = _layer_norm(settings)
        self.gradient_checkpointing = False


class GPT2Model(torch.nn.Module):
    """What a language model and a reward model have in common. Weights have no values yet."""

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__()
        self.transformer = GPT2Backbone(settings)

    @property
    def config(self) -> GPT2Settings:
        """Settings of the layout: sizes, vocabulary, special tokens."""
        return self.transformer.config

    @property
    def device(self) -> torch.device:
        """Device that holds the weights."""
        return self.transformer.wte.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return self.transformer.wte.weight.dtype

    @property
    def base_model(self) -> GPT2Backbone:
        """The model without its head, under the name that transformers gives it."""
        return self.transformer


class GPT2Policy(GPT2Model):
    """A causal language model; its output layer has the weights of the token embeddings."""

    def get_output_embeddings(self) -> torch.nn.Embedding:
        """The token embeddings."""
        return self.transformer.wte


class GPT2RewardModel(GPT2Model):
    """A sequence classifier with one label."""

    def __init__(self, settings: GPT2Settings) -> None:
        super().__init__(settings)
        # Not drawn, from a random state that belongs to nobody.
        self.score = torch.nn.Linear(settings.n_embd, 1, bias=False, device="meta")
        self.score.weight = torch.nn.Parameter(torch.empty(1, settings.n_embd))


Model = TypeVar("Model", GPT2Policy, GPT2RewardModel)


def save_gpt2(model: GPT2Model, folder: Path) -> None:
    """Write config.json and model.safetensors, and generation_config.json of a policy."""
    write_json(folder / "config.json", gpt2_config(model))
    if isinstance(model, GPT2Policy):
        ends = {key: value for key, value in asdict(model.config).items() if "token_id" in key}
        write_json(folder / "generation_config.json", ends)
    save_file(model.state_dict(), folder / WEIGHTS, metadata={"format": "pt"})


def gpt2_config(model: GPT2Model) -> dict[str, Any]:
    """Content of config.json, as transformers reads it."""
    is_policy = isinstance(model, GPT2Policy)
    name = "GPT2LMHeadModel" if is_policy else "GPT2ForSequenceClassification"
    labels = {} if is_policy else _ONE_LABEL
    dtype = str(model.dtype).removeprefix("torch.")
    settings = asdict(model.config)
    return {"architectures": [name], "dtype": dtype, **_LAYOUT, **_NO_DROPOUT, **settings, **labels}


def read_gpt2(model_class: type[Model], folder: Path) -> Model | None:
    """A checkpoint in fp32 and evaluation mode; None where it is not of just this layout.

    It may then be one of another architecture, or broken: transformers tells.
    """
    try:
        content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        settings = GPT2Settings(**{key: content[key] for key in GPT2Settings.__annotations__})
        if any(content.get(key, value) != value for key, value in _LAYOUT.items()):
            return None
        if settings.activation_function not in ACTIVATIONS:
            return None
        with torch.device("meta"):  # shapes, no memory: a folder may claim any size
            model = model_class(settings)
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        return None
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return model.eval()


def _embedding(num_rows: int, width: int) -> torch.nn.Embedding:
    # Given a weight it draws none, which imports torch's compiler where there is no memory.
    return torch.nn.Embedding(num_rows, width, _weight=torch.empty(num_rows, width))


def _layer_norm(settings: GPT2Settings) -> torch.nn.LayerNorm:
    return torch.nn.LayerNorm(settings.n_embd, eps=settings.layer_norm_epsilon)
