"""
Make a TensorBoard event file with the keys of OpenRLHF, by TensorBoard's own writer.

    PYTHONPATH=FOLDER python tests/runs/make_events.py

FOLDER holds tensorboard and what it imports (pip install --no-deps --target FOLDER
tensorboard==2.20.0 protobuf absl-py). Every other scalar is a tensor, as torch's newer writers do.
"""

import shutil
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter

FOLDER = Path(__file__).parent / "recorded" / "openrlhf_tensorboard"
NUM_STEPS = 40


def main() -> None:
    """Write the file, under a name without the machine's."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    writer = EventFileWriter(str(FOLDER))
    for step in range(1, NUM_STEPS + 1):
        kl = 0.002 * step
        scalars = {
            "train/reward": 0.05 * step,
            "train/kl": min(kl, 0.05),
            "train/logprobs_diff": kl,
            "train/response_length": 100.0 + step,
            "train/policy_loss": 0.1,
            "train/ppo_kl": 0.001,
            "rollout/truncated_rate": 0.01,
        }
        values = [
            Summary.Value(tag=key, simple_value=value)
            if number % 2 == 0
            else Summary.Value(tag=key, tensor=TensorProto(dtype=1, float_val=[value]))
            for number, (key, value) in enumerate(scalars.items())
        ]
        writer.add_event(Event(wall_time=1.0, step=step, summary=Summary(value=values)))
    writer.close()
    for file in FOLDER.iterdir():
        file.rename(FOLDER / "events.out.tfevents.0.run")


if __name__ == "__main__":
    main()
