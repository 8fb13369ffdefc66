"""The job of an RL method: load the models, optimize, write the curve and the final policy."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from overopt.config.cells import Run
from overopt.config.rl import EvaluationSettings, RLConfig
from overopt.data.hidden_utility import hidden_utilities
from overopt.jobs.job import Job
from overopt.jobs.outputs import STATE_FILE
from overopt.jobs.provenance import write_json
from overopt.methods.curves import curve_table, evaluation_prompts
from overopt.methods.evaluation import Evaluator
from overopt.methods.method_files import MethodFiles
from overopt.methods.rl.algorithm import Algorithm
from overopt.methods.rl.loop import STREAMS, LoopResult, RLLoop
from overopt.models.architecture import Policy
from overopt.models.loading import load_policy, save_model
from overopt.models.tokens import copy_tokenizer, encode_prompts, load_tokenizer
from overopt.models.training.lora import add_adapters, merge_adapters
from overopt.models.training.state import TrainingState
from overopt.randomness import torch_generator
from overopt.reward_model.gold_scorer import load_gold_rm
from overopt.reward_model.scorer import Scorer
from overopt.reward_model.variants import load_proxy


def optimize(
    job: Job,
    algorithm_of: Callable[[Policy], Algorithm],
    run: Run,
    config: RLConfig,
    settings: EvaluationSettings,
    files: MethodFiles,
) -> None:
    """Optimize an initial policy against a proxy RM by the algorithm that `algorithm_of` builds.

    Writes the curve (per evaluation prompt), the metrics of each iteration, metrics.json (why the
    run ended, its last evaluation) and the final policy.

    Raises
    ------
    UserError
        A folder holds no such model, there are too few prompts, or the algorithm breaks its
        contract (`overopt.methods.rl.algorithm`).
    """
    tokenizer = load_tokenizer(files.policy_dir)
    table = pd.read_parquet(files.prompts)
    training_prompts = table.loc[table["split"] == "ppo", "prompt"].tolist()
    ref_policy = load_policy(files.policy_dir)
    proxy = load_proxy(run.proxy_rm, files.proxy_rm_dir, files.policy_dir)
    rank = settings.numerics.lora_rank
    generator = torch_generator(settings.seed, "adapters")
    policy = add_adapters(load_policy(files.policy_dir), rank, generator)
    loop = RLLoop(
        algorithm_of(policy),
        ref_policy,
        proxy,
        encode_prompts(tokenizer, training_prompts, settings.text.max_prompt_tokens),
        config,
        max_response_tokens=settings.text.max_response_tokens,
        generators={name: torch_generator(settings.seed, name) for name in STREAMS},
        precision=settings.numerics.precision,
    )
    evaluator = evaluator_of(files, settings, config.num_evaluation_responses, ref_policy, proxy)
    state = TrainingState(files.model_dir / STATE_FILE, job.fingerprint)
    result = loop.run(evaluator, state)
    job.stop_workers()
    _write(result, run, proxy, files)
    merge_adapters(policy)
    save_model(policy, files.model_dir)
    copy_tokenizer(files.policy_dir, files.model_dir)
    state.remove()


def evaluator_of(
    files: MethodFiles,
    settings: EvaluationSettings,
    num_responses: int,
    ref_policy: Policy,
    proxy: Scorer,
) -> Evaluator:
    """What measures the points of a curve, on the evaluation prompts that all methods share.

    The gold RM is loaded to the device of the initial policy `ref_policy`.
    """
    held_out = evaluation_prompts(files.prompts, settings.num_evaluation_prompts)
    tokenizer = load_tokenizer(files.policy_dir)
    return Evaluator(
        prompts=encode_prompts(tokenizer, held_out, settings.text.max_prompt_tokens),
        num_responses=num_responses,
        max_response_tokens=settings.text.max_response_tokens,
        ref_policy=ref_policy,
        proxy_rm=proxy,
        gold_rm=load_gold_rm(files.gold_rm_dir, files.policy_dir, ref_policy.device),
        human_scores=(
            hidden_utilities(files.policy_dir, settings.world)
            if settings.has_hidden_utility
            else None
        ),
        precision=settings.numerics.precision,
    )


def _write(result: LoopResult, run: Run, proxy: Scorer, files: MethodFiles) -> None:
    """Write the curve, the metrics of the iterations, and how the run ended."""
    measurements = {
        name: np.array([evaluation["measured"][name] for evaluation in result.evaluations])
        for name in result.evaluations[0]["measured"]
    }
    steps = [evaluation["step"] for evaluation in result.evaluations]
    points = curve_table(run, proxy.num_parameters, steps, measurements)
    points.to_parquet(files.curve, index=False)
    rows = [{"step": iteration["step"], **iteration["metrics"]} for iteration in result.iterations]
    pd.DataFrame(rows).to_csv(files.iterations, index=False)
    final = {name: float(np.mean(values[-1])) for name, values in measurements.items()}
    write_json(
        files.model_dir / "metrics.json",
        {"ended": result.ended, "num_iterations": len(result.iterations), "final": final},
    )
