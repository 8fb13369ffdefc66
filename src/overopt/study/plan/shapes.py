"""Shapes of models, as far as cost depends on them: from the config, a folder, or a known name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overopt.config.model import CheckpointConfig, ModelConfig
from overopt.data.sources import vocabulary_size
from overopt.errors import UserError
from overopt.study.study import Study


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
"""Shapes of hub repositories, to plan without network. Biderman et al. 2023, table 1, the training
settings of 14M and 31M in EleutherAI/pythia, and the vocabulary of the published config.json."""


NO_MODEL = ModelShape(0, 0, 0, 0, num_embeddings=0)
"""Shape of the hidden utility as gold: a formula, which costs no more than to read the texts."""
ASSUMED = KNOWN_SHAPES["EleutherAI/pythia-1.4b"]
"""Shape of a hub repository that is not known here and has not been fetched yet."""


def policy_shape(study: Study, policy_size: str) -> ModelShape:
    """Shape of a policy, and of a gold RM on it."""
    return _shape(study, study.policies[policy_size])


def proxy_shape(study: Study, proxy_size: str) -> ModelShape:
    """Shape of a proxy RM and its backbone."""
    return _shape(study, study.proxy_sizes[proxy_size])


def gold_shape(study: Study) -> ModelShape:
    """Shape of the gold RM: a published one's, that of the policy it starts from, or none."""
    if study.gold_rm.is_utility:
        return NO_MODEL
    backbone = study.gold_rm.backbone
    return _shape(study, study.gold_rm if backbone is None else study.policies[backbone])


def largest_proxy(study: Study) -> ModelShape:
    """Shape of the proxy RMs with most parameters."""
    shapes = [proxy_shape(study, size) for size in study.proxy_sizes]
    return max(shapes, key=lambda shape: shape.num_parameters)


def require_known_shapes(study: Study) -> None:
    """Raise UserError where the size of a checkpoint would have to be assumed."""
    models: dict[str, CheckpointConfig] = {"gold_rm": study.gold_rm}
    models |= {f"policies.{size}": model for size, model in study.policies.items()}
    models |= {f"proxy_sizes.{size}": model for size, model in study.proxy_sizes.items()}
    for key, model in models.items():
        if model.checkpoint is not None and _checkpoint_shape(study, model) is None:
            raise UserError(
                f"{key}.checkpoint: the shape of {model.checkpoint} is not known without network. "
                "Fetch it, and give its local folder here (config.json is enough to plan)"
            )


def _shape(study: Study, model: CheckpointConfig) -> ModelShape:
    if isinstance(model, ModelConfig) and model.shape is not None:
        return ModelShape(
            hidden_size=model.shape.hidden_size,
            num_layers=model.shape.num_layers,
            vocabulary_size=vocabulary_size(study.data),
            intermediate_size=4 * model.shape.hidden_size,
        )
    return _checkpoint_shape(study, model) or ASSUMED


def shape_of_checkpoint(study: Study, checkpoint: str) -> ModelShape:
    """Shape of a published model by its folder or name; assumed where neither tells it."""
    return _checkpoint_shape(study, CheckpointConfig(checkpoint=checkpoint)) or ASSUMED


def _checkpoint_shape(study: Study, model: CheckpointConfig) -> ModelShape | None:
    """From a folder's config.json, given or fetched; else by the name of the repository."""
    folders = [Path(str(model.checkpoint))]
    for role in ("language_model", "reward_model"):
        if (settings := model.checkpoint_settings(role)) is not None:
            folders.append(Path("results", study.name, "checkpoints", settings.slug))
    for folder in folders:
        if (shape := shape_of_folder(folder)) is not None:
            return shape
    return KNOWN_SHAPES.get(str(model.checkpoint))


def shape_of_folder(folder: Path) -> ModelShape | None:
    """Shape of the model in a folder; None where no config.json there tells it."""
    try:
        content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    hidden_size = _number(content, "hidden_size", "n_embd", "d_model")
    num_layers = _number(content, "num_hidden_layers", "n_layer", "num_layers")
    vocabulary_size = _number(content, "vocab_size")
    if hidden_size is None or num_layers is None or vocabulary_size is None:
        return None
    inner = _number(content, "intermediate_size", "n_inner", "ffn_dim")
    return ModelShape(
        hidden_size,
        num_layers,
        vocabulary_size,
        inner or 4 * hidden_size,
        num_embeddings=1 if content.get("tie_word_embeddings", True) else 2,
    )


def _number(content: dict[str, Any], *names: str) -> int | None:
    numbers = (content.get(name) for name in names)
    return next((number for number in numbers if isinstance(number, int)), None)
