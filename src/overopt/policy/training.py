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

from overopt.architecture import FILLER_ID, Policy, backbone_of, vocabulary_logits
from overopt.errors import UserError
from overopt.job import Job
from overopt.job_outputs import STATE_FILE
from overopt.models import build_policy, num_parameters, save_model
from overopt.optimization import final_loss, length_bucketed_batches, train
from overopt.policy.config import LanguageModelSettings
from overopt.provenance import write_json
from overopt.randomness import numpy_generator, torch_generator
from overopt.tokens import (
    copy_tokenizer,
    encode_prompts,
    encode_responses,
    load_tokenizer,
    pad_right,
)
from overopt.training_state import TrainingState


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
    hidden = backbone_of(policy)(input_ids=input_ids[:, :-1], use_cache=False).last_hidden_state
    positions = torch.arange(1, input_ids.shape[1], device=input_ids.device)
    is_response = (positions >= prompt_lengths[:, None]) & (positions < lengths[:, None])
    logits = vocabulary_logits(policy, hidden[is_response])
    return F.cross_entropy(logits.float(), input_ids[:, 1:][is_response])


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

    def batch_loss(model: Policy, rows: np.ndarray) -> torch.Tensor:
        batch_lengths, device = lengths[rows], model.device
        ids = input_ids[rows, : int(batch_lengths.max())]
        return response_loss(
            model, ids.to(device), prompt_lengths[rows].to(device), batch_lengths.to(device)
        )

    return train(policy, batch_loss, batches, optimization.learning_rate, state)


def fit_to_demonstrations(
    job: Job,
    settings: LanguageModelSettings,
    demonstrations: Path,
    tokenizer_dir: Path,
    model_dir: Path,
) -> None:
    """Train a language model from random weights on the demonstrations; write its checkpoint."""
    tokenizer = load_tokenizer(tokenizer_dir)
    table = pd.read_parquet(demonstrations)
    text = settings.text
    prompts = encode_prompts(tokenizer, table["prompt"].tolist(), text.max_prompt_tokens)
    responses = encode_responses(tokenizer, table["response"].tolist(), text.max_response_tokens)
    policy = build_policy(
        settings.shape,
        len(tokenizer),
        text.context_length,
        torch_generator(settings.seed, "weights"),
    )
    state = TrainingState(model_dir / STATE_FILE, job.fingerprint)
    losses = train_language_model(policy, prompts, responses, settings, state)
    save_model(policy, model_dir)
    copy_tokenizer(tokenizer_dir, model_dir)
    write_json(
        model_dir / "metrics.json",
        {
            "num_parameters": num_parameters(policy),
            "num_demonstrations": len(table),
            "training_loss": final_loss(losses),
        },
    )
    state.remove()
