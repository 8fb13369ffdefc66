"""Our AdamW against that of torch, step by step."""

import subprocess
import sys

import pytest
import torch

from overopt.models.training.adamw import AdamW, ParameterGroup


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), (), (2, 7)]
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def put_gradients(some: list[torch.nn.Parameter], step: int) -> None:
    """The first two have none at first, as the policy's parameters in PPO's warm-up."""
    generator = torch.Generator().manual_seed(step)
    for index, parameter in enumerate(some):
        gradient = torch.randn(parameter.shape, generator=generator)
        parameter.grad = gradient if step >= 3 or index >= 2 else None


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_steps_are_those_of_torch_to_the_bit(weight_decay):
    ours, theirs = parameters(), parameters()
    settings = {"betas": (0.9, 0.95), "weight_decay": weight_decay}
    groups = [ParameterGroup(ours[:2], 0.1), ParameterGroup(ours[2:], 0.2)]
    first = AdamW(groups, epsilon=1e-5, **settings)
    second = torch.optim.AdamW(
        [{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2:], "lr": 0.2}],
        eps=1e-5,
        fused=True,
        **settings,
    )
    for step in range(8):
        for group, other in zip(first.groups, second.param_groups, strict=True):
            group.learning_rate = other["lr"] = other["lr"] * 0.9
        if step == 5:  # a new process goes on from what was saved
            saved = {n: {k: t.clone() for k, t in of.items()} for n, of in first.state.items()}
            first = AdamW(groups, epsilon=1e-5, **settings)
            first.restore(saved)
        for some in (ours, theirs):
            put_gradients(some, step)
        first.step()
        second.step()
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
        assert set(first.state) == ({2, 3} if step < 3 else {0, 1, 2, 3})
    states = second.state_dict()["state"]
    for number, moments in first.state.items():
        assert {k: t.tolist() for k, t in moments.items()} == {
            k: t.tolist() for k, t in states[number].items()
        }


def test_building_reading_and_training_a_model_does_not_import_the_compiler(tmp_path):
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from overopt.models.loading import build_policy, build_reward_model\n"
        "from overopt.models.loading import load_policy, save_model\n"
        "from overopt.models.training.loop import Examples, train\n"
        "from overopt.policy.sft import LanguageModelLoss\n"
        "from overopt.config.training import Numerics, TransformerConfig\n"
        "from overopt.models.training.state import TrainingState\n"
        "shape = TransformerConfig(hidden_size=8, num_layers=1, num_heads=1)\n"
        "policy = build_policy(shape, 11, 12, torch.Generator().manual_seed(0))\n"
        "save_model(policy, Path(sys.argv[1]))\n"
        "loaded = load_policy(Path(sys.argv[1]))\n"
        "state = torch.get_rng_state()\n"
        "build_reward_model(loaded)\n"
        "assert torch.equal(torch.get_rng_state(), state)\n"
        "tensors = torch.ones(2, 5, dtype=int), torch.tensor([1, 1]), torch.tensor([5, 5])\n"
        "examples = Examples(lambda rows: tensors, weights=torch.ones(2).numpy())\n"
        "batches = [torch.arange(2).numpy()]\n"
        "loss, state = LanguageModelLoss(loaded), TrainingState(None)\n"
        "train(loss, examples, batches, 0.1, state, Numerics())\n"
        "print(sorted({'torch._dynamo', 'sympy', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_step_does_not_import_the_compiler():
    code = (
        "import sys, torch\n"
        "from overopt.models.training.adamw import AdamW, ParameterGroup\n"
        "p = torch.nn.Parameter(torch.ones(3))\n"
        "p.grad = torch.ones(3)\n"
        "AdamW([ParameterGroup([p], 0.1)], betas=(0.9, 0.98)).step()\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
