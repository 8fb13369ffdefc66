"""
Targets by the name of a part of the study; each stage of dvc.yaml asks for one.

    snakemake data | policies | proxy_rms | curves | all
"""


def best_of_n_curves(wildcards):
    """Every best-of-n curve of the study."""
    return [
        f"<results>/best_of_n/{run.policy_size}/{path_of(run.proxy_rm)}/curve.parquet"
        for run in study.best_of_n_runs()
    ]


def ppo_curves(wildcards):
    """Every PPO curve of the study."""
    return [
        f"<results>/ppo/{run.policy_size}/kl-{kl_text(run.kl_coef)}/{path_of(run.proxy_rm)}"
        "/curve.parquet"
        for run in study.ppo_runs()
    ]


def proxy_rm_metrics(wildcards):
    """Validation metrics of every proxy RM of the study."""
    return [
        f"<results>/proxy_rms/{path_of(proxy_rm)}/metrics.json"
        for proxy_rm in study.proxy_rms()
    ]


rule data:
    input:
        "<results>/data/demonstrations.parquet",


rule policies:
    input:
        expand(
            "<results>/policies/{policy_size}/model.safetensors",
            policy_size=study.policy_sizes(),
        ),


rule proxy_rms:
    input:
        proxy_rm_metrics,


rule curves:
    input:
        best_of_n_curves,
        ppo_curves,
