"""Nothing that a study reads is run: sources, checkpoints, configs and paths."""

import ast
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from overopt.errors import UserError
from overopt.study.config_file import main as check_config_files
from overopt.study.config_file import read_config_file
from overopt.study.study import read_study
from workflow_example import ROOT, copy_of_repository, snakemake

PYTHON_SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")])
RULES = sorted([ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")])


# The sources: no way to load a pickle, to evaluate text, to run code of a checkpoint.

PICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EVALUATING = {"eval", "exec", "compile", "__import__"}
# By the last name of what is called, whatever module it is of.
UNSAFE = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "system", "popen", "getoutput"}


def faults_of_source(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            yield from (name for name in modules if name.split(".")[0] in PICKLING)
        elif isinstance(node, ast.Call):
            yield from faults_of_call(node)


def faults_of_call(call: ast.Call) -> Iterator[str]:
    called = ast.unparse(call.func)
    last = called.rsplit(".", 1)[-1]
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if called in EVALUATING or last in UNSAFE:
        yield called
    if called in ("torch.load", "torch.jit.load", "torch.hub.load"):
        yield called
    if called == "yaml.load" and "Safe" not in keywords.get("Loader", ""):
        yield called
    if keywords.get("shell", "False") != "False":
        yield f"{called} with a shell"
    if keywords.get("allow_pickle", "False") != "False":
        yield f"{called} that allows pickles"
    if keywords.get("trust_remote_code", "False") != "False":
        yield f"{called} that trusts code"
    if last == "from_pretrained" and keywords.get("local_files_only") != "True":
        yield f"{called} that may download"


@pytest.mark.parametrize("path", PYTHON_SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_loads_a_pickle_or_evaluates_text(path: Path) -> None:
    assert list(faults_of_source(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "frame.to_pickle(path)",
        "yaml.load(text, Loader=yaml.FullLoader)",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "os.system(command)",
        "subprocess.run(command, shell=True)",
        "subprocess.run(command, shell=is_text)",
        "AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=True)",
        "AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=trusted)",
        "AutoTokenizer.from_pretrained(path)",
    ],
)
def test_each_way_to_run_what_is_read_would_be_found(text: str) -> None:
    assert list(faults_of_source(text))


@pytest.mark.parametrize("path", RULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rules_quote_what_a_config_may_hold(path: Path) -> None:
    """Of a config, a command holds its settings and the paths of the user's own files."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\{params\.config\}|\{input\.\w+_files?\}|\{config\b", text)
    assert not re.search(r"\b(eval|exec|pickle|torch\.load|os\.system|shell\s*=)\b", text)
    # The one section of a config with free text in it stands in no other place than an input.
    uses = re.findall(r"study\.data\.\w+", text)
    inputs = r"\w+_files=local_files\(study\.data\.\w+\),"
    assert len(uses) == len(re.findall(inputs, text))


# Checkpoints.

EVIL_MODULE = """
import pathlib
pathlib.Path({marker!r}).touch()
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
class Config(GPT2Config): pass
class Model(GPT2LMHeadModel): pass
class Tokenizer(PreTrainedTokenizerFast): pass
"""
AUTO_MAP = {
    "AutoConfig": "evil.Config",
    "AutoModelForCausalLM": "evil.Model",
    "AutoModelForSequenceClassification": "evil.Model",
    "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"],
}
Edit = Callable[[Path, Path], None]


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._marker),)


def put_pickle(name: str) -> Edit:
    def edit(folder: Path, marker: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(Evil(marker)))

    return edit


def remove(name: str) -> Edit:
    return lambda folder, marker: (folder / name).unlink()


def put_settings(name: str, **settings: object) -> Edit:
    def edit(folder: Path, marker: Path) -> None:
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | settings))

    return edit


def put_text(name: str, text: str) -> Edit:
    return lambda folder, marker: (folder / name).write_text(text) and None


def put_module(folder: Path, marker: Path) -> None:
    (folder / "evil.py").write_text(EVIL_MODULE.format(marker=str(marker)))


def cut(name: str) -> Edit:
    def edit(folder: Path, marker: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-7])

    return edit


PICKLE = "pytorch_model.bin"
OWN_CODE = "auto_map"
OTHER = {"scale_attn_by_inverse_layer_idx": True}
"""transformers reads it then, not the project's own module."""
NEVER_READ = "a pickle can run code and is never read"
# What is done to a whole checkpoint, and what is said when it is read; None: it is read as before.
CHECKPOINTS: dict[str, tuple[list[Edit], str | None]] = {
    "a pickle beside the weights": ([put_pickle(PICKLE)], None),
    "a pickle in place of the weights": (
        [put_pickle(PICKLE), remove("model.safetensors")],
        NEVER_READ,
    ),
    "a pickle that is named weights": ([put_pickle("model.safetensors")], "give no model"),
    "an index that names a pickle": (
        [
            put_pickle(PICKLE),
            put_settings(
                "model.safetensors.index.json",
                metadata={},
                weight_map={"transformer.wte.weight": PICKLE},
            ),
        ],
        None,
    ),
    "settings that name a pickle": (
        [put_pickle(PICKLE), put_settings("config.json", transformers_weights=PICKLE)],
        None,
    ),
    "an adapter with a pickle": (
        [put_pickle("adapter_model.bin"), put_settings("adapter_config.json", peft_type="LORA")],
        "holds an adapter",
    ),
    "a pickled vocabulary": ([put_pickle("vocab.pkl"), put_pickle("tokenizer.model")], None),
    "code for the model": ([put_module, put_settings("config.json", auto_map=AUTO_MAP)], OWN_CODE),
    "code for the tokenizer": (
        [put_module, put_settings("tokenizer_config.json", auto_map=AUTO_MAP)],
        OWN_CODE,
    ),
    "code and trust in it": (
        [
            put_module,
            put_settings("config.json", auto_map=AUTO_MAP, trust_remote_code=True, model_type="x"),
            put_settings("tokenizer_config.json", trust_remote_code=True, tokenizer_class="T"),
        ],
        OWN_CODE,
    ),
    "a kernel from the network": (
        [put_settings("config.json", _attn_implementation="someone/kernel")],
        None,
    ),
    "code as an activation": (
        [put_settings("config.json", activation_function="__import__('os').system('true')")],
        "give no model",
    ),
    "code as a type": ([put_settings("config.json", dtype="__import__('os')")], None),
    "settings of another architecture": (
        [put_pickle(PICKLE), put_settings("config.json", **OTHER, transformers_weights=PICKLE)],
        "give no model",
    ),
    "code as a type in those": (
        [put_settings("config.json", **OTHER, dtype="__import__('os')")],
        "gives no model",
    ),
    "a template for chats": ([put_text("chat_template.jinja", "{{ cycler.__init__ }}")], None),
    "cut weights": ([cut("model.safetensors")], "give no model"),
    "no weights": ([put_text("model.safetensors", "")], "give no model"),
    "another shape": ([put_settings("config.json", n_embd=10**6)], "give no model"),
    "settings that are no JSON": ([put_text("config.json", "{")], "config.json: no JSON"),
    "settings that are a list": ([put_text("config.json", "[]")], "config.json: no JSON object"),
    "settings too deep": ([put_text("config.json", "[" * 100_000)], "config.json: no JSON"),
}


@pytest.fixture(scope="module")
def checkpoint(
    tmp_path_factory: pytest.TempPathFactory,
    build_tiny_policy: Callable[..., Any],
    tokenizer_dir: Path,
) -> Path:
    """Folder of a whole policy with its tokenizer."""
    from overopt.models.loading import save_model
    from overopt.models.tokens import copy_tokenizer

    folder = tmp_path_factory.mktemp("checkpoint")
    save_model(build_tiny_policy(), folder)
    copy_tokenizer(tokenizer_dir, folder)
    return folder


def read_checkpoint(folder: Path) -> None:
    from overopt.models.loading import load_policy
    from overopt.models.tokens import load_tokenizer

    load_policy(folder)
    load_tokenizer(folder)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_nothing_in_a_checkpoint_is_run(name: str, checkpoint: Path, tmp_path: Path) -> None:
    folder, marker = tmp_path / "checkpoint", tmp_path / "it-was-run"
    shutil.copytree(checkpoint, folder)
    edits, words = CHECKPOINTS[name]
    for edit in edits:
        edit(folder, marker)
    if words is None:
        read_checkpoint(folder)
    else:
        with pytest.raises(UserError) as caught:
            read_checkpoint(folder)
        message = str(caught.value)
        assert words in message
        assert str(folder) in message
        assert "\n" not in message
        assert len(message) < len(str(folder)) + 400
        assert "trust_remote_code" not in message, "no advice to trust it"
    assert not marker.exists()


def test_the_evil_pickle_and_the_evil_module_are_evil(tmp_path: Path) -> None:
    for edit, run in ((put_pickle("evil.py"), pickle.loads), (put_module, exec)):
        marker = tmp_path / "it-was-run"
        edit(tmp_path, marker)
        run((tmp_path / "evil.py").read_bytes())
        assert marker.exists()
        marker.rmdir() if marker.is_dir() else marker.unlink()


def test_a_policy_is_no_reward_model(checkpoint: Path) -> None:
    """The library would draw the score head at random, without a word."""
    from overopt.models.loading import load_reward_model

    with pytest.raises(UserError, match=r"it lacks score\.weight"):
        load_reward_model(checkpoint)


@pytest.mark.slow
def test_a_job_that_is_given_a_pickle_says_so_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    import pandas as pd

    folder, marker = tmp_path / "policy", tmp_path / "it-was-run"
    shutil.copytree(checkpoint, folder)
    put_pickle("model.safetensors")(folder, marker)
    prompts = tmp_path / "prompts.parquet"
    pd.DataFrame({"prompt": ["a b"], "split": ["evaluation"]}).to_parquet(prompts)
    config = {"num_prompts": 1, "num_responses": 2, "seed": 0}
    text = {"max_prompt_tokens": 4, "max_response_tokens": 4}
    command = [sys.executable, str(ROOT / "workflow/scripts/pool.py")]
    command += ["--config", json.dumps(config | {"text": text}), "--prompts", str(prompts)]
    command += ["--policy", str(folder / "model.safetensors"), "--pool", str(tmp_path / "pool")]
    done = subprocess.run(
        [*command, "--record", str(tmp_path / "record.json")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: .*policy: config\.json and .* give no model \(.*\)\.\n", done.stderr
    )
    assert not marker.exists() and not (tmp_path / "pool").exists()


# A config: settings only.


def load(name: str = "test.yaml") -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8"))


def faults_of(config: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_study(config)
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize(
    "section", ["", "data", "policies/small", "gold_rm", "ppo", "grid", "text"]
)
@pytest.mark.parametrize("key", ["trust_remote_code", "use_safetensors", "pathvars"])
def test_no_setting_makes_code_of_a_checkpoint_run(section: str, key: str) -> None:
    config = load()
    place = config
    for step in filter(None, section.split("/")):
        place = place[step]
    place[key] = True
    (fault,) = faults_of(config)
    assert fault.startswith(f"{'.'.join([*filter(None, section.split('/')), key])}: unknown key")


BAD_NAMES = [
    *("..", ".", "../x", "x/..", "/etc", "a/b", "a\\b", "", " ", "a b", "~", "-x", ".hidden"),
    *(
        "a\0b",
        "a\nb",
        "a\tb",
        "a\x1b[2J",
        "\u202eab",
        "e\u0301",
        "{x}",
        "<x>",
        "$(x)",
        "`x`",
        "a;b",
    ),
    *("*", "a" * 300, "CON.", "con:"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("section", ["name", "policies", "proxy_sizes", "grid/sweeps"])
def test_no_name_leads_out_of_the_results_folder(
    section: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of the study and of sizes become folders, names of sweeps become targets."""
    monkeypatch.chdir(tmp_path)
    config = load()
    if section == "name":
        config["name"] = name
    else:
        place = config
        for step in section.split("/"):
            place = place[step]
        place[name] = place[next(iter(place))]
    faults = faults_of(config)
    assert len(faults) == 1
    assert faults[0].startswith(section.replace("/", "."))
    assert "; expected " in faults[0]
    assert faults[0].isprintable() and len(faults[0]) < 250
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 64, "2025-01-31", "X_1"])
def test_usual_names_become_folders(name: str) -> None:
    read_study(load() | {"name": name})


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{x}.jsonl", "holds { and }, which Snakemake would replace: rename it"),
        ("<results>.jsonl", "holds <, which Snakemake would replace: rename it"),
        ("a\nb.jsonl", "holds a character that cannot be printed: rename it"),
        ("a\0b.jsonl", "holds a character that cannot be printed: rename it"),
        ("\ud800.jsonl", "holds a character that cannot be printed: rename it"),
        ("x" * 4000, "does not exist"),
        ("a.jsonl/b", "does not exist"),
        ("/dev/zero", "is no regular file"),
        ("https://example.org/a.jsonl", "does not exist"),
        ("", "does not exist"),
    ],
)
def test_a_path_that_is_no_plain_file_is_refused(
    path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").touch()
    data = {"source": "files", "vocabulary_size": 300, "comparisons": "a.jsonl"}
    (fault,) = faults_of(load() | {"data": data | {"demonstrations": path}})
    assert fault.startswith("data.demonstrations: ")
    assert words in fault
    assert fault.isprintable()


HOSTILE = 'it\'s $(touch pwned) `touch pwned` "a"; touch pwned & b | c > d #\\ é -*.jsonl'


@pytest.mark.slow
def test_a_shell_never_reads_a_path_of_the_config(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path / "study")
    rng = np.random.default_rng(0)
    words = "the a river bread lamp old new finds".split()
    prompts = [f"what is {' '.join(rng.choice(words, 4))} {i}?" for i in range(60)]
    rows = [{"prompt": p, "response": "bread", "chosen": "old", "rejected": "new"} for p in prompts]
    (folder / HOSTILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load("human.yaml")
    config["data"] |= {"demonstrations": HOSTILE, "comparisons": HOSTILE}
    (folder / "hostile.yaml").write_text(yaml.safe_dump(config))
    results = Path("results/human/data")
    targets = [str(results / name) for name in ("prompts.parquet", "human_comparisons.parquet")]
    snakemake(folder, "--cores", "1", *targets, config="hostile.yaml")
    assert all((folder / target).is_file() for target in targets)
    assert not list(tmp_path.rglob("pwned*"))
    record = json.loads((folder / results / "demonstrations_record.json").read_text())
    assert HOSTILE in record["inputs"]


def deep(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


def repeated(levels: int) -> object:
    """10^levels values in a few lists, as aliases of YAML make them."""
    value: object = 0
    for _ in range(levels):
        value = [value] * 10
    return value


SWEEP = load()["grid"]["sweeps"]["rm_size"]


EXCESS: dict[str, tuple[str, object, str]] = {
    "a seed that no array holds": (
        "seed",
        2**63,
        f"seed: found {2**63}; expected at most {2**63 - 1}",
    ),
    "such a seed as text": (
        "seed",
        "9" * 30,
        f"seed: found {'9' * 30}; expected at most {2**63 - 1}",
    ),
    "a seed that Python cannot write": (
        "seed",
        16**5000,
        "seed: a number of about 6,020 digits; write less; nothing was run",
    ),
    "a long name": ("name", "x" * 5000, "name: a text of 5,000 characters; expected at most 4,096"),
    "deep nesting": ("data", deep(5000), "data: nested deeper than 16 levels"),
    "repeated aliases": (
        "ppo",
        repeated(12),
        "ppo: more than 10,000 values; has it an alias that repeats others?",
    ),
    "infinity in digits": (
        "ppo",
        load()["ppo"] | {"stop_kl": "1e999"},
        "ppo.stop_kl: found '1e999'; expected a number that is finite",
    ),
    "a learning rate that rounds to zero": (
        "proxy_rm",
        load()["proxy_rm"] | {"learning_rate_factor": 1e-323},
        "it gives a learning rate of 0; make it a positive number",
    ),
    "too many cells": (
        "grid",
        {"seeds": list(range(1000)), "sweeps": {"a": SWEEP | {"num_epochs": [1] * 100}}},
        "grid.sweeps.a: 600,000 cells with all seeds, more than 100,000; shorten its lists",
    ),
    "a key that clears the screen": ("x\x1b[2J\ny", 1, "  - x\\x1b[2J\\ny: unknown key"),
}


@pytest.mark.parametrize("name", EXCESS)
def test_excess_is_refused_before_it_costs_anything(name: str) -> None:
    section, content, words = EXCESS[name]
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        read_study(load() | {section: content})
    assert words in str(caught.value)
    assert time.monotonic() - start < 5


# The text of a config.

TEXT = (ROOT / "config" / "test.yaml").read_text(encoding="utf-8")


def bomb(opening: str, closing: str, entry: str) -> str:
    """Ten lines that stand for 10^10 values."""
    names = "abcdefghij"
    lines = [f"a: &a {opening}{closing}"]
    for name, before in zip(names[1:], names, strict=False):
        entries = ", ".join(entry.format(number=i, name=before) for i in range(10))
        lines.append(f"{name}: &{name} {opening}{entries}{closing}")
    return "\n".join(lines)


TEXT_FAULTS = {
    "a tag that names a function": (
        TEXT.replace("name: test", "name: !!python/name:os.system"),
        "line 6: the tag '!!python/name:os.system': a config holds plain values only; remove it",
    ),
    "a tag that calls a function": (
        TEXT + "x: !!python/object/apply:os.mkdir [pwned]\n",
        "the tag '!!python/object/apply:os.mkdir'",
    ),
    "a tag of another's": (TEXT + "x: !secret y\n", "the tag '!secret'"),
    "a set": (TEXT.replace("seeds: [0]", "seeds: !!set {0, 1}"), "the tag '!!set'"),
    "a template": (
        "__use_yte__: true\n" + TEXT + "?open('pwned', 'w'): 1\n",
        "line 1: __use_yte__ makes Snakemake evaluate",
    ),
    "a size that comes twice": (
        TEXT.replace("\n  s2: {", "\n  s1: {", 1),
        "the key 's1' comes twice (first on line 32), and only the last would count",
    ),
    "a section that comes twice": (
        TEXT + "seed: 1\n",
        "the key 'seed' comes twice (first on line 7)",
    ),
    "aliases that repeat lists": (TEXT + bomb("[", "]", "*{name}"), "more than 10,000 values"),
    "aliases that repeat sections": (
        TEXT + bomb("{", "}", "k{number}: *{name}"),
        "more than 10,000 values",
    ),
    "aliases that are merged": (
        TEXT + bomb("{", "}", "k{number}: {{<<: *{name}}}"),
        "more than 10,000 values",
    ),
    "an alias of itself": (TEXT + "x: &x [*x]\n", "more than 10,000 values"),
    "deep nesting": (TEXT + "x: " + "[" * 50_000, "nested too deeply to be read"),
    "deep nesting by indents": (
        TEXT + "".join(f"{' ' * i}x:\n" for i in range(500)),
        "nested too deeply to be read",
    ),
    "deep JSON": ("[" * 50_000, "nested too deeply to be read"),
    "JSON with a key twice": ('{"seed": 0, "seed": 1}', "the key 'seed' comes twice"),
    "a tab": (TEXT + "\tx: 1\n", "no YAML (found character"),
    "two documents": (TEXT + "---\n" + TEXT, "no YAML (but found another document)"),
    "a list that does not end": (TEXT + "x: [1\n", "no YAML (expected ',' or ']'"),
    "a number without end": (TEXT.replace("seed: 0", f"seed: {'9' * 5000}"), "no YAML (Exceeds"),
    "no such date": (TEXT + "x: 2024-99-99\n", "2024-99-99 is a date to YAML; put it in quotes"),
    "a control character": (TEXT + "x: \x01\n", "no YAML (unacceptable character"),
    "a megabyte": (TEXT + "#" * 2**20, "larger than 256 KiB; is it a config?"),
}


@pytest.mark.parametrize("name", TEXT_FAULTS)
def test_a_config_is_plain_data_with_each_key_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    text, words = TEXT_FAULTS[name]
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_config_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}")
    assert words in message
    assert all(line.isprintable() for line in message.splitlines())
    assert [child.name for child in tmp_path.iterdir()] == ["study.yaml"], "nothing was run"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfen\0a\0m\0e\0", "line 1: not UTF-8"),
        (b"name: a\nx: \xe9\n", "line 2: not UTF-8"),
        (bytes(range(256)), "not UTF-8"),
    ],
)
def test_a_config_in_another_encoding_is_told(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        read_config_file(path)


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda p: p.name)
def test_our_own_configs_are_plain_data(path: Path) -> None:
    assert read_config_file(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_config_in_json_or_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    for name, text in (("a.json", json.dumps(load(), indent="\t")), ("b.yaml", "\ufeff" + TEXT)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read_config_file(tmp_path / name) == load()


def test_configs_are_checked_without_snakemake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, unsafe = (tmp_path / f"{name}.yaml" for name in ("good", "bad", "unsafe"))
    good.write_text(TEXT)
    bad.write_text(TEXT.replace("max_n: 64", "max_n: 1e9"))
    unsafe.write_text("__use_yte__: true\n" + TEXT)
    assert check_config_files([str(good)]) == 0
    assert check_config_files([str(good), str(bad), str(unsafe), str(tmp_path / "no")]) == 1
    told = capsys.readouterr()
    assert told.out == f"{good}: no faults\n" * 2
    assert f"{bad}: the config has 1 fault; nothing was run:\n  - best_of_n.max_n" in told.err
    assert f"{unsafe}:\n  line 1: __use_yte__" in told.err
    assert f"{tmp_path / 'no'}: cannot be read (No such file or directory)" in told.err
