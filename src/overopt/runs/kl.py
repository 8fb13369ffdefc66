"""
Sequence KL of two checkpoints on saved completions of the first, for any causal language model.

KL(policy || reference) in nats per sequence, over the tokens of the response. `exact` sums, over
the positions of a sampled response, the KL of the two next-token distributions (its mean is the
sequence KL, with less noise than the sampled one); `sampled` is the log-ratio of the response (k1).
Needs torch and transformers, imported here only.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from overopt.errors import UserError
from overopt.runs.samples import Row, find_text_columns, iterate_rows

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SequenceKL:
    """KL of one response, exact per token and sampled (k1), log-probabilities (nats), tokens."""

    exact: float
    sampled: float
    logprob: float
    ref_logprob: float
    num_tokens: int


@dataclass(frozen=True)
class KLSummary:
    """Means over responses, nats per sequence, with standard errors clustered by prompt."""

    exact: float
    exact_error: float
    sampled: float
    sampled_error: float
    num_responses: int
    num_prompts: int
    tokens_per_response: float


def measure_kl(
    policy: str,
    reference: str,
    completions: Path,
    *,
    out: Path | None = None,
    batch_size: int = 8,
    temperature: float = 1.0,
    ends_with_eos: bool = True,
) -> KLSummary:
    """Measure the KL on every completion, streaming; optionally write each row with its KL.

    Parameters
    ----------
    policy, reference
        Folders or names of causal language models with one tokenizer.
    completions
        Rows with a prompt (text, or a conversation for the chat template) and a response.
    out
        JSON lines: the rows with kl, kl_sampled, logprob, ref_logprob, which `overopt fit` reads.
    temperature
        Of the sampling: both policies' logits are divided by it.
    ends_with_eos
        Whether a response ended by itself, so that its end token counts.

    Raises
    ------
    UserError
        A model cannot be read, tokenizers differ, or the file has no prompts and responses.
    """
    models = _Models.load(policy, reference)
    rows = iterate_rows(completions)
    first = next(rows, None)
    if first is None:
        raise UserError(f"{completions}: has no rows")
    keys = find_text_columns(completions, first)
    measured: list[SequenceKL] = []
    prompts: list[str] = []
    writer = out.open("w", encoding="utf-8") if out is not None else None
    try:
        for batch in _batches(chain([first], rows), batch_size):
            sequences = [models.encode(row, keys, ends_with_eos) for row in batch]
            found = models.kl(sequences, temperature)
            measured += found
            prompts += [json.dumps(row[keys[0]], default=str) for row in batch]
            if writer is not None:
                for row, one in zip(batch, found, strict=True):
                    writer.write(json.dumps(_with_kl(row, one), default=str) + "\n")
    finally:
        if writer is not None:
            writer.close()
    return _summary(measured, prompts)


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch


def _with_kl(row: Row, one: SequenceKL) -> dict[str, object]:
    return dict(row) | {
        "kl": one.exact,
        "kl_sampled": one.sampled,
        "logprob": one.logprob,
        "ref_logprob": one.ref_logprob,
        "num_tokens": one.num_tokens,
    }


def _summary(measured: Sequence[SequenceKL], prompts: Sequence[str]) -> KLSummary:
    exact = np.array([one.exact for one in measured])
    sampled = np.array([one.sampled for one in measured])
    _, groups = np.unique(prompts, return_inverse=True)
    tokens = float(np.mean([one.num_tokens for one in measured]))
    errors = [_clustered_error(values, groups) for values in (exact, sampled)]
    means = float(exact.mean()), float(sampled.mean())
    return KLSummary(
        *(means[0], errors[0], means[1], errors[1]), len(measured), int(groups.max()) + 1, tokens
    )


def _clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of a mean, responses to one prompt as a cluster; NaN for a single prompt."""
    num = int(groups.max()) + 1
    if num < 2:
        return float("nan")
    sums = np.bincount(groups, values - values.mean(), minlength=num)
    return float(np.sqrt((sums**2).sum() * num / (num - 1)) / len(values))


