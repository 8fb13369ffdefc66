"""Faults of a config: each is found, together with all others, and told with key and remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from overopt.errors import UserError
from overopt.study.faults import PATTERNS_IN_WORDS
from overopt.study.schema import schema_text
from overopt.study.study import read_study

ROOT = Path(__file__).resolve().parents[2]

Edit = Callable[[dict], object]


def load() -> dict:
    return yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))


def faults_of(config: object) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_study(config)  # type: ignore[arg-type]
    header, *faults = str(caught.value).splitlines()
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    assert header == f"the config has {count}; nothing was run:"
    return [fault.removeprefix("  - ") for fault in faults]


def put(path: str, value: object) -> Edit:
    *sections, key = path.split("/")

    def edit(config: dict) -> None:
        for section in sections:
            config = config[section]
        config[key] = value

    return edit


def remove(path: str) -> Edit:
    *sections, key = path.split("/")

    def edit(config: dict) -> None:
        for section in sections:
            config = config[section]
        del config[key]

    return edit


def config_with(*edits: Edit) -> dict:
    config = load()
    for edit in edits:
        edit(config)
    return config


SWEEP = "grid/sweeps/rm_data"
NOTHING = "nothing stands after the colon"
SOURCES = "'embedded' or 'files' or 'hub'"

# One edit and the whole sentence it must be answered with.
FAULTS: list[tuple[Edit, str]] = [
    # Keys that should not be there, or should.
    (put("pp0", {}), "pp0: unknown key; did you mean ppo?"),
    (put("ppo/batchsize", 64), "ppo.batchsize: unknown key; did you mean batch_size?"),
    (
        put("splits/xyz", 0.1),
        "splits.xyz: unknown key; expected one of sft, rm, rm_validation, ppo, evaluation",
    ),
    (
        put("data/files", "here"),  # "files" is also the name of another source
        "data.files: unknown key; expected one of source, num_demonstrations, candidates, "
        "annotators, world",
    ),
    (
        put("policies/small/embedded", 1),
        "policies.small.embedded: unknown key; expected one of checkpoint, revision, hidden_size, "
        "num_layers, num_heads, learning_rate, batch_size, num_epochs, ppo_learning_rate, compute",
    ),
    (remove("text"), "text: missing; add it (Lengths, in tokens)"),
    (remove("seed"), "seed: missing; add it (Every job's seed derives from it and the job's key)"),
    (
        remove("data/candidates/policy_share"),
        "data.candidates.policy_share: missing; add it (Samples of the main policy)",
    ),
    (
        remove(f"{SWEEP}/num_comparisons"),
        "grid.sweeps.rm_data.num_comparisons: missing; add it (Synthetic comparisons each proxy RM "
        "is trained on)",
    ),
    # Wrong types.
    (put("ppo/batch_size", "many"), "ppo.batch_size: found 'many'; expected a whole number"),
    (put("ppo/batch_size", 2.5), "ppo.batch_size: found 2.5; expected a whole number"),
    (
        put("ppo/batch_size", "6e4"),
        "ppo.batch_size: found '6e4'; expected a whole number; write 60000",
    ),
    (put("ppo/batch_size", [64]), "ppo.batch_size: found [64]; expected a whole number"),
    (put("ppo/batch_size", True), "ppo.batch_size: found 'true'; expected a whole number"),
    (put("ppo/stop_kl", False), "ppo.stop_kl: found 'false'; expected a number"),
    (put("ppo/stop_kl", "far"), "ppo.stop_kl: found 'far'; expected a number"),
    (
        put(f"{SWEEP}/enabled", "maybe"),
        "grid.sweeps.rm_data.enabled: found 'maybe'; expected true or false",
    ),
    (put("main_policy", 1), "main_policy: found 1; expected text; put it in quotes"),
    (put("main_policy", ["small"]), "main_policy: found ['small']; expected text"),
    (put("grid/seeds", 3), "grid.seeds: found 3; expected a list, as in [a, b]"),
    (put("grid/seeds", [0, "x"]), "grid.seeds: found 'x'; expected a whole number"),
    (
        put(f"{SWEEP}/methods", "ppo"),
        "grid.sweeps.rm_data.methods: found 'ppo'; expected a list, as in [a, b]",
    ),
    (
        put(f"{SWEEP}/methods", ["ppo", "dpo"]),
        "grid.sweeps.rm_data.methods: found 'dpo'; expected 'best_of_n', 'ppo', 'deep_best_of_n', "
        "'rloo', 'grpo', 'dr_grpo' or 'reinforce_pp'",
    ),
    (put("ppo", 3), "ppo: found 3; expected keys with values"),
    (put("policies", "small"), "policies: found 'small'; expected keys with values"),
    # Nothing written.
    (put("ppo", None), f"ppo: {NOTHING}; expected keys with values"),
    (put("grid/sweeps", None), f"grid.sweeps: {NOTHING}; expected keys with values"),
    (put(SWEEP, None), f"grid.sweeps.rm_data: {NOTHING}; expected keys with values"),
    (put("data", None), f"data: {NOTHING}; expected keys with values"),
    (put("seed", None), f"seed: {NOTHING}; expected a whole number"),
    (put("name", None), f"name: {NOTHING}; expected text"),
    (put("grid/seeds", [None]), f"grid.seeds: {NOTHING}; expected a whole number"),
    (put("policies", {}), "policies: empty; list at least one entry"),
    # Numbers out of range.
    (put("seed", -1), "seed: found -1; expected at least 0"),
    (put("gold_rm/learning_rate", 0), "gold_rm.learning_rate: found 0; expected more than 0"),
    (put("ppo/gamma", 1.5), "ppo.gamma: found 1.5; expected at most 1"),
    (put("analysis/confidence", 1), "analysis.confidence: found 1; expected less than 1"),
    (
        put("ppo/stop_kl", float("inf")),
        "ppo.stop_kl: found '.inf'; expected a number that is finite",
    ),
    (put("ppo/stop_kl", "inf"), "ppo.stop_kl: found '.inf'; expected a number that is finite"),
    (
        put("ppo/lam", float("nan")),
        "ppo.lam: found '.nan'; expected a number that is finite",
    ),
    (
        put("proxy_sizes/s3/num_heads", 3),
        "proxy_sizes.s3: hidden_size 16 is not a multiple of num_heads 3; choose a divisor",
    ),
    # Names.
    (
        put("policies/very-small", load()["policies"]["small"]),
        "policies.very-small: found 'very-small'; expected a name of letters and digits only",
    ),
    (
        lambda config: config["proxy_sizes"].update({12: config["proxy_sizes"]["s1"]}),
        "proxy_sizes: YAML reads this name as 12, which is not text; put it in quotes",
    ),
    # Where the data come from.
    (put("data", "embedded"), "data: found 'embedded'; expected keys with values"),
    (put("data/source", "web"), f"data.source: found 'web'; expected {SOURCES}"),
    (put("data/source", None), f"data.source: {NOTHING}; expected {SOURCES}"),
    (remove("data/source"), f"data.source: missing; add it, {SOURCES}"),
    (
        put("data/annotators/num_annotators", 0),
        "data.annotators.num_annotators: found 0; expected more than 0",
    ),
    # What does not fit together.
    (
        put("main_policy", "medium"),
        "main_policy: 'medium' is not defined; use one of small, large or add it to policies",
    ),
    (
        put("gold_rm/backbone", "s1"),
        "gold_rm.backbone: 's1' is not defined; use one of small, large or add it to policies",
    ),
    (
        put(f"{SWEEP}/policy_sizes", ["tiny", "small"]),
        "grid.sweeps.rm_data.policy_sizes: 'tiny' is not defined; use one of small, large or add "
        "it to policies",
    ),
    (
        put(f"{SWEEP}/proxy_sizes", ["s9"]),
        "grid.sweeps.rm_data.proxy_sizes: 's9' is not defined; use one of s1, s2, s3 or add it to "
        "proxy_sizes",
    ),
    (
        put("best_of_n/max_n", 129),
        "best_of_n.max_n: 129 is larger than the pool (best_of_n.num_responses: 128); lower max_n "
        "or draw more responses (four times max_n is advisable)",
    ),
    (
        put(f"{SWEEP}/num_comparisons", [500, 2001]),
        "grid.sweeps.rm_data.num_comparisons: 2001 is larger than the number of comparisons there "
        "are (synthetic_comparisons.num_comparisons: 2000); lower it or make more",
    ),
    (
        put(f"{SWEEP}/kl_coefs", [0.1, 0.12345678]),
        "grid.sweeps.rm_data.kl_coefs: 0.12345678 has more than 6 digits, which a path does not "
        "keep; write 0.123457",
    ),
    (put("grid/sweeps", {}), "grid.sweeps: empty; list at least one entry"),
    (
        put(f"{SWEEP}/proxy_sizes", []),
        "grid.sweeps.rm_data.proxy_sizes: empty; list at least one entry",
    ),
    (put("grid/seeds", []), "grid.seeds: empty; list at least one entry"),
    (
        lambda config: [sweep.update(enabled=False) for sweep in config["grid"]["sweeps"].values()],
        "grid.sweeps: every sweep is switched off, the grid is empty; enable at least one",
    ),
    (put("splits/rm", 0.3), "splits: the shares sum to 1.03; make them sum to 1"),
    (
        put("data/candidates/writer_share", 0.5),
        "data.candidates: policy_share, writer_share and exuberant_share sum to 1.1; "
        "lower them to 1 or less, the rest are degenerate texts",
    ),
    (
        put("text/max_prompt_tokens", 12),
        "text.max_prompt_tokens: found 12; the embedded world needs 10: write that",
    ),
    (
        put("text/max_response_tokens", 32),
        "text.max_response_tokens: found 32; the embedded world needs 24: write that",
    ),
]


@pytest.mark.parametrize(("edit", "sentence"), FAULTS, ids=[sentence for _, sentence in FAULTS])
def test_a_fault_is_told_with_its_key_and_a_remedy(edit: Edit, sentence: str) -> None:
    assert faults_of(config_with(edit)) == [sentence]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "..", ".", "", "/etc", "a b", "~", "x\n", "-x", "a\\b", "{wildcard}"]
)
def test_a_study_cannot_write_outside_its_folder(name: str) -> None:
    (fault,) = faults_of(config_with(put("name", name)))
    assert fault == (
        f"name: found {name!r}; expected letters, digits, - and _, with a letter or digit first"
    )


@pytest.mark.parametrize("name", ["default", "2025-01-31", "a_b", "X"])
def test_usual_names_are_accepted(name: str) -> None:
    assert read_study(config_with(put("name", name))).name == name


def test_every_pattern_of_the_config_is_told_in_words() -> None:
    schema = yaml.safe_load(schema_text())
    properties = schema["properties"]
    patterns = {properties["name"]["pattern"]}
    for section in ("policies", "proxy_sizes"):
        patterns |= properties[section]["patternProperties"].keys()
    patterns |= schema["$defs"]["GridConfig"]["properties"]["sweeps"]["patternProperties"].keys()
    for model in ("HubDatasetConfig", "PolicyConfig"):
        revision = schema["$defs"][model]["properties"]["revision"]
        patterns.add(revision["anyOf"][0]["pattern"])
    patterns.add(properties["plugins"]["items"]["pattern"])
    assert patterns == PATTERNS_IN_WORDS.keys()


# Several at once.


def test_all_faults_are_listed_together() -> None:
    edits_and_sentences = [
        (put("splits/rm", 0.3), "splits: the shares sum to"),  # between values
        (put("ppo/batch_size", "many"), "ppo.batch_size: found 'many'"),  # in one value
        (put("ppo/lam", 2), "ppo.lam: found 2"),  # in the same section
        (put("extra", 1), "extra: unknown key"),
        (remove("analysis"), "analysis: missing"),
        (put("best_of_n/max_n", 500), "best_of_n.max_n: 500 is larger"),
        (put("main_policy", "huge"), "main_policy: 'huge' is not defined"),
        (put("data/source", "web"), "data.source: found 'web'"),
        (put(f"{SWEEP}/proxy_sizes", ["s9", "s8"]), "grid.sweeps.rm_data.proxy_sizes: 's9'"),
    ]
    faults = faults_of(config_with(*(edit for edit, _ in edits_and_sentences)))
    assert len(faults) == len(edits_and_sentences) + 1  # two sizes are not defined
    for _, sentence in edits_and_sentences:
        assert sum(fault.startswith(sentence) for fault in faults) == 1, sentence


def test_a_fault_inside_a_size_hides_no_size_that_is_not_defined() -> None:
    faults = faults_of(
        config_with(
            put("policies/small/num_heads", 5),
            put("proxy_sizes/s1/num_layers", 0),
            put("main_policy", "huge"),
            put(f"{SWEEP}/proxy_sizes", ["s9"]),
        )
    )
    assert [fault.split(":")[0] for fault in faults] == [
        "policies.small",
        "proxy_sizes.s1.num_layers",
        "main_policy",
        "grid.sweeps.rm_data.proxy_sizes",
    ]


def test_a_disabled_sweep_may_name_what_is_not_defined() -> None:
    sweep = {"enabled": False, "policy_sizes": ["gone"], "num_comparisons": [10**9]}
    read_study(config_with(lambda config: config["grid"]["sweeps"]["rm_data"].update(sweep)))


@pytest.mark.parametrize(
    ("config", "found"),
    [({}, "empty"), (None, "empty"), ([], "empty"), ("name: x", "no mapping"), ([1], "no mapping")],
)
def test_what_is_no_config_at_all_is_refused(config: object, found: str) -> None:
    with pytest.raises(UserError, match=f"the config is {found}.*config/config.yaml"):
        read_study(config)  # type: ignore[arg-type]


# The user's own files.


@pytest.fixture
def files(tmp_path: Path) -> dict:
    for key in ("demonstrations", "comparisons"):
        (tmp_path / f"{key}.jsonl").touch()
    return {
        "source": "files",
        "demonstrations": str(tmp_path / "demonstrations.jsonl"),
        "comparisons": str(tmp_path / "comparisons.jsonl"),
        "vocabulary_size": 259,
    }


def test_files_that_exist_are_accepted_and_bring_their_own_text_limits(files: dict) -> None:
    study = read_study(config_with(put("data", files), put("text/max_prompt_tokens", 99)))
    assert not study.source.is_generated


def test_a_missing_file_is_told_with_its_path_and_how_to_give_it(files: dict) -> None:
    files |= {"demonstrations": "no/such.jsonl", "vocabulary_size": 258}
    assert faults_of(config_with(put("data", files))) == [
        "data.demonstrations: 'no/such.jsonl' does not exist; give the path of a jsonl file, in a "
        "copy of the config or as --config 'data={demonstrations: PATH}'",
        "data.vocabulary_size: 258 is too small; byte-level BPE needs 256 bytes and 3 special "
        "tokens, so give at least 259",
    ]


def test_a_folder_in_place_of_a_file_is_told(files: dict, tmp_path: Path) -> None:
    (fault,) = faults_of(config_with(put("data", files | {"comparisons": str(tmp_path)})))
    assert fault.startswith(f"data.comparisons: {str(tmp_path)!r} is a folder; give the path")


# YAML and the command line.


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),  # text in YAML 1.1, which wants a dot
        ("1E-3", 1e-3),
        ("1.0e-3", 1e-3),
        (".001", 1e-3),
        ("'0.001'", 1e-3),
        ("5", 5.0),
    ],
)
def test_a_number_may_be_written_as_text(written: str, value: float) -> None:
    learning_rate = yaml.safe_load(f"learning_rate: {written}")["learning_rate"]
    study = read_study(config_with(put("gold_rm/learning_rate", learning_rate)))
    assert study.gold_rm.learning_rate == value


@pytest.mark.parametrize("written", ["60000", "'60000'", "60_000", "6.0e+4", "60000.0"])
def test_a_whole_number_may_be_written_as_text_or_with_a_point(written: str) -> None:
    number = yaml.safe_load(written)
    study = read_study(config_with(put("gold_rm/num_comparisons", number)))
    assert study.gold_rm.num_comparisons == 60_000
    assert isinstance(study.gold_rm.num_comparisons, int)


@pytest.mark.parametrize("written", ["no", "off", "false", "'no'", "'False'", "0"])
def test_a_sweep_is_disabled_in_any_way_yaml_says_no(written: str) -> None:
    study = read_study(config_with(put(f"{SWEEP}/enabled", yaml.safe_load(written))))
    assert not study.grid.sweeps["rm_data"].enabled


def test_a_size_that_yaml_reads_as_no_is_told() -> None:
    sizes = yaml.safe_load("{no: {hidden_size: 4, num_layers: 1, num_heads: 1, learning_rate: 1}}")
    (fault, *_) = faults_of(config_with(put("proxy_sizes", sizes)))
    assert fault == (
        "proxy_sizes: YAML reads this name as False, which is not text; put it in quotes"
    )
