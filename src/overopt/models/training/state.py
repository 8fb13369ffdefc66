"""
What a training job keeps of itself, so that a killed job goes on where it was.

One safetensors file beside the job's outputs holds the weights (but frozen ones), moments, any
random generators, and, as JSON in its header, the counters. It is written atomically, belongs to
one fingerprint (settings, code and inputs) and is ignored under any other, and the job removes it
when it is done. No pickle.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from overopt.jobs.processes import Processes
from overopt.models.training.adamw import AdamW, Moments

SECONDS_BETWEEN_SAVES = float(os.environ.get("OVEROPT_SECONDS_BETWEEN_SAVES", "30"))
"""What a kill costs at most. It changes no result, so it is no setting of a study."""


class TrainingState:
    """The saved state of one job at `path`; `path=None` keeps nothing (tests, tiny jobs)."""

    def __init__(
        self,
        path: Path | None,
        fingerprint: str = "",
        seconds_between_saves: float = SECONDS_BETWEEN_SAVES,
    ) -> None:
        self._path = path
        self._fingerprint = fingerprint
        self._interval = seconds_between_saves
        self._last_duration = 0.0
        self._is_kept_here = Processes.of_this_job().is_main
        self._last_save = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last save lies long enough behind; never but in the main process."""
        if self._path is None or not self._is_kept_here:
            return False
        # Of a large model a save takes long: at most a twentieth of the time goes there.
        interval = max(self._interval, 20 * self._last_duration) if self._interval else 0
        return time.monotonic() - self._last_save >= interval

    def save(
        self,
        model: torch.nn.Module,
        optimizer: AdamW,
        progress: Mapping[str, object],
        generators: Mapping[str, torch.Generator] | None = None,
    ) -> None:
        """Write the state, replacing the last one in a single step."""
        if self._path is None:
            return
        start, frozen = time.monotonic(), _frozen(model)
        tensors = {
            f"model.{name}": tensor
            for name, tensor in model.state_dict().items()
            if name not in frozen
        }
        for index, moments in optimizer.state.items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        for name, generator in (generators or {}).items():
            tensors[f"generator.{name}"] = generator.get_state()
        header = {"fingerprint": self._fingerprint, "progress": json.dumps(progress)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        # A clone each: tied weights share storage, which safetensors refuses.
        save_file({name: t.clone() for name, t in tensors.items()}, unfinished, metadata=header)
        os.replace(unfinished, self._path)
        self._last_save = time.monotonic()
        self._last_duration = self._last_save - start

    def load(
        self,
        model: torch.nn.Module,
        optimizer: AdamW,
        generators: Mapping[str, torch.Generator] | None = None,
    ) -> dict[str, object] | None:
        """Restore everything in place; the progress that `save` got, or None if nothing counts."""
        if self._path is None or not self._path.is_file():
            return None
        with safe_open(self._path, framework="pt") as file:
            header = file.metadata()
            if header["fingerprint"] != self._fingerprint:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found = model.load_state_dict(_without_prefix(tensors, "model."), strict=False)
        if set(found.missing_keys) != _frozen(model) or found.unexpected_keys:
            raise RuntimeError(f"{self._path} is the state of another model: {found}")
        state: dict[int, Moments] = {}
        for name, tensor in _without_prefix(tensors, "optimizer.").items():
            index, moment = name.split(".", 1)
            state.setdefault(int(index), {})[moment] = tensor
        optimizer.restore(state)
        for name, generator in (generators or {}).items():
            generator.set_state(tensors[f"generator.{name}"])
        return json.loads(header["progress"])

    def remove(self) -> None:
        """Delete the state: the job's outputs are written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _frozen(model: torch.nn.Module) -> set[str]:
    """Names of the weights that no training changes: the job starts from them again."""
    parameters = model.named_parameters(remove_duplicate=False)  # tied weights have two names
    return {name for name, parameter in parameters if not parameter.requires_grad}


def _without_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
