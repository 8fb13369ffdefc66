"""
Make the logs that the readers of other people's runs are tested with: by the real trainers.

    PYTHONPATH=FOLDER_WITH_TRL python tests/runs/make_logs.py {rloo,grpo,online_dpo,dpo,ppo}

FOLDER_WITH_TRL holds TRL beside this project's own packages (pip install --no-deps --target FOLDER
trl==1.16.0; ppo: trl==1.12.0, the last with it). A tiny random model, a few steps, two rewards:
one optimized, one at weight 0.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

LOGS = Path(__file__).parent / "recorded"
WORDS = ["<pad>", "<eos>", *(chr(letter) for letter in range(ord("a"), ord("z") + 1))]
COMMON = {
    "per_device_train_batch_size": 8,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "learning_rate": 3e-3,
    "use_cpu": True,
    "seed": 0,
    "bf16": False,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """Words of one letter; reads and pads on the left, as policies need it."""
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )


def shape() -> GPT2Config:
    """A layer of width 32."""
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    return GPT2Config(vocab_size=len(WORDS), n_embd=32, n_layer=1, n_head=2, n_positions=64, **ids)


def policy(folder: str) -> GPT2LMHeadModel:
    """A tiny policy with a folder, which TRL asks for."""
    torch.manual_seed(0)
    GPT2LMHeadModel(shape()).save_pretrained(f"{folder}/policy")
    tokenizer().save_pretrained(f"{folder}/policy")
    return GPT2LMHeadModel.from_pretrained(f"{folder}/policy")


def prompts() -> Dataset:
    """64 prompts of two or three letters."""
    letters = WORDS[2:]
    texts = [" ".join(letters[(i * k) % 26] for k in range(1, 3 + i % 2)) for i in range(64)]
    return Dataset.from_dict({"prompt": texts})


def vowels(completions: list[str], **_: Any) -> list[float]:
    """The proxy: how many vowels a completion has."""
    return [float(sum(text.count(v) for v in "aeiou")) for text in completions]


def variety(completions: list[str], **_: Any) -> list[float]:
    """Gold, at weight 0: how many distinct letters."""
    return [float(len(set(text.split()))) for text in completions]


def groups(name: str, folder: str) -> Any:
    """RLOO or GRPO with two rewards, and completions saved."""
    config = {"rloo": trl.RLOOConfig, "grpo": trl.GRPOConfig}[name]
    trainer = {"rloo": trl.RLOOTrainer, "grpo": trl.GRPOTrainer}[name]
    arguments = config(
        output_dir=folder,
        num_generations=4,
        max_completion_length=12,
        beta=0.02,
        reward_weights=[1.0, 0.0],
        log_completions=True,
        max_steps=12,
        **COMMON,
    )
    return trainer(
        model=policy(folder),
        reward_funcs=[vowels, variety],
        args=arguments,
        train_dataset=prompts(),
        processing_class=tokenizer(),
    )


def online_dpo(folder: str) -> Any:
    """Online DPO by TRL's experimental trainer."""
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    arguments = OnlineDPOConfig(output_dir=folder, max_new_tokens=12, max_steps=12, **COMMON)
    return OnlineDPOTrainer(
        model=policy(folder),
        reward_funcs=vowels,
        args=arguments,
        train_dataset=prompts(),
        processing_class=tokenizer(),
    )


def dpo(folder: str) -> Any:
    """DPO, whose log holds no curve."""
    rows = {"prompt": list(prompts()["prompt"])}
    rows |= {"chosen": [" a e i"] * 64, "rejected": [" x y z"] * 64}
    return trl.DPOTrainer(
        model=policy(folder),
        args=trl.DPOConfig(output_dir=folder, max_steps=6, **COMMON),
        train_dataset=Dataset.from_dict(rows),
        processing_class=tokenizer(),
    )


def ppo(folder: str) -> Any:
    """PPO of TRL 1.12."""
    from trl.experimental import ppo

    torch.manual_seed(0)
    tok = tokenizer()
    model, reference = policy(folder), policy(folder)
    scorer = [
        GPT2ForSequenceClassification(GPT2Config(**shape().to_dict(), num_labels=1)) for _ in "rv"
    ]
    arguments = ppo.PPOConfig(
        output_dir=folder,
        response_length=12,
        total_episodes=96,
        num_sample_generations=0,
        **(COMMON | {"bf16": False}),
    )
    return ppo.PPOTrainer(
        args=arguments,
        processing_class=tok,
        model=model,
        ref_model=reference,
        reward_model=scorer[0],
        value_model=scorer[1],
        train_dataset=Dataset.from_dict({"input_ids": tok(list(prompts()["prompt"]))["input_ids"]}),
    )


def main(name: str) -> None:
    """Run one trainer; save its state (and completions) under recorded/."""
    torch.set_num_threads(1)
    makers = {"online_dpo": online_dpo, "dpo": dpo, "ppo": ppo}
    with tempfile.TemporaryDirectory() as folder:
        trainer = makers[name](folder) if name in makers else groups(name, folder)
        trainer.train()
        target = LOGS / f"trl_{name}_{trl.__version__}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        state = json.loads(json.dumps(trainer.state.__dict__, default=str))
        kept = {key: state[key] for key in ("global_step", "max_steps", "log_history")}
        (target / "trainer_state.json").write_text(json.dumps(kept, indent=1) + "\n")
        for file in sorted(Path(folder).glob("completions/*.parquet"))[:3]:
            (target / "completions").mkdir(exist_ok=True)
            shutil.copy(file, target / "completions")


if __name__ == "__main__":
    main(sys.argv[1])
