"""
Peak memory of a job on the host, in MB.

The constants are fitted to the run records of config.yaml, study.yaml, test.yaml and human.yaml
(`peak_memory_mb`), so that what is declared lies a little above the peak, and at most a quarter.

The base is most of it at these sizes: Python with pandas takes 120 MB, with torch 330 to 390, with
transformers 500 to 530. On top come texts as lists of token ids, weights, activations and the
sampler's cache.

Of a job that uses GPUs (`compute.gpu`) weights, activations and cache lie there; the host needs
torch with CUDA, the texts and, while they are loaded, the weights. That is assumed, not measured.
"""

import math
import os.path

from overopt.config.compute import ComputeConfig
from overopt.config.hub import HubDataConfig
from overopt.config.reward_model_batch import SCORING_BATCH
from overopt.config.sampling_batch import LARGEST_BATCH, SAMPLING_BYTES
from overopt.data.hub.local_files import local_files, size_of
from overopt.data.sources import local_paths
from overopt.study.plan.shapes import ModelShape
from overopt.study.plan.sizes import FP32, TRAINED, num_trained
from overopt.study.plan.texts import deep_pool_texts, num_replicates, pool_texts
from overopt.study.study import Study

MODELS = 400
"""Python, torch, pandas and a small model."""
LIBRARY = 140
"""transformers, which reads published checkpoints; adapters stand on its models."""
_TOKEN = 38e-6
"""A token id in a list of Python, with its share of the lists."""
_POOL_TOKEN = 45e-6
"""A token id in a pool, which a job holds as a table and joined."""
_CUDA = 3000
"""Python, torch and transformers in a process that uses a GPU; assumed."""
_OF_HUB = 400e6
"""Bytes of a large data set of comparisons as jsonl (ultrafeedback_binarized has 390 MB)."""
_EXPANSION = 3
"""Largest growth of text from Parquet or gzip to jsonl; of plain jsonl 1.4 were measured."""
HUMAN_DATA = ("comparisons", "demonstrations")


def of_models(
    study: Study, compute: ComputeConfig, texts: float, working: float, *models: ModelShape
) -> int:
    """MB of a job with models: of its texts, what the models work with, and their weights.

    Of a model in training `working` includes gradients and moments (`training`).
    """
    weights = 1e-6 * FP32 * sum(model.num_parameters for model in models)
    if compute.gpu:
        return compute.num_processes * rounded(_CUDA + texts + weights)
    base = MODELS + (LIBRARY if _has_checkpoints(study) or compute.lora_rank else 0)
    return compute.num_processes * rounded(base + texts + weights + working)


def of_replicates(study: Study, base: float, per_replicate: float) -> int:
    """MB of a job that holds every curve's replicates of the bootstrap."""
    return rounded(base + per_replicate * num_replicates(study))


def of_pool_table(study: Study, base: float, per_response: float) -> int:
    """MB of a job of statistics on a table with one row a response of a pool."""
    return rounded(base + per_response * pool_texts(study).number)


def of_files(study: Study, base: float, per_byte: float) -> int:
    """MB of a job that reads the human data."""
    return rounded(base + per_byte * _size_of_files(study))


def rounded(megabytes: float) -> int:
    """Round up to the next ten."""
    return 10 * math.ceil(megabytes / 10)


def pairs(study: Study, number: float) -> float:
    """MB of so many pairs of sequences as lists of token ids."""
    return 2 * number * study.text.context_length * _TOKEN


def pool(study: Study) -> float:
    """MB of a pool."""
    return pool_texts(study).number * study.text.context_length * _POOL_TOKEN


def deep_pool(study: Study) -> float:
    """MB of a pool for large n: all as small integers, the responses to one prompt as lists."""
    per_response = (2 * study.text.max_response_tokens + 6) * 1e-6
    to_one_prompt = study.deep_best_of_n.num_responses * study.text.context_length * _TOKEN
    return deep_pool_texts(study).number * per_response + to_one_prompt


def training(
    study: Study, compute: ComputeConfig, shape: ModelShape, num_sequences: float
) -> float:
    """MB of gradients, Adam's moments and activations of a training step, but for the weights."""
    states = num_sequences * study.text.context_length * shape.hidden_size
    layers = 1 if compute.gradient_checkpointing else shape.num_layers
    activations = 100e-6 * states * layers / compute.gradient_accumulation
    if compute.gradient_checkpointing:
        activations += 1e-6 * FP32 * states * shape.num_layers / compute.gradient_accumulation
    return activations + 1e-6 * (TRAINED - FP32) * num_trained(shape, compute)


def scoring(study: Study, shape: ModelShape) -> float:
    """MB of a forward pass over a batch, one layer at a time."""
    return 128e-6 * SCORING_BATCH * study.text.context_length * shape.hidden_size


def sampling(study: Study, shape: ModelShape) -> float:
    """MB of the keys and values of the responses that are drawn at once."""
    num_states = LARGEST_BATCH * study.text.context_length * shape.num_layers * shape.hidden_size
    return min(8e-6 * num_states, 1.05e-6 * SAMPLING_BYTES)


def distributions(study: Study, shape: ModelShape, num_sequences: float) -> float:
    """MB of distributions over the vocabulary, at every response token, five times."""
    logits = num_sequences * study.text.max_response_tokens * shape.vocabulary_size
    return 5 * 4e-6 * logits


def _has_checkpoints(study: Study) -> bool:
    models = (study.gold_rm, *study.policies.values(), *study.proxy_sizes.values())
    return any(model.checkpoint is not None for model in models)


def _size_of_files(study: Study) -> float:
    """Bytes of the human data as jsonl; estimated where it has not been read yet."""
    if study.source.is_generated:
        return 0
    if not study.source.is_fetched:
        return size_of(local_paths(study.data))
    read = [f"results/{study.name}/data/hub/{name}.jsonl" for name in HUMAN_DATA]
    if all(map(os.path.isfile, read)):
        return size_of(read)
    data = study.data_of(HubDataConfig)
    sources = [source for source in (data.comparisons, data.demonstrations) if source]
    return sum(
        _OF_HUB if source.revision else _EXPANSION * size_of(local_files(source))
        for source in sources
    )
