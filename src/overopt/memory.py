"""
Peak memory of the jobs of a study, in MB: what rules declare as `mem_mb`, for a cluster.

One function a rule, named as it; rules whose peak hardly depends on the settings declare a number.
The constants are fitted to the run records of config.yaml, study.yaml, test.yaml and human.yaml
(`peak_memory_mb`), so that what is declared lies a little above the peak, and at most a quarter.

The base is most of it at these sizes: Python with pandas takes 120 MB, with torch and transformers
500 to 530. On top come texts as lists of token ids, activations and the sampler's cache. All of it
is of torch's build for the CPU; a job that uses a GPU takes more.
"""

import json
import math
import os.path
from pathlib import Path

from overopt.data_config import EmbeddedDataConfig, FileDataConfig
from overopt.hub.local_files import local_files, size_of
from overopt.model_config import CheckpointConfig, ModelConfig
from overopt.study import Study
from overopt.training_config import TransformerConfig

_MODELS = 550
"""Python, torch, transformers and a small model."""
_TOKEN = 60e-6
"""A token id in a list of Python, with its share of the lists."""
_POOL_TOKEN = 75e-6
"""The same in a pool, which a job holds as a table and joined."""
_WORLD_VOCABULARY = 176
_OF_HUB = 400e6
"""Bytes of a large data set of comparisons as jsonl (ultrafeedback_binarized has 390 MB)."""
_EXPANSION = 3
"""At most, of text from Parquet or gzip to jsonl; of plain jsonl 1.4 were measured."""
HUMAN_DATA = ("comparisons", "demonstrations")


def shape_of(model: CheckpointConfig) -> TransformerConfig:
    """Shape of a model; of a pretrained one as its config.json tells, where that is at hand."""
    if isinstance(model, ModelConfig) and model.shape is not None:
        return model.shape
    try:
        text = Path(str(model.checkpoint), "config.json").read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError):
        found = {}
    return TransformerConfig(
        hidden_size=found.get("hidden_size", found.get("n_embd", 2048)),
        num_layers=found.get("num_hidden_layers", found.get("n_layer", 24)),
        num_heads=1,
    )


def _gold_shape(study: Study) -> TransformerConfig:
    backbone = study.gold_rm.backbone
    return shape_of(study.gold_rm if backbone is None else study.policies[backbone])


def demonstrations(study: Study) -> int:
    """Prompts and demonstrations, of the embedded world or from files."""
    if isinstance(study.data, EmbeddedDataConfig):
        return _rounded(200 + 0.5e-3 * study.data.num_demonstrations)
    return _of_files(study)


def hub_data(study: Study) -> int:
    """Human data of the hub, read row by row and held as text."""
    return _rounded(350 + 1.2e-6 * _size_of_files(study))


def human_comparisons(study: Study) -> int:
    """Human comparisons, judged in the embedded world or from files."""
    if not isinstance(study.data, EmbeddedDataConfig):
        return _of_files(study)
    return _rounded(_MODELS + _human_pairs(study) + _sampling(study, study.main_policy))


def policy(study: Study, policy_size: str) -> int:
    """Supervised fine-tuning of a policy."""
    config = study.policies[policy_size]
    processes = study.policy_compute(policy_size).num_processes
    return processes * _language_model(study, shape_of(config), config.batch_size)


def backbone(study: Study, proxy_size: str) -> int:
    """Pre-training of a proxy RM's backbone."""
    processes = study.proxy_compute(proxy_size).num_processes
    return processes * _language_model(
        study, shape_of(study.proxy_sizes[proxy_size]), study.backbone.batch_size
    )


def gold_rm(study: Study) -> int:
    """Training of the gold RM."""
    activations = _activations(study, _gold_shape(study), 2 * study.gold_rm.batch_size)
    processes = study.gold_rm_compute().num_processes
    return processes * _rounded(_MODELS + _human_pairs(study) + activations)


def synthetic_responses(study: Study) -> int:
    """Sampling of the pairs that the gold RM labels."""
    return _rounded(_MODELS + _synthetic_pairs(study) + _sampling(study, study.comparison_policy))


def synthetic_comparisons(study: Study) -> int:
    """Labelling of the pairs by the gold RM."""
    return _rounded(_MODELS + _synthetic_pairs(study) + _scoring(study, _gold_shape(study)))


