"""The PPO job: load the models, optimize, write the curve and the optimized policy."""

from pathlib import Path

import numpy as np
import pandas as pd

from overopt.config.ppo import PPOSettings
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.jobs.provenance import write_json
from overopt.methods.curves import curve_table, evaluation_prompts
from overopt.methods.ppo.evaluation import Evaluator, HumanScores
from overopt.methods.ppo.policy import Episodes
from overopt.methods.ppo.training import PPOTrainer
from overopt.models.loading import (
    load_policy,
    num_parameters,
    save_model,
)
from overopt.models.tokens import (
    copy_tokenizer,
    decode_prompts,
    decode_responses,
    encode_prompts,
    load_tokenizer,
)
from overopt.models.training.lora import add_adapters, merge_adapters
from overopt.models.training.state import TrainingState
from overopt.randomness import torch_generator
from overopt.reward_model.scorer import load_scorer

STREAMS = ("prompts", "responses", "batches", "normalization", "evaluation")


def optimize_policy(
    job: Job,
    settings: PPOSettings,
    prompts: Path,
    policy_dir: Path,
    proxy_rm: Path,
    gold_rm: Path,
    curve: Path,
    iterations: Path,
    model_dir: Path,
) -> None:
    """Run PPO from an initial policy against a proxy RM.

    Writes the curve (per evaluation prompt), the metrics of each iteration, metrics.json (why the
    run ended, its last evaluation) and the final policy.
    """
    tokenizer = load_tokenizer(policy_dir)
    max_prompt_tokens = settings.text.max_prompt_tokens
    table = pd.read_parquet(prompts)
    training_prompts = table.loc[table["split"] == "ppo", "prompt"].tolist()
    held_out = evaluation_prompts(prompts, settings.num_evaluation_prompts)
    ref_policy = load_policy(policy_dir)
    proxy = load_scorer(proxy_rm, policy_dir)
    rank = settings.numerics.lora_rank
    generator = torch_generator(settings.seed, "adapters")
    policy = add_adapters(load_policy(policy_dir), rank, generator)
    trainer = PPOTrainer(
        policy,
        ref_policy,
        proxy,
        encode_prompts(tokenizer, training_prompts, max_prompt_tokens),
        settings.ppo,
        learning_rate=settings.learning_rate,
        kl_coef=settings.run.kl_coef,
        max_response_tokens=settings.text.max_response_tokens,
        generators={name: torch_generator(settings.seed, name) for name in STREAMS},
        numerics=settings.numerics,
    )
    evaluator = Evaluator(
        prompts=encode_prompts(tokenizer, held_out, max_prompt_tokens),
        num_responses=settings.ppo.num_evaluation_responses,
        max_response_tokens=settings.text.max_response_tokens,
        ref_policy=ref_policy,
        proxy_rm=proxy,
        gold_rm=load_scorer(gold_rm, policy_dir, ref_policy.device),
        human_scores=_hidden_utility(policy_dir) if settings.has_hidden_utility else None,
        precision=settings.numerics.precision,
    )
    state = TrainingState(model_dir / STATE_FILE, job.fingerprint)
    evaluations, metrics, ended = trainer.run(evaluator, state)
    job.leave_to_main()
    measurements = {
        name: np.array([evaluation["measured"][name] for evaluation in evaluations])
        for name in evaluations[0]["measured"]
    }
    steps = [evaluation["step"] for evaluation in evaluations]
    points = curve_table(settings.run, num_parameters(proxy.model), steps, measurements)
    points.to_parquet(curve, index=False)
    rows = [{"step": iteration["step"], **iteration["metrics"]} for iteration in metrics]
    pd.DataFrame(rows).to_csv(iterations, index=False)
    final = {name: float(np.mean(values[-1])) for name, values in measurements.items()}
    write_json(
        model_dir / "metrics.json",
        {"ended": ended, "num_iterations": len(metrics), "final": final},
    )
    merge_adapters(policy)
    save_model(policy, model_dir)
    copy_tokenizer(policy_dir, model_dir)
    state.remove()


def _hidden_utility(tokenizer_dir: Path) -> HumanScores:
    from overopt.data.world.utility import utilities  # the embedded world only

    tokenizer = load_tokenizer(tokenizer_dir)

    def human_scores(episodes: Episodes) -> np.ndarray:
        texts = decode_responses(tokenizer, episodes.response_ids.tolist())
        return utilities(decode_prompts(tokenizer, episodes.parts[0]), texts)

    return human_scores
