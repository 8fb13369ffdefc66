"""
What a checkpoint holds beside the weights of the model that its config describes.

transformers draws missing weights at random and drops surplus ones. Here both stop, but for a short
list of surplus that no output depends on, which is named.
"""

import re
from collections.abc import Collection
from pathlib import Path

import torch
from transformers import PreTrainedModel

from overopt.errors import UserError
from overopt.models.checkpoint_files import WEIGHTS, weight_shapes

Shape = tuple[int, ...]

BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids|(\w+_)?inv_freq)$")
"""Counts and frequencies that a model makes anew from its settings."""
MASKS = re.compile(r"(^|\.)attn(ention)?\.(masked_)?bias$")
"""Causal masks; a bias in the sense of a layer has one dimension."""
LANGUAGE_MODEL_HEADS = re.compile(
    r"^(lm_head|cls\.(predictions|seq_relationship)|lm_predictions|mask_predictions|embed_out|"
    r"generator_(predictions|lm_head)|discriminator_predictions)\."
)
"""Heads of pre-training: a classifier has no place for them, its score does not depend on them."""
POOLERS = re.compile(r"(^|\.)pooler\.")
"""Layers of pre-training too, where the class of the model has none."""
VALUE_HEADS = re.compile(r"^(v_head|value_head)\.")
"""What PPO trains beside a policy; the probabilities of its tokens do not depend on it."""
LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block|blocks)\.(\d+)\.")
_SHOWN = 4


def require_same_weights(
    folder: Path, model: PreTrainedModel, missing: Collection[str], surplus: Collection[str]
) -> None:
    """Refuse a checkpoint that is not quite the model which its config describes.

    Raises
    ------
    UserError
        A weight of the model is missing, or there are others that matter.
    """
    if not missing and not surplus:
        return
    shapes = weight_shapes(folder)
    if missing:
        raise UserError(_why_incomplete(folder, model, sorted(missing), sorted(surplus), shapes))
    has_score = model.get_output_embeddings() is None
    harmless = [name for name in surplus if _is_harmless(name, shapes.get(name), has_score)]
    grave = sorted(set(surplus) - set(harmless))
    if grave:
        raise UserError(_why_surplus(folder, model, grave, shapes))
    print(f"{folder}: left out, since no output depends on them: {_listed(sorted(harmless))}")


def _is_harmless(name: str, shape: Shape | None, has_score: bool) -> bool:
    if BUFFERS.search(name) or POOLERS.search(name):
        return True
    if MASKS.search(name):
        return shape is not None and len(shape) != 1
    return bool((LANGUAGE_MODEL_HEADS if has_score else VALUE_HEADS).search(name))


def _why_surplus(
    folder: Path, model: PreTrainedModel, grave: list[str], shapes: dict[str, Shape]
) -> str:
    num_layers = getattr(model.config, "num_hidden_layers", None)
    layers = [int(match[1]) for name in grave if (match := LAYER.search(name))]
    because = f"which a {type(model).__name__} of its config.json has no place for"
    if isinstance(num_layers, int) and layers and max(layers) >= num_layers:
        because = (
            f"layers up to number {max(layers) + 1}, but config.json has num_hidden_layers "
            f"{num_layers}"
        )
    return (
        f"{folder}: {WEIGHTS} holds {len(grave)} of {len(shapes)} tensors that would be dropped: "
        f"{_listed(grave)}, {because}. Mend config.json so that it describes them, or remove them "
        "from the file if the model is meant to be without"
    )


def _why_incomplete(
    folder: Path,
    model: PreTrainedModel,
    missing: list[str],
    surplus: list[str],
    shapes: dict[str, Shape],
) -> str:
    told = (
        f"{folder}: {WEIGHTS} does not hold all weights of a {type(model).__name__}; it lacks "
        f"{_listed(missing)}"
    )
    if not surplus:
        return f"{told}. Check the path."
    told += f", and holds {_listed(surplus)}, for which this class has no place"
    renaming = _renaming(model, missing, surplus, shapes)
    if renaming:
        return f"{told}. If that is the head, rename in {WEIGHTS}: {renaming}"
    heads = [name for name in surplus if len(shapes.get(name, ())) == 2]
    if len(heads) > 1:
        return (
            f"{told}. {' and '.join(heads[:_SHOWN])} are several layers, which no renaming turns "
            "into one; use a checkpoint with a linear head"
        )
    return f"{told}. Check the path and config.json (architectures, hidden_size)"


def _renaming(
    model: PreTrainedModel, missing: list[str], surplus: list[str], shapes: dict[str, Shape]
) -> str | None:
    """Which surplus tensor would serve for each missing one, by its shape; None if not clear."""
    wanted = {name: tuple(weight.shape) for name, weight in _weights(model).items()}
    left, pairs = list(surplus), list[tuple[str, str]]()
    for name in missing:
        alike = [other for other in left if shapes.get(other) == wanted.get(name)]
        if len(alike) != 1:
            return None
        left.remove(alike[0])
        pairs.append((alike[0], name))
    told = ", ".join(f"{old} to {new}" for old, new in pairs)
    if not left:
        return told
    if any(len(shapes.get(name, ())) > 1 for name in left):
        return None
    return (
        f"{told}, and remove {_listed(left)} (a constant that shifts all scores alike changes no "
        "comparison)"
    )


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
