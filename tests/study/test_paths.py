"""What a study does not keep: which files, and that the audit does not miss them."""

from pathlib import Path

import pytest
import yaml

from overopt.audit.findings import MISSING, Finding
from overopt.audit.pruned import without_pruned
from overopt.audit.study_folder import StudyFolder
from overopt.config.keep import KeepConfig
from overopt.study.paths import is_temporary
from workflow_example import ROOT

RM = "s1/deterministic-labels/2000-comparisons/1-epochs/seed-0"
LARGE = {
    "checkpoints": "checkpoints/pythia-70m-0123abcd/model.safetensors",
    "ppo_policies": f"ppo/small/kl-0.1/{RM}/model.safetensors",
    "proxy_rms": f"proxy_rms/{RM}/model.safetensors",
    "backbones": "backbones/s1/seed-0/model.safetensors",
    "pools": "best_of_n/small/pool.parquet",
}
SMALL = [
    f"ppo/small/kl-0.1/{RM}/curve.parquet",
    f"proxy_rms/{RM}/config.json",
    "backbones/s1/seed-0/tokenizer.json",
    "best_of_n/small/pool_record.json",
    f"best_of_n/small/{RM}/curve.parquet",
    "policies/small/model.safetensors",
    "gold_rm/model.safetensors",
]


@pytest.mark.parametrize("name", LARGE)
def test_each_key_lets_go_of_its_own_files_only(name: str) -> None:
    keep = KeepConfig.model_validate({name: False})
    gone = [path for path in [*LARGE.values(), *SMALL] if is_temporary(keep, path)]
    assert gone == [LARGE[name]]
    assert not any(is_temporary(KeepConfig(), path) for path in LARGE.values())


def test_every_key_is_known_by_its_files() -> None:
    assert set(LARGE) == set(KeepConfig.model_fields)


def test_the_audit_misses_only_what_the_study_keeps(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "config" / "test.yaml").read_text())
    lean = tmp_path / "lean.yaml"
    lean.write_text(yaml.safe_dump({**config, "keep": {"pools": False}}))
    study = StudyFolder(tmp_path, "results/test", tmp_path, {}, {}, {}, {})
    pool = Finding(MISSING, f"results/test/{LARGE['pools']}", "")
    rm = Finding(MISSING, f"results/test/{LARGE['proxy_rms']}", "")
    assert without_pruned([pool, rm], study, lean) == [rm]
    assert without_pruned([pool, rm], study, ROOT / "config" / "test.yaml") == [pool, rm]
    # Without a config nothing says that a file may be gone.
    assert without_pruned([pool], study) == [pool]
