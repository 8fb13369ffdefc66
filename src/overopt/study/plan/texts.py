"""How many texts, and how long, each kind of job reads or writes."""

from dataclasses import dataclass

from overopt.config.data import EmbeddedDataConfig
from overopt.study.study import Study

EMBEDDED_PROMPT_SHARE = 1.0
EMBEDDED_RESPONSE_SHARE = 0.54
"""Mean lengths in the embedded world, as shares of `text` (10 of 10, 13 of 24 tokens)."""
ASSUMED_SHARE = 0.6
"""Mean lengths of other texts, which nobody has counted before they are read: assumed."""


@dataclass(frozen=True)
class Texts:
    """Texts of one kind.

    Attributes
    ----------
    number : sequences of prompt and response.
    prompt_tokens, response_tokens : mean lengths.
    longest_response : the limit, to which a batch of samples runs.
    """

    number: float
    prompt_tokens: float
    response_tokens: float
    longest_response: float

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
        """Repeat these texts `factor` times: the number grows, the lengths stay."""
        return Texts(
            factor * self.number, self.prompt_tokens, self.response_tokens, self.longest_response
        )

    def padded(self) -> "Texts":
        """Pad every sequence to the longest response, as an unsorted batch is."""
        limit = self.longest_response
        return Texts(self.number, self.prompt_tokens, limit, limit)


def texts(study: Study, number: float) -> Texts:
    """Describe `number` sequences of the study's mean length."""
    shares = (ASSUMED_SHARE, ASSUMED_SHARE)
    if study.source.is_generated:
        shares = (EMBEDDED_PROMPT_SHARE, EMBEDDED_RESPONSE_SHARE)
    text = study.text
    return Texts(
        number,
        shares[0] * text.max_prompt_tokens,
        shares[1] * text.max_response_tokens,
        text.max_response_tokens,
    )


def num_demonstrations(study: Study) -> int:
    """Count demonstrations; for files and hub data, still unread, assume gold's number."""
    if study.source.is_generated:
        return study.data_of(EmbeddedDataConfig).num_demonstrations
    return num_human_comparisons(study)


def num_human_comparisons(study: Study) -> int:
    """Comparisons that the gold RM is measured on and, where it is trained, trained on."""
    gold = study.gold_rm
    return (gold.num_comparisons or 0) + (gold.num_validation or 0)


def num_synthetic_comparisons(study: Study) -> int:
    """Comparisons that the gold RM labels, those held out included."""
    pairs = study.synthetic_comparisons
    return pairs.num_comparisons + pairs.num_validation


def pool_texts(study: Study) -> Texts:
    """Texts of a policy's pool."""
    return texts(study, study.best_of_n.num_prompts * study.best_of_n.num_responses)


def deep_pool_texts(study: Study) -> Texts:
    """Texts of a policy's pool for large n."""
    return texts(study, study.deep_best_of_n.num_prompts * study.deep_best_of_n.num_responses)


def num_curves(study: Study) -> int:
    """Curves that are fitted with one another: all but those of large n, and tilted ones."""
    return len(study.curves())


def num_replicates(study: Study) -> int:
    """Curves, times the replicates of the bootstrap."""
    return num_curves(study) * study.analysis.num_bootstrap
