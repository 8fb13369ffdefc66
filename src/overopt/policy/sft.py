"""
Language-model training: supervised fine-tuning of the initial policies, and the same objective
for the backbones of the proxy RMs (Gao et al. 2022, section 2: SFT for two epochs).

Difference from the paper: models start from random weights, not from GPT-3 checkpoints.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from overopt.config.policy import LanguageModelSettings
from overopt.errors import UserError
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.jobs.provenance import write_json
from overopt.models.architecture import (
    FILLER_ID,
    Policy,
    require_room,
    vocabulary_logits,
)
from overopt.models.hidden_states import states_at
from overopt.models.loading import build_policy, load_policy, num_parameters, save_model
from overopt.models.tokens import (
    copy_tokenizer,
    encode_prompts,
    encode_responses,
    load_tokenizer,
    pad_right,
)
from overopt.models.training.loop import Examples, final_loss, length_bucketed_batches, train
from overopt.models.training.lora import add_adapters, merge_adapters
from overopt.models.training.state import TrainingState
from overopt.randomness import numpy_generator, torch_generator


def response_loss(
    policy: Policy,
    input_ids: torch.Tensor,
    prompt_lengths: torch.Tensor,
    lengths: torch.Tensor,
) -> torch.Tensor:
    """Mean cross-entropy of the response tokens (nats per token), `<eos>` included.

    `input_ids` (B, S) padded on the right; `prompt_lengths` and `lengths` (B,) count the tokens
    of the prompt and of prompt and response. Prompt tokens and padding carry no loss.
    """
    positions = torch.arange(1, input_ids.shape[1], device=input_ids.device)
    is_response = (positions >= prompt_lengths[:, None]) & (positions < lengths[:, None])
    read = is_response.flatten().nonzero().squeeze(1)
    # The state at one token predicts the next.
    states = states_at(policy, input_ids[:, :-1], read)
    logits = vocabulary_logits(policy, states)
    return F.cross_entropy(logits.float(), input_ids[:, 1:].flatten()[read])


class LanguageModelLoss(torch.nn.Module):
    """`response_loss` of a policy, as accelerate wraps it."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(
        self, input_ids: torch.Tensor, prompt_lengths: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Mean loss of these rows (nats per token)."""
        return response_loss(self.policy, input_ids, prompt_lengths, lengths)


def train_language_model(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    settings: LanguageModelSettings,
    state: TrainingState,
) -> np.ndarray:
    """Fit the policy to the responses; the loss of every step (nats per token)."""
    prompt_lengths = torch.as_tensor([len(prompt) for prompt in prompts])
    input_ids = torch.as_tensor(
        pad_right([[*p, *r] for p, r in zip(prompts, responses, strict=True)], FILLER_ID)
    )
    lengths = prompt_lengths + torch.as_tensor([len(response) for response in responses])
    optimization = settings.optimization
    batches = length_bucketed_batches(
        lengths.numpy(),
        optimization.batch_size,
        optimization.num_epochs,
        numpy_generator(settings.seed, "batches"),
    )
    if not batches:
        raise UserError(
            f"{len(prompts)} demonstrations do not fill one batch of {optimization.batch_size}: "
            "lower the batch size or give more demonstrations"
        )

    def tensors(rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        longest = int(lengths[rows].max())
        return input_ids[rows, :longest], prompt_lengths[rows], lengths[rows]

    num_response_tokens = (lengths - prompt_lengths).numpy()
    return train(
        LanguageModelLoss(policy),
        Examples(tensors, weights=num_response_tokens),
        batches,
        optimization.learning_rate,
        state,
        settings.numerics,
    )


def fit_to_demonstrations(
    job: Job,
    settings: LanguageModelSettings,
    demonstrations: Path,
    start: Path,
    model_dir: Path,
) -> None:
    """Train a language model on the demonstrations; write its checkpoint.

    `start` is the folder of a pretrained checkpoint, or, for a model from random weights, of a
    tokenizer. Without epochs a checkpoint stays as it is.
    """
    tokenizer = load_tokenizer(start)
    table = pd.read_parquet(demonstrations)
    text = settings.text
    prompts = encode_prompts(tokenizer, table["prompt"].tolist(), text.max_prompt_tokens)
    responses = encode_responses(tokenizer, table["response"].tolist(), text.max_response_tokens)
    if settings.shape is None:
        policy = load_policy(start)
        require_room(policy, text)
    else:
        policy = build_policy(
            settings.shape,
            len(tokenizer),
            text.context_length,
            torch_generator(settings.seed, "weights"),
        )
    state = TrainingState(model_dir / STATE_FILE, job.fingerprint)
    losses = np.array([])
    if settings.optimization.num_epochs > 0:
        rank = settings.numerics.lora_rank
        policy = add_adapters(policy, rank, torch_generator(settings.seed, "adapters"))
        losses = train_language_model(policy, prompts, responses, settings, state)
    job.stop_workers()
    merge_adapters(policy)
    save_model(policy, model_dir)
    copy_tokenizer(start, model_dir)
    write_json(
        model_dir / "metrics.json",
        {
            "num_parameters": num_parameters(policy),
            "num_demonstrations": len(table),
            "training_loss": final_loss(losses) if len(losses) else None,
        },
    )
    state.remove()
