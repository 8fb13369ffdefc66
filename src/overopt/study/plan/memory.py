"""
Peak memory of the jobs of a study, in MB: what rules declare as `mem_mb`, for a cluster.

One function a rule, named as it; rules whose peak hardly depends on the settings declare a number.
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
from overopt.config.data import EmbeddedDataConfig, FileDataConfig
from overopt.config.model import CheckpointSettings
from overopt.config.rl import PIECE_SIZE
from overopt.data.hub.local_files import local_files, size_of
from overopt.study.plan.compute import gold_compute, policy_compute, proxy_compute
from overopt.study.plan.shapes import (
    ModelShape,
    gold_shape,
    policy_shape,
    proxy_shape,
    shape_of_checkpoint,
)
from overopt.study.plan.sizes import FP32, TRAINED, num_trained
from overopt.study.plan.texts import num_human_comparisons, num_synthetic_comparisons
from overopt.study.study import Study

_MODELS = 400
"""Python, torch, pandas and a small model."""
_LIBRARY = 140
"""transformers, which reads published checkpoints; adapters stand on its models."""
_TOKEN = 38e-6
"""A token id in a list of Python, with its share of the lists."""
_LARGEST_CACHE = 4.5e3
"""MB that the sampler sets aside at most, on processors."""
_POOL_TOKEN = 45e-6
"""The same in a pool, which a job holds as a table and joined."""
_CUDA = 3000
"""Python, torch and transformers in a process that uses a GPU; assumed."""
_OF_HUB = 400e6
"""Bytes of a large data set of comparisons as jsonl (ultrafeedback_binarized has 390 MB)."""
_EXPANSION = 3
"""At most, of text from Parquet or gzip to jsonl; of plain jsonl 1.4 were measured."""
HUMAN_DATA = ("comparisons", "demonstrations")


def demonstrations(study: Study) -> int:
    """Prompts and demonstrations, of the embedded world or from files."""
    if isinstance(study.data, EmbeddedDataConfig):
        return _rounded(200 + 0.5e-3 * study.data.num_demonstrations)
    return _of_files(study)


def hub_data(study: Study) -> int:
    """Human data of the hub, read row by row and held as text."""
    return _rounded(350 + 1.2e-6 * _size_of_files(study))


def published_checkpoint(study: Study, published: CheckpointSettings) -> int:
    """Reading a checkpoint and writing it as the project's own."""
    shape = shape_of_checkpoint(study, published.checkpoint)
    return _rounded(_MODELS + _LIBRARY + 1e-6 * FP32 * shape.num_parameters)


def human_comparisons(study: Study) -> int:
    """Human comparisons, judged in the embedded world or from files."""
    if not isinstance(study.data, EmbeddedDataConfig):
        return _of_files(study)
    compute = policy_compute(study, study.main_policy, alone=True)
    # Candidates are texts; only what the policy answers is token ids too.
    texts = study.data.candidates.policy_share * _human_pairs(study)
    return _job(study, compute, texts, _sampling(study, study.main_policy))


def policy(study: Study, policy_size: str) -> int:
    """Supervised fine-tuning of a policy."""
    compute, shape = policy_compute(study, policy_size), policy_shape(study, policy_size)
    return _language_model(study, compute, shape, study.policies[policy_size].batch_size)


def backbone(study: Study, proxy_size: str) -> int:
    """Pre-training of a proxy RM's backbone."""
    compute, shape = proxy_compute(study, proxy_size), proxy_shape(study, proxy_size)
    return _language_model(study, compute, shape, study.backbone.batch_size)


def gold_rm(study: Study) -> int:
    """Training of the gold RM."""
    compute, shape = gold_compute(study), gold_shape(study)
    training = _training(study, compute, shape, 2 * study.gold_rm.batch_size)
    return _job(study, compute, _human_pairs(study), training, shape)


def synthetic_responses(study: Study) -> int:
    """Sampling of the pairs that the gold RM labels."""
    compute = policy_compute(study, study.comparison_policy, alone=True)
    shape = policy_shape(study, study.comparison_policy)
    sampling = _sampling(study, study.comparison_policy)
    return _job(study, compute, _synthetic_pairs(study), sampling, shape)