@dataclass(frozen=True)
class _Models:
    policy: Any
    reference: Any
    tokenizer: Any

    @classmethod
    def load(cls, policy: str, reference: str) -> "_Models":
        from transformers import AutoModelForCausalLM, AutoTokenizer

        loaded: list[Any] = []
        tokenizers: list[Any] = []
        for name in (policy, reference):
            try:
                model = AutoModelForCausalLM.from_pretrained(
                    name, dtype="float32", local_files_only=True, use_safetensors=True
                )
                tokenizers.append(AutoTokenizer.from_pretrained(name, local_files_only=True))
            except (OSError, ValueError) as error:
                lines = str(error).splitlines() or [type(error).__name__]
                raise UserError(
                    f"{name}: cannot be read as a causal language model: {lines[0]} Expected a "
                    "folder with safetensors weights, or a model that `hf download` has fetched"
                ) from None
            loaded.append(model.eval())
        if tokenizers[0].get_vocab() != tokenizers[1].get_vocab():
            raise UserError(
                f"{policy} and {reference} have different vocabularies; a KL of tokens needs one "
                "tokenizer. Compare a policy with the checkpoint it was trained from"
            )
        sizes = [int(model.config.get_text_config().vocab_size) for model in loaded]
        if sizes[0] != sizes[1]:
            raise UserError(
                f"{policy} has {sizes[0]} logits, {reference} {sizes[1]}; one was resized"
            )
        return cls(loaded[0], loaded[1], tokenizers[0])

    def encode(self, row: Row, keys: tuple[str, str], ends: bool) -> tuple[list[int], list[int]]:
        """Ids of prompt and response; a conversation goes through the chat template."""
        prompt, response = row[keys[0]], row[keys[1]]
        if isinstance(prompt, str):
            prompt_ids = self.tokenizer(prompt)["input_ids"]
        else:
            prompt_ids = self.tokenizer.apply_chat_template(
                prompt, add_generation_prompt=True, tokenize=True, return_dict=False
            )
        if not isinstance(response, str):
            turns = cast(list[dict[str, str]], response)
            response = "".join(turn["content"] for turn in turns)
        ids = self.tokenizer(response, add_special_tokens=False)["input_ids"]
        end = self.tokenizer.eos_token_id
        return list(prompt_ids), [*ids, end] if ends and end is not None else list(ids)

    def kl(
        self, sequences: Sequence[tuple[list[int], list[int]]], temperature: float
    ) -> list[SequenceKL]:
        """KL of a batch; sequences are padded on the right, which no real token sees."""
        import torch

        width = max(len(prompt) + len(response) for prompt, response in sequences)
        ids = torch.zeros((len(sequences), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, (prompt, response) in enumerate(sequences):
            joined = [*prompt, *response]
            ids[row, : len(joined)] = torch.tensor(joined)
            mask[row, : len(joined)] = 1
        with torch.inference_mode():
            logs = [
                torch.log_softmax(
                    model(input_ids=ids, attention_mask=mask).logits.float() / temperature, dim=-1
                )
                for model in (self.policy, self.reference)
            ]
        return [_of_row(logs, row, ids[row], *pair) for row, pair in enumerate(sequences)]


def _of_row(
    logs: "list[torch.Tensor]",
    row: int,
    ids: "torch.Tensor",
    prompt: list[int],
    response: list[int],
) -> SequenceKL:
    first = len(prompt)
    if first == 0 or not response:
        raise UserError(
            "a row has an empty prompt or response; remove it, or begin prompts with <bos>"
        )
    positions = slice(first - 1, first + len(response) - 1)
    ours, theirs = (log[row, positions].double() for log in logs)
    chosen = ids[first : first + len(response), None]
    logprob, ref_logprob = (float(log.gather(1, chosen).sum()) for log in (ours, theirs))
    exact = float((ours.exp() * (ours - theirs)).nansum())
    return SequenceKL(exact, logprob - ref_logprob, logprob, ref_logprob, len(response))
