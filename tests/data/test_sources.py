"""The table of data sources is whole, and the hidden utility is one function of token ids."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from overopt.config.world import PLAIN_WORLD
from overopt.data.hidden_utility import hidden_utilities
from overopt.data.sources import SOURCES, DataConfig
from overopt.data.world.prompts import all_prompts
from overopt.data.world.tokenizer import build_tokenizer
from overopt.data.world.utility import utilities
from overopt.errors import UserError
from overopt.models.tokens import encode_prompts, load_tokenizer

REPO = Path(__file__).parents[2]
MODELS = get_args(get_args(DataConfig)[0])


def test_every_config_model_of_section_data_is_one_source_and_has_its_name():
    assert [source.config for source in SOURCES.values()] == list(MODELS)
    names: list[Any] = [get_args(model.model_fields["source"].annotation)[0] for model in MODELS]
    assert names == list(SOURCES) == [source.name for source in SOURCES.values()]


def test_rule_files_of_the_sources_exist_and_no_other_file_asks_which_source_it_is():
    for source in SOURCES.values():
        for name in source.rule_files:
            assert (REPO / "workflow" / "rules" / f"{name}.smk").is_file()
    asked = [
        str(path.relative_to(REPO))
        for path in [*(REPO / "src").rglob("*.py"), *(REPO / "workflow").rglob("*.smk")]
        if any(f"isinstance(study.data, {m.__name__}" in path.read_text() for m in MODELS)
    ]
    assert not asked


@pytest.fixture
def tokenizer_dir(tmp_path: Path) -> Path:
    build_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def test_the_hidden_utility_of_token_ids_is_that_of_their_texts(tokenizer_dir: Path):
    tokenizer = load_tokenizer(tokenizer_dir)
    prompts = [prompt.text for prompt in all_prompts()[:2]]
    responses = ["the the the", ""]
    ids = tokenizer.backend_tokenizer.token_to_id
    eos, the = ids("<eos>"), ids("the")
    # Nothing counts from the end-of-text token on, and special tokens are no words.
    rows = [[the, the, the, eos, eos, the], [eos]]
    found = hidden_utilities(tokenizer_dir, PLAIN_WORLD)(
        encode_prompts(tokenizer, prompts, 10), rows
    )
    np.testing.assert_array_equal(found, utilities(prompts, responses))
    assert found[0] != found[1]


def test_words_of_another_world_have_no_hidden_utility(tokenizer_dir: Path):
    tokenizer = load_tokenizer(tokenizer_dir)
    word = encode_prompts(tokenizer, ["write"], 10)[0]
    with pytest.raises(UserError):
        hidden_utilities(tokenizer_dir, PLAIN_WORLD)([word], [word])
