"""Tiny models, prompts and a tokenizer that the tests share; all offline and on one thread."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from workflow_example import copy_of_repository, snakemake

# Before torch or tokenizers are imported: results must not depend on the machine's cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["RAYON_NUM_THREADS"] = "1"
# A shell's background process ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from overopt.models.gpt2 import GPT2Policy, GPT2RewardModel

REFERENCES = Path(__file__).parent / "references"
WORDS = ["<pad>", "<bos>", "<eos>", "a", "b", "c", "d", "e", "f", "g", "h"]
CONTEXT_LENGTH = 24

BuildPolicy = Callable[..., "GPT2Policy"]
BuildRewardModel = Callable[..., "GPT2RewardModel"]
CompareReference = Callable[[str, dict], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-references",
        action="store_true",
        help="Write tests/references/*.json anew instead of comparing with them. A change of a "
        "reference needs a reason in the commit message.",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: a process of `pytest -n` takes file after file."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the code under test opens an internet connection."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: object) -> None:
        is_local = self.family == socket.AF_UNIX or str(address).startswith("('127.")
        assert is_local, f"a test tried to connect to {address}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect_locally)


@pytest.fixture(scope="session")
def build_tiny_policy() -> BuildPolicy:
    """Build a policy of the 11 words whose distributions are far from uniform.

    `sharpness` multiplies the logits: with 1 they are as initialized (nearly uniform), with a few
    hundred sampling is deterministic. Positions count ten times as much as initialized, so that
    a shifted position is seen.
    """
    import torch

    from overopt.config.training import TransformerConfig
    from overopt.models.loading import build_policy

    def build(
        seed: int = 0,
        sharpness: float = 3.0,
        *,
        vocabulary_size: int = len(WORDS),
        hidden_size: int = 8,
        num_layers: int = 2,
        num_heads: int = 2,
    ) -> "GPT2Policy":
        shape = TransformerConfig(
            hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads
        )
        generator = torch.Generator().manual_seed(seed)
        policy = build_policy(shape, vocabulary_size, CONTEXT_LENGTH, generator)
        with torch.no_grad():
            policy.transformer.wpe.weight *= 10
            policy.transformer.ln_f.weight *= sharpness
        return policy.eval()

    return build


@pytest.fixture(scope="session")
def build_tiny_reward_model(build_tiny_policy: BuildPolicy) -> BuildRewardModel:
    """Build a reward model with random weights, score head included."""
    import torch

    from overopt.models.loading import build_reward_model

    def build(seed: int = 1, **shape: int) -> "GPT2RewardModel":
        reward_model = build_reward_model(build_tiny_policy(seed, 1.0, **shape))
        with torch.no_grad():
            reward_model.score.weight.normal_(generator=torch.Generator().manual_seed(seed))
        return reward_model.eval()

    return build


@pytest.fixture(scope="session")
def ragged_prompts() -> list[list[int]]:
    """Prompts of one to seven tokens, the longest neither first nor last."""
    return [[1, 3, 4, 5], [1], [1, 9, 10], [1, 3, 4, 5, 6, 7, 8], [1, 4], [1, 10, 10, 3, 3]]


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a word-level tokenizer of the 11 words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def compare_reference(request: pytest.FixtureRequest) -> CompareReference:
    """Compare numbers with tests/references/<name>.json, to 1e-4.

    `pytest --update-references` writes the file anew.
    """

    def compare(name: str, measured: dict) -> None:
        path = REFERENCES / f"{name}.json"
        if request.config.getoption("--update-references"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(measured, indent=2) + "\n")
        expected = json.loads(path.read_text())
        assert measured.keys() == expected.keys()
        for key, numbers in expected.items():
            assert measured[key] == pytest.approx(numbers, abs=1e-4), key

    return compare


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of the repository with the tiny study finished on two cores; not to be changed.

    Its path has a space, a quote and brackets, as those of users' folders may. Made once for all
    processes of `pytest -n`, by the first that needs it.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, is_done = shared / "two cores, it's [1]", shared / "two-cores-is-done"
    with FileLock(shared / "two-cores.lock"):
        if not is_done.exists():
            snakemake(copy_of_repository(folder), "--cores", "2")
            is_done.touch()
    return folder
