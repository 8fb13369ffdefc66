"""
Reinforcement learning against a proxy RM (Gao et al. 2022, sections 2, 3.1, 3.6, Appendix C).

INPUTS
    data/prompts.parquet, policies/, gold_rm/, proxy_rms/
OUTPUTS
    ppo/{policy}/kl-{coefficient}/{proxy RM}/curve.parquet, iterations.csv, metrics.json,
        the final policy
STEPS
    ppo   optimize by PPO; every so many iterations measure KL, proxy and gold on held-out prompts
"""


rule ppo:
    input:
        prompts="<results>/data/prompts.parquet",
        policy="<results>/policies/{policy_size}/model.safetensors",
        proxy_rm="<results>/proxy_rms/<proxy_rm>/model.safetensors",
        gold_rm=in_results(paths.gold_rm_file(study)),
    output:
        beside("<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>", POLICY_FILES),
        curve="<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>/curve.parquet",
        iterations="<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>/iterations.csv",
        metrics="<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>/metrics.json",
        model=kept(
            "ppo_policies",
            "<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>/model.safetensors",
        ),
        record="<results>/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>/run_record.json",
    log:
        "<results>/logs/ppo/{policy_size}/kl-{kl_coef}/<proxy_rm>.log",
    priority: 30
    conda:
        "../../envs/science.yaml"
    threads: processes("ppo")
    resources:
        **cost("ppo"),
        launch=launch("ppo"),
    params:
        config=lambda wildcards: as_param(
            job_settings.ppo_settings(study, paths.run_at("ppo", wildcards)),
            run_plugins("ppo", wildcards),
        ),
        code=lambda wildcards: code("ppo", run_plugins("ppo", wildcards)),
    shell:
        "{resources.launch} {REPO:q}/workflow/scripts/ppo.py"
        " --config {params.config:q} --code {params.code}"
        " --prompts {input.prompts:q} --policy {input.policy:q} --proxy-rm {input.proxy_rm:q}"
        " --gold-rm {input.gold_rm:q} --curve {output.curve:q} --iterations {output.iterations:q}"
        " --model {output.model:q} --record {output.record:q} > {log:q} 2>&1"
