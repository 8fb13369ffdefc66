"""A small model as one vector: the same training, and parameters of their own afterwards."""

import numpy as np
import pytest
import torch

from overopt.config.training import Numerics
from overopt.models.training import flat_parameters
from overopt.models.training.flat_parameters import FlatParameters
from overopt.models.training.loop import Examples, train
from overopt.models.training.state import TrainingState


class Regression(torch.nn.Module):
    """Squared error of a small network; its losses are large enough for clipping."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (self.layers(inputs) - 30 * inputs.sum(1, keepdim=True)).square().mean()


def trained() -> tuple[np.ndarray, Regression]:
    inputs = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    batches = list(np.random.default_rng(0).integers(0, 40, (30, 8)))
    model = Regression()
    examples = Examples(lambda rows: (inputs[rows],), weights=np.ones(40))
    return train(model, examples, batches, 0.01, TrainingState(None), Numerics()), model


def test_training_is_that_of_single_parameters(monkeypatch):
    losses, model = trained()
    monkeypatch.setattr(flat_parameters, "LARGEST", 0)
    expected, reference = trained()
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for parameter, wanted in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, wanted, rtol=1e-5, atol=1e-6)


def test_parameters_have_memory_of_their_own_after_training():
    _, model = trained()
    storages = [parameter.untyped_storage() for parameter in model.parameters()]
    assert len({storage.data_ptr() for storage in storages}) == 4
    assert [storage.nbytes() for storage in storages] == [60, 20, 20, 4]


def test_values_and_gradients_are_those_of_the_parameters():
    parameters = [torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.zeros(3))]
    flat = FlatParameters(parameters)
    parameters[0].grad = torch.tensor([[1.0, 2], [3, 4]]).T
    flat.gather_gradients()
    assert flat.vector.grad is not None
    assert flat.vector.grad.tolist() == [1, 3, 2, 4, 0, 0, 0]
    with torch.no_grad():
        flat.vector.add_(flat.vector.grad)
    assert parameters[0].tolist() == [[2, 4], [3, 5]]


@pytest.mark.parametrize(
    ("parameters", "device", "suits"),
    [
        ([torch.zeros(3), torch.zeros(2)], "cpu", True),
        ([torch.zeros(3), torch.zeros(2)], "cuda", False),
        ([torch.zeros(3), torch.zeros(2, dtype=torch.bfloat16)], "cpu", False),
        ([torch.zeros(flat_parameters.LARGEST), torch.zeros(2)], "cpu", False),
    ],
)
def test_few_parameters_of_one_type_on_a_cpu_suit(parameters, device, suits):
    assert FlatParameters.suits(parameters, torch.device(device)) == suits