def synthetic_comparisons(study: Study) -> int:
    """Labelling of the pairs by the gold RM."""
    gold = gold_shape(study)
    return _job(
        study, gold_compute(study, alone=True), _synthetic_pairs(study), _scoring(study, gold), gold
    )


def proxy_rm(study: Study, proxy_size: str) -> int:
    """Training of a proxy RM."""
    compute, shape = proxy_compute(study, proxy_size), proxy_shape(study, proxy_size)
    training = _training(study, compute, shape, 2 * study.proxy_rm.batch_size)
    return _job(study, compute, _synthetic_pairs(study), training, shape)


def pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's pool."""
    compute, shape = (
        policy_compute(study, policy_size, alone=True),
        policy_shape(study, policy_size),
    )
    return _job(study, compute, _pool(study), _sampling(study, policy_size), shape)


def pool_gold_scores(study: Study) -> int:
    """Scores of a pool by the gold RM."""
    gold = gold_shape(study)
    return _job(study, gold_compute(study, alone=True), _pool(study), _scoring(study, gold), gold)


def best_of_n(study: Study, proxy_size: str) -> int:
    """Scores of a pool by a proxy RM."""
    compute, shape = proxy_compute(study, proxy_size, alone=True), proxy_shape(study, proxy_size)
    return _job(study, compute, _pool(study), _scoring(study, shape), shape)


def deep_pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's deep pool."""
    compute, shape = (
        policy_compute(study, policy_size, alone=True),
        policy_shape(study, policy_size),
    )
    return _job(study, compute, _deep_pool(study), _sampling(study, policy_size), shape)


def deep_best_of_n(study: Study) -> int:
    """Scores of a deep pool by a proxy RM and by gold."""
    gold = gold_shape(study)
    proxies = [proxy_shape(study, size) for size in study.proxy_sizes]
    largest = max(proxies, key=lambda shape: shape.num_parameters)
    return _job(
        study,
        gold_compute(study, alone=True),
        _deep_pool(study),
        _scoring(study, gold),
        gold,
        largest,
    )


def ppo(study: Study, policy_size: str) -> int:
    """PPO, with four models in memory."""
    episodes = math.ceil(study.ppo.batch_size / study.ppo.num_mini_batches)
    evaluated = study.best_of_n.num_prompts * study.ppo.num_evaluation_responses
    if not policy_compute(study, policy_size).gpu:  # read in pieces
        episodes, evaluated = min(episodes, PIECE_SIZE), min(evaluated, PIECE_SIZE)
    compute, shape = policy_compute(study, policy_size), policy_shape(study, policy_size)
    proxies = [proxy_shape(study, size) for size in study.proxy_sizes]
    largest = max(proxies, key=lambda proxy: proxy.num_parameters)
    working = _training(study, compute, shape, episodes)
    working += _distributions(study, shape, max(episodes, evaluated))
    # Beside the policy: its initial copy, the proxy and gold.
    return _job(study, compute, 50, working, shape, shape, largest, gold_shape(study))


def fits(study: Study) -> int:
    """Fits with their bootstrap; claims and the comparison with the paper need as much."""
    return _rounded(290 + 1.4e-3 * _replicates(study))


def forms(study: Study) -> int:
    """Rival forms of the law with their bootstrap."""
    return _rounded(250 + 1.6e-3 * _replicates(study))


def figures(study: Study) -> int:
    """All figures."""
    return _rounded(350 + 0.75 * _num_curves(study))


def of_pool_table(study: Study, base: float, per_response: float) -> int:
    """A job of statistics on a table with one row a response of a pool."""
    return _rounded(base + per_response * _num_pool_responses(study))


def _rounded(megabytes: float) -> int:
    return 10 * math.ceil(megabytes / 10)


def _of_files(study: Study) -> int:
    return _rounded(230 + 7e-6 * _size_of_files(study))


