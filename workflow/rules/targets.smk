"""
Targets by the name of a part of the study; each stage of dvc.yaml asks for one.

    snakemake data | checkpoints | policies | proxy_rms | curves | all

Each sweep of the config is a target too, by its own name, switched on or not: snakemake rm_data
"""


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
        curve_files,
        deep_curve_files,
        tilted_curve_files,


for sweep in study.grid.sweeps:
    if sweep in {rule.name for rule in workflow.rules}:
        raise WorkflowError(
            f"grid.sweeps.{sweep}: a rule of the workflow has this name; give the sweep another"
        )

    rule:
        name:
            sweep
        input:
            sweep_files(sweep),
