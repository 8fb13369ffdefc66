"""
How long models take: training, reading and sampling, in seconds, on a core or on GPUs.

Floating-point operations follow Kaplan et al. 2020, section 2.1: 2 a weight and token forward, 6 in
training, and attention's own. The constants of the processor are fitted to the CPU seconds of the
580 jobs in the run records of study.yaml, config.yaml and test.yaml; docs/planning.md has the ratio
of estimate and measurement, rule by rule. Those of the GPU are public figures and assumptions.
"""

import math
from dataclasses import dataclass

from overopt.config.compute import ComputeConfig
from overopt.config.reward_model_batch import SCORING_BATCH_ON_GPU
from overopt.study.plan.shapes import ModelShape
from overopt.study.plan.sizes import cache_bytes, drawn_at_once, model_bytes
from overopt.study.plan.texts import Texts


def forward_flops(shape: ModelShape, texts: Texts, num_logits: float = 0.0) -> float:
    """Operations of one pass: weights, attention, logits.

    Attention: scores and values over the half of the sequence that a token sees on average.
    """
    weights = 2 * texts.num_tokens * shape.num_body_parameters
    attention = 4 * texts.num_tokens * shape.num_layers * shape.hidden_size * texts.length / 2
    return weights + attention + 2 * num_logits * shape.vocabulary_size * shape.hidden_size


@dataclass(frozen=True)
class CpuCore:
    """One thread of a processor, fp32, as measured (torch 2.13, a 2-core x86-64 machine).

    Attributes
    ----------
    start : seconds until a job has imported Python, torch and pandas.
    text : seconds to read, tokenize and write one sequence.
    training_layer : a layer in one step of training, for the calls of small kernels.
    reading_state, sampling_state : a number of the residual stream in one layer: memory traffic.
    logit : an entry of the distribution over the vocabulary, with its softmax and draw.
    training_rate, scoring_rate, sampling_rate : operations a second, of a whole forward pass: those
        that are left out, such as of shared prefixes, count as done.
    """

    start: float = 1.2
    text: float = 1.7e-5
    training_layer: float = 1.6e-3
    training_rate: float = 96e9
    reading_state: float = 9.5e-9
    scoring_rate: float = 220e9
    sampling_state: float = 2e-8
    sampling_rate: float = 120e9
    logit: float = 2.6e-8

    def training(
        self, shape: ModelShape, texts: Texts, num_steps: float, num_logits: float = 0.0
    ) -> float:
        """Seconds of forward, backward and optimizer: three times a forward pass.

        `num_logits` are the tokens with a distribution over the vocabulary.
        """
        calls = num_steps * shape.num_layers * self.training_layer
        softmax = num_logits * shape.vocabulary_size * self.logit
        return calls + softmax + 3 * forward_flops(shape, texts, num_logits) / self.training_rate

    def reading(self, shape: ModelShape, texts: Texts, num_logits: float = 0.0) -> float:
        """Seconds of a forward pass over whole sequences: scores, log-probabilities."""
        states = texts.num_tokens * shape.num_layers * shape.hidden_size * self.reading_state
        softmax = num_logits * shape.vocabulary_size * self.logit
        return states + softmax + forward_flops(shape, texts, num_logits) / self.scoring_rate

    def sampling(self, shape: ModelShape, texts: Texts) -> float:
        """Seconds to draw responses, token by token."""
        num_tokens = texts.num_response_tokens
        states = num_tokens * shape.num_layers * shape.hidden_size * self.sampling_state
        softmax = num_tokens * shape.vocabulary_size * self.logit
        return states + softmax + forward_flops(shape, texts, num_tokens) / self.sampling_rate


@dataclass(frozen=True)
class GpuModel:
    """Data sheet of a GPU: dense peaks in operations a second, bytes a second, bytes."""

    name: str
    bf16_peak: float
    fp32_peak: float
    bandwidth: float
    memory: float


A100 = GpuModel("A100 80 GB (SXM)", 312e12, 19.5e12, 2.039e12, 80e9)
H100 = GpuModel("H100 80 GB (SXM)", 989e12, 67e12, 3.35e12, 80e9)
GPUS = {"a100": A100, "h100": H100}
"""NVIDIA's data sheets, without sparsity."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs of one job, under its `compute` settings. Every default is assumed, none measured.

    Attributes
    ----------
    training_share, reading_share : of the peak that whole-sequence work reaches (MFU).
    bandwidth_share : of the memory bandwidth that decoding reaches.
    training_layer, sampling_layer : seconds of kernel launches a layer and pass.
    start : seconds, with CUDA and the loading of weights.
    """

    model: GpuModel
    compute: ComputeConfig
    training_share: float = 0.35
    reading_share: float = 0.40
    bandwidth_share: float = 0.60
    training_layer: float = 5e-4
    sampling_layer: float = 2e-4
    text: float = 1e-4
    start: float = 60.0

    def training(
        self, shape: ModelShape, texts: Texts, num_steps: float, num_logits: float = 0.0
    ) -> float:
        """Seconds of forward, backward and optimizer.

        With LoRA no gradient of the frozen weights; with checkpointing a second forward pass.
        """
        compute = self.compute
        passes = (2 if compute.lora_rank else 3) + compute.gradient_checkpointing
        flops = passes * forward_flops(shape, texts, num_logits)
        launches = num_steps * compute.gradient_accumulation * shape.num_layers
        return launches * self.training_layer + self._at_peak(flops, self.training_share)

    def reading(self, shape: ModelShape, texts: Texts, num_logits: float = 0.0) -> float:
        """Seconds of a forward pass over whole sequences."""
        num_batches = math.ceil(texts.number / SCORING_BATCH_ON_GPU / self.compute.num_processes)
        launches = num_batches * shape.num_layers * self.sampling_layer
        return launches + self._at_peak(forward_flops(shape, texts, num_logits), self.reading_share)

    def sampling(self, shape: ModelShape, texts: Texts) -> float:
        """Seconds to draw responses: each step reads the weights, and each row's cache.

        A batch runs to its longest response.
        """
        batch = drawn_at_once(shape, texts)
        num_steps = texts.number / batch * texts.longest_response
        cache = texts.num_response_tokens * texts.length * cache_bytes(shape)
        read = num_steps * model_bytes(shape) + cache
        launches = num_steps * shape.num_layers * self.sampling_layer
        flops = forward_flops(shape, texts, texts.num_response_tokens)
        memory = read / (self.model.bandwidth * self.bandwidth_share)
        return (launches + memory) / self.compute.num_processes + self._at_peak(
            flops, self.reading_share
        )

    def _at_peak(self, flops: float, share: float) -> float:
        is_bf16 = self.compute.precision == "bf16"
        peak = self.model.bf16_peak if is_bf16 else self.model.fp32_peak
        return flops / (self.compute.num_processes * share * peak)


CORE = CpuCore()
SNAKEMAKE_SECONDS = 0.2
"""CPU seconds that Snakemake, and the start and end of a process, take beside each job: measured on
the tiny study (docs/performance.md)."""


Machine = CpuCore | Gpus
"""What runs one job."""


def machine(compute: ComputeConfig, gpu: GpuModel = A100) -> Machine:
    """What a job under these settings runs on."""
    return Gpus(gpu, compute) if compute.gpu else CORE