def _size_of_files(study: Study) -> float:
    """Bytes of the human data as jsonl; estimated where it has not been read yet."""
    data = study.data
    if isinstance(data, EmbeddedDataConfig):
        return 0
    if isinstance(data, FileDataConfig):
        return size_of([data.demonstrations, data.comparisons])
    read = [f"results/{study.name}/data/hub/{name}.jsonl" for name in HUMAN_DATA]
    if all(map(os.path.isfile, read)):
        return size_of(read)
    sources = [source for source in (data.comparisons, data.demonstrations) if source]
    return sum(
        _OF_HUB if source.revision else _EXPANSION * size_of(local_files(source))
        for source in sources
    )


def _job(
    study: Study, compute: ComputeConfig, texts: float, working: float, *models: ModelShape
) -> int:
    """Of texts, what the models work with, and their weights (of training: `_training` too)."""
    weights = 1e-6 * FP32 * sum(model.num_parameters for model in models)
    if compute.gpu:
        return compute.num_processes * _rounded(_CUDA + texts + weights)
    base = _MODELS + (_LIBRARY if study.checkpoints() or compute.lora_rank else 0)
    return compute.num_processes * _rounded(base + texts + weights + working)


def _language_model(
    study: Study, compute: ComputeConfig, shape: ModelShape, batch_size: int
) -> int:
    texts = 0.0  # of files their number is not known before they are read
    if isinstance(study.data, EmbeddedDataConfig):
        texts = 2.5e-3 * study.data.num_demonstrations
    working = _training(study, compute, shape, batch_size)
    working += _distributions(study, shape, batch_size)
    return _job(study, compute, texts, working, shape)


def _pairs(study: Study, number: int) -> float:
    return 2 * number * study.text.context_length * _TOKEN


def _human_pairs(study: Study) -> float:
    return _pairs(study, num_human_comparisons(study))


def _synthetic_pairs(study: Study) -> float:
    return _pairs(study, num_synthetic_comparisons(study))


def _num_pool_responses(study: Study) -> int:
    return study.best_of_n.num_prompts * study.best_of_n.num_responses


def _pool(study: Study) -> float:
    return _num_pool_responses(study) * study.text.context_length * _POOL_TOKEN


def _deep_pool(study: Study) -> float:
    """The whole as small integers, and the responses to one prompt as lists."""
    deep, text = study.deep_best_of_n, study.text
    stored = deep.num_prompts * deep.num_responses * (2 * text.max_response_tokens + 6) * 1e-6
    return stored + deep.num_responses * text.context_length * _TOKEN


def _training(
    study: Study, compute: ComputeConfig, shape: ModelShape, num_sequences: float
) -> float:
    """Gradients, Adam's moments and activations of a training step, but for the weights."""
    states = num_sequences * study.text.context_length * shape.hidden_size
    layers = 1 if compute.gradient_checkpointing else shape.num_layers
    activations = 100e-6 * states * layers / compute.gradient_accumulation
    if compute.gradient_checkpointing:
        activations += 1e-6 * FP32 * states * shape.num_layers / compute.gradient_accumulation
    return activations + 1e-6 * (TRAINED - FP32) * num_trained(shape, compute)


def _scoring(study: Study, shape: ModelShape) -> float:
    """Of a forward pass over 256 sequences, one layer at a time."""
    return 64e-6 * 256 * study.text.context_length * shape.hidden_size


def _sampling(study: Study, policy_size: str) -> float:
    """Keys and values of 1,024 sequences, or of fewer (`overopt.policy.batch_size`)."""
    shape = policy_shape(study, policy_size)
    num_states = 1024 * study.text.context_length * shape.num_layers * shape.hidden_size
    return min(8e-6 * num_states, _LARGEST_CACHE)


def _distributions(study: Study, shape: ModelShape, num_sequences: float) -> float:
    """Over the vocabulary, at every response token, five times."""
    logits = num_sequences * study.text.max_response_tokens * shape.vocabulary_size
    return 5 * 4e-6 * logits


def _num_curves(study: Study) -> int:
    return len(study.curves())


def _replicates(study: Study) -> int:
    return _num_curves(study) * study.analysis.num_bootstrap
