"""
What the benchmarks compute on: the default study's models, prompts and comparisons.

Policies come from a finished study where one is named. Else they are trained on some demonstrations
of the embedded world: seconds each, after which the lengths of responses are those of the
demonstrations (13 tokens on average), on which every rate depends. Reward models have random
weights: no rate depends on those.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import yaml

from overopt.config.policy import LanguageModelSettings
from overopt.config.training import TransformerConfig
from overopt.data.splits import split_prompts
from overopt.data.world.prompts import all_prompts
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.utility import utilities
from overopt.data.world.writers import write_demonstrations
from overopt.models.architecture import Policy, RewardModel, score_head
from overopt.models.loading import build_policy, build_reward_model, load_policy, save_model
from overopt.models.tokens import decode_responses, encode_prompts, encode_responses, join
from overopt.models.training.state import TrainingState
from overopt.policy.sampling import sample_responses
from overopt.policy.sft import train_language_model
from overopt.randomness import numpy_generator, torch_generator
from overopt.reward_model.training import TokenizedComparisons
from overopt.study import job_settings
from overopt.study.study import Study, read_study

ROOT = Path(__file__).resolve().parents[1]
SEED = 0


@dataclass(frozen=True)
class Setup:
    """One run of the benchmarks.

    Attributes
    ----------
    is_quick : the smallest sizes, to see that everything runs; its figures mean nothing.
    repeats : rounds of each comparison.
    study : results folder of a finished default study, or None.
    cache : where TRL's environment lies.
    work : a folder for this run's own files.
    """

    is_quick: bool
    repeats: int
    study: Path | None
    cache: Path
    work: Path


class Materials:
    """Models and texts, made when first asked for and kept."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._num_demonstrations = 256 if setup.is_quick else 10_000
        self._policies: dict[str, Policy] = {}

    @cached_property
    def study(self) -> Study:
        """The default study."""
        return read_study(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))

    @cached_property
    def tokenizer(self):
        """The embedded world's."""
        return build_tokenizer()

    @cached_property
    def prompts(self) -> list[list[int]]:
        """Every prompt of the part for PPO, in token ids, in random order."""
        return self._encoded("ppo")

    def texts(self, prompts: list[list[int]]) -> list[str]:
        """Prompts as text."""
        return [self.tokenizer.decode(row, skip_special_tokens=True) for row in prompts]

    def repeated_prompts(self, number: int) -> list[list[int]]:
        """So many prompts, drawn with replacement."""
        rows = numpy_generator(SEED, "benchmark prompts").integers(0, len(self.prompts), number)
        return [self.prompts[row] for row in rows]

    def policy(self, size: str) -> Policy:
        """An initial policy of the default study's shape."""
        if size not in self._policies:
            folder = self._setup.study and self._setup.study / "policies" / size
            trained = folder is not None and (folder / "model.safetensors").exists()
            self._policies[size] = load_policy(folder) if trained else self._fitted(size)  # type: ignore[arg-type]
        return self._policies[size]

    def policy_folder(self, size: str) -> Path:
        """The policy as a checkpoint with its tokenizer."""
        folder = self._setup.work / "policies" / size
        if not folder.exists():
            save_model(self.policy(size), folder)
            self.tokenizer.save_pretrained(folder)
        return folder

    def reward_model(self, size: str) -> RewardModel:
        """A reward model of this proxy size, or of the gold RM; random weights, score head too."""
        shape = self._shape_of(size)
        generator = torch_generator(SEED, f"{size} weights")
        context = self.study.text.context_length
        model = build_reward_model(build_policy(shape, len(self.tokenizer), context, generator))
        with torch.no_grad():
            score_head(model).weight.normal_(generator=generator)
        return model.eval()

    def reward_model_folder(self, size: str, *, has_zero_head: bool = False) -> Path:
        """The reward model as a checkpoint with the policy's tokenizer."""
        folder = self._setup.work / "reward_models" / f"{size}{'-start' * has_zero_head}"
        if not folder.exists():
            model = self.reward_model(size)
            if has_zero_head:
                torch.nn.init.zeros_(score_head(model).weight)
            save_model(model, folder)
            self.tokenizer.save_pretrained(folder)
        return folder

    def demonstrations(self, number: int) -> tuple[list[list[int]], list[list[int]]]:
        """Prompts and responses of writers, in token ids."""
        rng = numpy_generator(SEED, "benchmark writers")
        table = write_demonstrations(self._part("sft"), number, rng)
        text = self.study.text
        return (
            encode_prompts(self.tokenizer, table["prompt"].tolist(), text.max_prompt_tokens),
            encode_responses(self.tokenizer, table["response"].tolist(), text.max_response_tokens),
        )

    def responses(self, number: int) -> tuple[list[list[int]], list[list[int]]]:
        """Prompts and responses of the small policy, in token ids."""
        prompts = self.repeated_prompts(number)
        generator = torch_generator(SEED, "benchmark responses")
        drawn = sample_responses(self.policy("small"), prompts, self.max_tokens, generator)
        return prompts, drawn.as_lists()

    def comparisons(self, number: int) -> TokenizedComparisons:
        """Pairs of the small policy's responses; the one of higher hidden utility is chosen."""
        prompts, drawn = self.responses(number)
        _, others = self.responses(2 * number)
        pairs = zip(drawn, others[number:], strict=True)
        texts = self.texts(prompts)
        values = [
            utilities(texts, decode_responses(self.tokenizer, side))
            for side in (drawn, others[number:])
        ]
        ordered = [
            (first, second) if value >= other else (second, first)
            for (first, second), value, other in zip(pairs, *values, strict=True)
        ]
        chosen, rejected = zip(*ordered, strict=True)
        return TokenizedComparisons(join(prompts, chosen), join(prompts, rejected))

    @property
    def max_tokens(self) -> int:
        """Of a response."""
        return self.study.text.max_response_tokens

    def sft_settings(self, size: str) -> LanguageModelSettings:
        """How the default study fine-tunes a policy; here one pass."""
        settings = job_settings.policy_settings(self.study, size)
        once = settings.optimization.model_copy(update={"num_epochs": 1})
        return settings.model_copy(update={"optimization": once})

    def _shape_of(self, size: str) -> TransformerConfig:
        if size == "gold":
            size = self.study.gold_rm.backbone or ""
        both = {**self.study.policies, **self.study.proxy_sizes}
        names = ("hidden_size", "num_layers", "num_heads")
        return TransformerConfig(**{name: getattr(both[size], name) for name in names})

    def _fitted(self, size: str) -> Policy:
        settings = self.sft_settings(size)
        assert settings.shape is not None
        generator = torch_generator(SEED, "benchmark policy")
        context = self.study.text.context_length
        policy = build_policy(settings.shape, len(self.tokenizer), context, generator)
        prompts, responses = self.demonstrations(self._num_demonstrations)
        train_language_model(policy, prompts, responses, settings, TrainingState(None))
        return policy.eval()

    def _encoded(self, part: str) -> list[list[int]]:
        texts = np.array(self._part(part))
        order = numpy_generator(SEED, "benchmark order").permutation(len(texts))
        limit = self.study.text.max_prompt_tokens
        return encode_prompts(self.tokenizer, texts[order].tolist(), limit)

    def _part(self, part: str) -> list[str]:
        table = split_prompts(
            [prompt.text for prompt in all_prompts()], self.study.splits.model_dump()
        )
        return table.loc[table["split"] == part, "prompt"].tolist()


def num_body_weights(model: torch.nn.Module) -> int:
    """Weights of attention and MLP: what every token is multiplied with."""
    config = model.config  # type: ignore[union-attr]
    return 12 * config.n_layer * config.n_embd**2  # type: ignore[operator]
