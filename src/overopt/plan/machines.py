"""
How long models take on a machine: training, reading and sampling, in seconds.

Every cost is a term per start, per text, per layer of a step, and the floating-point operations at
a rate. The constants of the processor are fitted to the CPU seconds of the 558 jobs in the run
records of study.yaml, config.yaml and test.yaml (torch 2.13, one thread of a 2-core x86-64
machine); docs/planning.md has the ratios of estimate and measurement, rule by rule.
"""

from dataclasses import dataclass

from overopt.plan.shapes import ModelShape


@dataclass(frozen=True)
class Texts:
    """Texts of one kind, as a job reads or writes them.

    Attributes
    ----------
    number : sequences of prompt and response.
    prompt_tokens, response_tokens : mean lengths.
    """

    number: float
    prompt_tokens: float
    response_tokens: float

    @property
    def num_tokens(self) -> float:
        """Tokens of all sequences, prompts and responses."""
        return self.number * self.length

    @property
    def num_response_tokens(self) -> float:
        """Tokens of all responses."""
        return self.number * self.response_tokens

    @property
    def length(self) -> float:
        """Mean tokens of a sequence."""
        return self.prompt_tokens + self.response_tokens

    def times(self, factor: float) -> "Texts":
        """The same texts, so many times over."""
        return Texts(factor * self.number, self.prompt_tokens, self.response_tokens)


def forward_flops(shape: ModelShape, texts: Texts, num_logits: float = 0.0) -> float:
    """Floating-point operations of one pass: 2 a weight and token, attention, logits.

    Kaplan et al. 2020, section 2.1; attention over the half of the sequence a token sees on
    average, scores and values, 2 operations each.
    """
    weights = 2 * texts.num_tokens * shape.num_body_parameters
    attention = 4 * texts.num_tokens * shape.num_layers * shape.hidden_size * texts.length / 2
    return weights + attention + 2 * num_logits * shape.vocabulary_size * shape.hidden_size


@dataclass(frozen=True)
class CpuCore:
    """One thread of a processor, fp32, as measured."""

    start: float = 3.2
    """Python, torch and transformers."""
    text: float = 1.6e-5
    """Reading, tokenizing and writing one sequence."""
    training_layer: float = 2.5e-3
    """A layer in one step of training: calls of small kernels."""
    training_rate: float = 58e9
    """Operations a second in training."""
    reading_state: float = 1.6e-8
    """A number of the residual stream in one layer, read without gradients: memory traffic."""
    reading_rate: float = 65e9
    sampling_state: float = 5.6e-8
    """The same in a step of sampling, which reads the cache."""
    sampling_rate: float = 95e9
    logit: float = 8e-9
    """One entry of the distribution over the vocabulary, with its softmax and draw."""

    def training(
        self, shape: ModelShape, texts: Texts, num_steps: float, num_logits: float = 0.0
    ) -> float:
        """Forward, backward and optimizer: three times the operations of a forward pass."""
        calls = num_steps * shape.num_layers * self.training_layer
        softmax = num_logits * shape.vocabulary_size * self.logit
        return calls + softmax + 3 * forward_flops(shape, texts, num_logits) / self.training_rate

    def reading(self, shape: ModelShape, texts: Texts, num_logits: float = 0.0) -> float:
        """A forward pass over whole sequences: scores, log-probabilities."""
        states = texts.num_tokens * shape.num_layers * shape.hidden_size * self.reading_state
        softmax = num_logits * shape.vocabulary_size * self.logit
        return states + softmax + forward_flops(shape, texts, num_logits) / self.reading_rate

    def sampling(self, shape: ModelShape, texts: Texts) -> float:
        """Drawing responses token by token."""
        num_tokens = texts.num_response_tokens
        states = num_tokens * shape.num_layers * shape.hidden_size * self.sampling_state
        softmax = num_tokens * shape.vocabulary_size * self.logit
        return states + softmax + forward_flops(shape, texts, num_tokens) / self.sampling_rate
