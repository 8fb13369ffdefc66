"""Bytes: of models on disk and in the memory of a GPU, of tables, of a training's own state."""

import math

from overopt.config.compute import ComputeConfig
from overopt.config.sampling_batch import sampling_rows
from overopt.study.plan.shapes import ModelShape
from overopt.study.plan.texts import Texts

FP32 = 4
ADAM_STATE = 12
"""A trained weight's gradient and Adam's two moments, fp32."""
TRAINED = FP32 + ADAM_STATE
"""A trained weight with its gradient and Adam's moments: weights stay fp32 under bf16."""
ACTIVATIONS_PER_STATE = 34
"""Bytes kept for the backward pass a token, layer and hidden unit in 16 bits, without the attention
matrix (Korthikanti et al. 2022, section 4.1, with fused attention)."""
LOGIT = 10
"""A logit in bf16, its fp32 copy and its gradient."""
CUDA_CONTEXT = 1.5e9
"""Bytes of a process on its GPU: kernels and the allocator's reserve; assumed."""
TOKEN_ON_DISK = 1.5
"""A token id in a compressed table of pools or pairs; measured: 1.4 in the embedded world."""
POOL_TOKEN_ON_DISK = 2
"""A token id in a pool for large n, which is not compressed."""
SCORE_ON_DISK = 6
"""A score with its row's id in a compressed table."""
BYTES_OF_TEXT = 2.0
"""A token as text in a compressed table; assumed, English of about four bytes a token."""
_CURVE_POINT = 45
"""A row of a curve in a compressed table; measured: 41."""
_CURVE_POINTS = 25
"""Points of a curve, about."""


def curve_bytes(num_prompts: int) -> float:
    """A curve: a row a point and prompt."""
    return _CURVE_POINTS * num_prompts * _CURVE_POINT


def model_bytes(shape: ModelShape) -> float:
    """Weights, in fp32: in a checkpoint, and in memory, where bf16 is for the products alone."""
    return FP32 * shape.num_parameters


def state_bytes(shape: ModelShape, compute: ComputeConfig) -> float:
    """What a training saves to resume from: trained weights and Adam's moments."""
    return (FP32 + 8) * num_trained(shape, compute)


def num_trained(shape: ModelShape, compute: ComputeConfig) -> float:
    """Weights that get a gradient: all, or LoRA's on every linear layer of the body."""
    if not compute.lora_rank:
        return shape.num_parameters
    # Query, key, value and output (4 of h to h), and the MLP's two of h to its own width.
    widths = 8 * shape.hidden_size + 2 * (shape.hidden_size + shape.intermediate_size)
    return shape.num_layers * compute.lora_rank * widths


def cache_bytes(shape: ModelShape) -> int:
    """Keys and values of one token, in all layers, in fp32."""
    return 2 * FP32 * shape.num_layers * shape.hidden_size


def drawn_at_once(shape: ModelShape, drawn: Texts) -> float:
    """Responses in a batch of the sampler on a GPU: all, or as many as it takes at most."""
    length = math.ceil(drawn.padded().length)
    rows = sampling_rows(cache_bytes(shape), length, shape.vocabulary_size, is_gpu=True)
    return min(rows, drawn.number)


def sampling_bytes(shape: ModelShape, compute: ComputeConfig, drawn: Texts) -> float:
    """Memory of one of the processes that sample: weights, and its share of a batch's cache."""
    tokens = drawn_at_once(shape, drawn) * drawn.padded().length
    return model_bytes(shape) + tokens * cache_bytes(shape) / compute.num_processes


def training_bytes(
    shape: ModelShape, compute: ComputeConfig, batch: Texts, with_logits: bool = False
) -> float:
    """Memory of one process that trains on `batch`, its weights included.

    Each of several processes holds all weights and its share of the batch; gradient accumulation
    divides the batch once more.
    """
    share = batch.padded().times(1 / compute.num_processes / compute.gradient_accumulation)
    trained = num_trained(shape, compute)
    frozen = model_bytes(shape) if compute.lora_rank else 0.0
    width = ACTIVATIONS_PER_STATE * (1 if compute.precision == "bf16" else 2)
    states = share.num_tokens * shape.hidden_size
    activations = states * shape.num_layers * width
    if compute.gradient_checkpointing:
        activations = states * (shape.num_layers * FP32 + width)
    logits = LOGIT * share.num_response_tokens * shape.vocabulary_size if with_logits else 0.0
    return frozen + TRAINED * trained + activations + logits


def reading_bytes(shape: ModelShape, batch: Texts) -> float:
    """Memory of a forward pass over `batch` in fp32, its weights included."""
    states = batch.padded().num_tokens * (shape.hidden_size * 3 + shape.intermediate_size)
    return model_bytes(shape) + FP32 * states
