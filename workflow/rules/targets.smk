"""
Targets by the name of a part of the study; each stage of dvc.yaml asks for one.

    snakemake data | policies | proxy_rms | curves | all
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
