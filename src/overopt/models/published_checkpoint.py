"""
Published checkpoints, made usable: one folder with the files that every model of a study has.

From a local folder or from the Hugging Face hub. Weights become one file of safetensors, special
tokens are completed and written into the settings, dropout is off, and nothing else comes along.
"""

from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from overopt.config.model import CheckpointSettings
from overopt.errors import UserError, in_one_line
from overopt.jobs.hub_fetch import fetched
from overopt.jobs.job import Job
from overopt.jobs.provenance import write_json
from overopt.models.checkpoint_files import WEIGHTS
from overopt.models.pipeline import PROBES, logits_of, read_own_tokenizer, require_same_encodings
from overopt.models.tokens import PAD_TOKEN, TOKENIZER_FILES, read_tokenizer
from overopt.models.transformers_models import load_checkpoint, save_transformers_model

WANTED = ["*.json", "*.safetensors", "*.jinja"]
"""What is fetched of a repository: no pickles, no code."""
AUTO_CLASSES = {
    "language_model": AutoModelForCausalLM,
    "reward_model": AutoModelForSequenceClassification,
}


def prepare_checkpoint(job: Job, settings: CheckpointSettings, model_dir: Path) -> None:
    """Fetch a checkpoint, check it, and write it as the project's own are written.

    Raises
    ------
    UserError
        The repository cannot be reached or read, or the checkpoint cannot be used.
    """
    source = Path(settings.checkpoint) if settings.is_local else _fetched(settings)
    is_policy = settings.role == "language_model"
    tokenizer = read_tokenizer(source) if is_policy else read_own_tokenizer(source)
    model = load_checkpoint(AUTO_CLASSES[settings.role], source, dtype="auto")
    if is_policy:
        complete_special_tokens(settings.checkpoint, tokenizer, model)
    else:
        require_one_score(settings.checkpoint, model)
        require_steady_scores(settings.checkpoint, model, tokenizer)
    save_transformers_model(model, model_dir)
    # The chat template goes into tokenizer_config.json: no file more than other models have.
    tokenizer.save_pretrained(model_dir, save_jinja_files=False)
    for path in model_dir.iterdir():
        if path.name not in ("config.json", WEIGHTS, *TOKENIZER_FILES):
            path.unlink()
    if not is_policy:
        require_same_encodings(tokenizer, read_own_tokenizer(model_dir), settings.checkpoint)
    commit = None if settings.is_local else source.name
    write_json(
        model_dir / "source.json", {**settings.model_dump(exclude={"role"}), "commit": commit}
    )
    print(f"{settings.checkpoint}: a {type(model).__name__} in {model.dtype}, commit {commit}")


def require_one_score(name: str, model: PreTrainedModel) -> None:
    """Raise `UserError` where a classifier has more labels than one."""
    if model.config.num_labels != 1:
        raise UserError(
            f"{name}: a classifier with {model.config.num_labels} labels; a reward model has one, "
            "its score"
        )


def require_steady_scores(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Refuse a classifier that does not read text alone, or not one text as it does another.

    Raises
    ------
    UserError
        It needs more than text, draws at random, or reads a text by what it read before.
    """
    kind = type(model).__name__
    # Its first short text would have every later one read with full attention.
    if getattr(model.config, "attention_type", None) == "block_sparse":
        raise UserError(
            f"{name}: a {kind} with block-sparse attention, whose score of a text depends on the "
            "texts before it; choose another reward model"
        )
    try:
        first, _, again = (_score(model, tokenizer, PROBES[row]) for row in (0, 1, 0))
    # Whatever an unusual architecture raises, it cannot serve.
    except Exception as error:
        raise UserError(
            f"{name}: a {kind} gives no score for a prompt and a response as text "
            f"({type(error).__name__}: {in_one_line(error)}); choose another reward model"
        ) from error
    if first != again:
        raise UserError(
            f"{name}: a {kind} gives one text two scores, {first:.6g} and {again:.6g}; choose "
            "another reward model"
        )


def _score(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, pair: tuple[str, str]
) -> float:
    encoding = cast(Any, tokenizer)(*pair, return_tensors="pt")
    return logits_of(model, encoding).item()


def complete_special_tokens(
    name: str, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel
) -> None:
    """Give the tokenizer a pad token of its own, and the model's settings the ids of all three.

    Many published tokenizers have none, or pad with the token that ends texts. The padding token
    is never read, but whoever loads the reward model with transformers has it searched for. A new
    token takes a row of the embeddings that no other token has; only where there is none do they
    grow.

    Raises
    ------
    UserError
        The tokenizer has no token that ends a text.
    """
    if tokenizer.eos_token is None:
        raise UserError(
            f"{name}: its tokenizer has no token that ends a text (eos_token); set one in "
            "tokenizer_config.json"
        )
    if tokenizer.pad_token in (None, tokenizer.eos_token, tokenizer.bos_token):
        added = tokenizer.get_added_vocab()
        own = [token for token in added if "pad" in token.lower()]
        tokenizer.add_special_tokens({"pad_token": own[0] if own else PAD_TOKEN})
    embeddings = cast(torch.nn.Embedding, model.get_input_embeddings())
    if len(tokenizer) > embeddings.num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        _empty_rows(model, embeddings.num_embeddings)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = tokenizer.eos_token_id


@torch.no_grad()
def _empty_rows(model: PreTrainedModel, first: int) -> None:
    """Zero the embeddings from this row on, which the library drew at random."""
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None:
            cast(torch.nn.Embedding, layer).weight[first:].zero_()


def _fetched(settings: CheckpointSettings) -> Path:
    """The folder of the hub's cache that holds this revision."""
    name, revision = settings.checkpoint, settings.revision
    return fetched(name, revision, "model", named=name, key="checkpoint", patterns=WANTED)