def proxy_rm(study: Study, proxy_size: str) -> int:
    """Training of a proxy RM."""
    activations = _activations(
        study, shape_of(study.proxy_sizes[proxy_size]), 2 * study.proxy_rm.batch_size
    )
    processes = study.proxy_compute(proxy_size).num_processes
    return processes * _rounded(_MODELS + _synthetic_pairs(study) + activations)


def pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's pool."""
    return _rounded(_MODELS + _pool(study) + _sampling(study, policy_size))


def pool_gold_scores(study: Study) -> int:
    """Scores of a pool by the gold RM."""
    return _rounded(_MODELS + _pool(study) + _scoring(study, _gold_shape(study)))


def best_of_n(study: Study, proxy_size: str) -> int:
    """Scores of a pool by a proxy RM."""
    return _rounded(
        _MODELS + _pool(study) + _scoring(study, shape_of(study.proxy_sizes[proxy_size]))
    )


def deep_pool(study: Study, policy_size: str) -> int:
    """Sampling of a policy's deep pool."""
    return _rounded(_MODELS + _deep_pool(study) + _sampling(study, policy_size))


def deep_best_of_n(study: Study) -> int:
    """Scores of a deep pool by a proxy RM and by gold."""
    return _rounded(_MODELS + _deep_pool(study) + _scoring(study, _gold_shape(study)))


def ppo(study: Study, policy_size: str) -> int:
    """PPO, with four models in memory."""
    episodes = math.ceil(study.ppo.batch_size / study.ppo.num_mini_batches)
    evaluated = study.best_of_n.num_prompts * study.ppo.num_evaluation_responses
    activations = _activations(study, shape_of(study.policies[policy_size]), episodes)
    processes = study.policy_compute(policy_size).num_processes
    return processes * _rounded(
        _MODELS + 50 + activations + _distributions(study, max(episodes, evaluated))
    )


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


def _language_model(study: Study, shape: TransformerConfig, batch_size: int) -> int:
    texts = 0.0  # of files their number is not known before they are read
    if isinstance(study.data, EmbeddedDataConfig):
        texts = 2.5e-3 * study.data.num_demonstrations
    activations = _activations(study, shape, batch_size) + _distributions(study, batch_size)
    return _rounded(_MODELS + texts + activations)


def _pairs(study: Study, number: int) -> float:
    return 2 * number * study.text.context_length * _TOKEN


def _human_pairs(study: Study) -> float:
    return _pairs(study, (study.gold_rm.num_comparisons or 0) + study.gold_rm.num_validation)


def _synthetic_pairs(study: Study) -> float:
    pairs = study.synthetic_comparisons
    return _pairs(study, pairs.num_comparisons + pairs.num_validation)


def _num_pool_responses(study: Study) -> int:
    return study.best_of_n.num_prompts * study.best_of_n.num_responses


def _pool(study: Study) -> float:
    return _num_pool_responses(study) * study.text.context_length * _POOL_TOKEN


def _deep_pool(study: Study) -> float:
    """The whole as small integers, and the responses to one prompt as lists."""
    deep, text = study.deep_best_of_n, study.text
    stored = deep.num_prompts * deep.num_responses * (2 * text.max_response_tokens + 6) * 1e-6
    return stored + deep.num_responses * text.context_length * _TOKEN


def _activations(study: Study, shape: TransformerConfig, num_sequences: int) -> float:
    """Of a training step, with gradients."""
    num_states = num_sequences * study.text.context_length * shape.num_layers * shape.hidden_size
    return 100e-6 * num_states


def _scoring(study: Study, shape: TransformerConfig) -> float:
    """Of a forward pass over 256 sequences, one layer at a time."""
    return 64e-6 * 256 * study.text.context_length * shape.hidden_size


def _sampling(study: Study, policy_size: str) -> float:
    """Keys and values of 1,024 sequences."""
    shape = shape_of(study.policies[policy_size])
    num_states = 1024 * study.text.context_length * shape.num_layers * shape.hidden_size
    return 8e-6 * num_states


def _distributions(study: Study, num_sequences: int) -> float:
    """Over the vocabulary, at every response token, five times."""
    data = study.data
    words = _WORLD_VOCABULARY if isinstance(data, EmbeddedDataConfig) else data.vocabulary_size
    return 5 * 4e-6 * num_sequences * study.text.max_response_tokens * words


def _num_curves(study: Study) -> int:
    return len(study.best_of_n_runs()) + len(study.ppo_runs())


def _replicates(study: Study) -> int:
    return _num_curves(study) * study.analysis.num_bootstrap
