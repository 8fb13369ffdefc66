"""
A checkpoint folder is data: weights as safetensors, settings as JSON, and nothing in it is run.

Two things in such a folder would run code as they are loaded: a pickle (`pytorch_model.bin`) and
modules that its settings name (`auto_map`, what transformers calls `trust_remote_code`). Neither is
ever read, and no setting of a study changes that. Nor is an adapter: transformers would apply one
that it finds beside a model, whatever the model.
"""

import json
from pathlib import Path

from overopt.errors import UserError, in_one_line

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
ADAPTER = "adapter_config.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_SETTINGS = ("config.json", "tokenizer_config.json")


def require_weights(folder: Path) -> None:
    """Raise `UserError` where a folder has no config.json or no weights as safetensors."""
    for name in ("config.json", WEIGHTS):
        # Large published checkpoints come in parts, with an index.
        if (folder / name).is_file() or (name == WEIGHTS and (folder / INDEX).is_file()):
            continue
        pickles = sorted(path.name for kind in _PICKLES for path in folder.glob(kind))
        never = f" ({', '.join(pickles)}: a pickle can run code and is never read)"
        raise UserError(
            f"{folder}: no {name} there{never if pickles else ''}. Expected a transformers "
            f"checkpoint folder with config.json and {WEIGHTS}; make it with the workflow or "
            "check the path."
        )


def refuse_own_code(folder: Path) -> None:
    """Raise `UserError` where the settings of a checkpoint name code of its own, or an adapter."""
    if (folder / ADAPTER).exists():
        raise UserError(
            f"{folder}: holds an adapter ({ADAPTER}), which would change the model. Merge it into "
            "the weights (peft's merge_and_unload) and save the model without it."
        )
    for name in _SETTINGS:
        path = folder / name
        if not path.is_file():
            continue
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: no JSON ({in_one_line(error)}).") from error
        if not isinstance(settings, dict):
            raise UserError(f"{path}: no JSON object, as the settings of a checkpoint are.")
        if "auto_map" in settings:
            raise UserError(
                f"{path}: names code of the checkpoint's own (auto_map), which is never run. Use a "
                "checkpoint without it, as the workflow makes them."
            )


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor in the safetensors files of a folder, by name."""
    from safetensors import safe_open

    index = folder / INDEX
    files = {WEIGHTS}
    if not (folder / WEIGHTS).is_file():
        files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    shapes: dict[str, tuple[int, ...]] = {}
    for name in sorted(files):
        with safe_open(folder / name, "pt") as tensors:
            shapes |= {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}
    return shapes
