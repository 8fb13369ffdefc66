"""Shapes of models, as far as their cost depends on them: parameters, layers, vocabulary."""

from dataclasses import dataclass

from overopt.data_config import FileDataConfig
from overopt.study import Study
from overopt.training_config import TransformerConfig

WORLD_VOCABULARY = 176
"""Words of the embedded world's tokenizer."""


@dataclass(frozen=True)
class ModelShape:
    """What the cost of a transformer depends on.

    Attributes
    ----------
    intermediate_size : width of the MLP; 4 hidden_size in GPT-2 and GPT-NeoX.
    num_embeddings : matrices of vocabulary_size x hidden_size: 1 where input and output share it.
    """

    hidden_size: int
    num_layers: int
    vocabulary_size: int
    intermediate_size: int
    num_embeddings: int = 1

    @property
    def num_body_parameters(self) -> int:
        """Weights of attention and MLP, which every token passes."""
        block = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size
        return self.num_layers * block

    @property
    def num_parameters(self) -> int:
        """Body and embeddings."""
        return self.num_body_parameters + (
            self.num_embeddings * self.vocabulary_size * self.hidden_size
        )


def policy_shape(study: Study, policy_size: str) -> ModelShape:
    """Shape of a policy, and of a gold RM on it."""
    return _shape(study, study.policies[policy_size])


def proxy_shape(study: Study, proxy_size: str) -> ModelShape:
    """Shape of a proxy RM and its backbone."""
    return _shape(study, study.proxy_sizes[proxy_size])


def _shape(study: Study, config: TransformerConfig) -> ModelShape:
    data = study.data
    return ModelShape(
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        vocabulary_size=(
            data.vocabulary_size if isinstance(data, FileDataConfig) else WORLD_VOCABULARY
        ),
        intermediate_size=4 * config.hidden_size,
    )
