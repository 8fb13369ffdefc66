"""Shapes of models, as far as cost depends on them: from the config, a folder, or a known name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overopt.data_config import FileDataConfig
from overopt.errors import UserError
from overopt.study import Study

WORLD_VOCABULARY = 176
"""Words of the embedded world's tokenizer."""


@dataclass(frozen=True)
class ModelShape:
    """What the cost of a transformer depends on.

    Attributes
    ----------
    intermediate_size : width of the MLP; 4 hidden_size in GPT-2 and GPT-NeoX.
    num_embeddings : matrices of vocabulary_size x hidden_size: 1 where input and output share it.
    """

    hidden_size: int
    num_layers: int
    vocabulary_size: int
    intermediate_size: int
    num_embeddings: int = 1

    @property
    def num_body_parameters(self) -> int:
        """Weights of attention and MLP, which every token passes."""
        block = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size
        return self.num_layers * block

    @property
    def num_parameters(self) -> int:
        """Body and embeddings."""
        return self.num_body_parameters + (
            self.num_embeddings * self.vocabulary_size * self.hidden_size
        )


def _pythia(hidden_size: int, num_layers: int, vocabulary_size: int = 50_304) -> ModelShape:
    return ModelShape(hidden_size, num_layers, vocabulary_size, 4 * hidden_size, num_embeddings=2)


KNOWN_SHAPES = {
    "EleutherAI/pythia-14m": _pythia(128, 6),
    "EleutherAI/pythia-31m": _pythia(256, 6),
    "EleutherAI/pythia-70m": _pythia(512, 6),
    "EleutherAI/pythia-160m": _pythia(768, 12),
    "EleutherAI/pythia-410m": _pythia(1024, 24),
    "EleutherAI/pythia-1b": _pythia(2048, 16),
    "EleutherAI/pythia-1.4b": _pythia(2048, 24),
    "EleutherAI/pythia-2.8b": _pythia(2560, 32),
    "EleutherAI/pythia-6.9b": _pythia(4096, 32, vocabulary_size=50_432),
}
"""Of hub repositories, for planning without network. Biderman et al. 2023, table 1, the training
settings of 14M and 31M in EleutherAI/pythia, and the vocabulary of the published config.json."""


def policy_shape(study: Study, policy_size: str) -> ModelShape:
    """Shape of a policy, and of a gold RM on it."""
    return _shape(study, study.policies[policy_size], f"policies.{policy_size}")


def proxy_shape(study: Study, proxy_size: str) -> ModelShape:
    """Shape of a proxy RM and its backbone."""
    return _shape(study, study.proxy_sizes[proxy_size], f"proxy_sizes.{proxy_size}")


def gold_shape(study: Study) -> ModelShape:
    """Shape of the gold RM: a published one's, or that of the policy it starts from."""
    if getattr(study.gold_rm, "checkpoint", None):
        return checkpoint_shape(str(study.gold_rm.checkpoint), "gold_rm")  # pyright: ignore
    return policy_shape(study, str(study.gold_rm.backbone))


def checkpoint_shape(checkpoint: str, key: str) -> ModelShape:
    """Shape of a pretrained model, a local folder or a hub repository; `key` names it in errors.

    Raises UserError where it is neither a folder with a config.json nor a repository known here.
    """
    config = Path(checkpoint) / "config.json"
    if config.is_file():
        return _shape_of_file(config, key)
    if checkpoint in KNOWN_SHAPES:
        return KNOWN_SHAPES[checkpoint]
    raise UserError(
        f"{key}.checkpoint: the shape of {checkpoint} is not known without network. Fetch it, and "
        "give its local folder here (config.json is enough to plan)"
    )


def _shape_of_file(path: Path, key: str) -> ModelShape:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{key}.checkpoint: {path} cannot be read as JSON ({error})") from None

    def number(*names: str) -> int:
        for name in names:
            if isinstance(content.get(name), int):
                return content[name]
        raise UserError(f"{key}.checkpoint: {path} has no {' or '.join(names)}")

    hidden_size = number("hidden_size", "n_embd", "d_model")
    names = ("intermediate_size", "n_inner", "ffn_dim")
    inner = next((content[name] for name in names if isinstance(content.get(name), int)), None)
    return ModelShape(
        hidden_size,
        number("num_hidden_layers", "n_layer", "num_layers"),
        number("vocab_size"),
        inner or 4 * hidden_size,
        num_embeddings=1 if content.get("tie_word_embeddings", True) else 2,
    )


def _shape(study: Study, config: Any, key: str) -> ModelShape:
    if getattr(config, "checkpoint", None):
        return checkpoint_shape(str(config.checkpoint), key)
    data = study.data
    return ModelShape(
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        vocabulary_size=(
            data.vocabulary_size if isinstance(data, FileDataConfig) else WORLD_VOCABULARY
        ),
        intermediate_size=4 * config.hidden_size,
    )
