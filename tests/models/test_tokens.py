"""The one formatter: golden tokens, cuts, padding, and no special token out of a text."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from overopt.data.bpe import train_bpe_tokenizer
from overopt.errors import UserError
from overopt.models.tokenizer_files import FastTokenizer, read_fast_tokenizer
from overopt.models.tokens import (
    decode_prompts,
    decode_responses,
    encode_prompts,
    encode_responses,
    encode_texts,
    join,
    load_tokenizer,
    pad_right,
)

WORDS = ["<pad>", "<bos>", "<eos>", "why", "does", "ice", "float", "?", "it", "is", "light", "."]
INJECTIONS = ["<eos>", "a<eos>b", "<bos><pad> <eos>", " <eos> ", "<eos" + ">", "\n<pad>\n"]


def word_level(**special_tokens: str) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"} | special_tokens
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    return word_level()


@pytest.fixture(scope="module")
def bpe() -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(["Why does ice float? It is light. <eos> <eos>"] * 50, 280)


def test_golden_tokens_of_words(words):
    prompts = encode_prompts(words, ["why does ice float ?", "why ?"], 6)
    responses = encode_responses(words, ["it is light .", "light"], 5)
    assert prompts == [[1, 3, 4, 5, 6, 7], [1, 3, 7]]
    assert responses == [[8, 9, 10, 11, 2], [10, 2]]
    joined = join(prompts, responses)
    assert joined == [[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2], [1, 3, 7, 10, 2]]
    assert pad_right(joined, 0)[1].tolist() == [1, 3, 7, 10, 2, 0, 0, 0, 0, 0, 0]


def test_golden_tokens_of_bytes(bpe):
    untrained = train_bpe_tokenizer(["x"], 259)
    # Three special tokens, then the bytes in the order of their printable signs: "!" is the first.
    assert encode_prompts(untrained, ['!"#'], 4) == [[1, 3, 4, 5]]
    assert encode_responses(untrained, ["A "], 3) == [[35, 223, 2]]
    assert len(encode_texts(bpe, ["Why does ice"])[0]) < len("Why does ice")


def test_two_prompts_give_different_inputs(words, bpe):
    for tokenizer, prompts in ((words, ["why ice ?", "why float ?"]), (bpe, ["Why?", "Why ?"])):
        first, second = encode_prompts(tokenizer, prompts, 20)
        assert first != second


def test_a_cut_response_has_no_eos_and_a_full_one_has(words):
    cut, full, longer = (encode_responses(words, ["it is light"], size)[0] for size in (3, 4, 9))
    assert cut == [8, 9, 10]
    assert full == longer == [8, 9, 10, 2]


def test_a_prompt_at_the_limit_passes_and_a_longer_one_is_named(words):
    assert len(encode_prompts(words, ["why does it"], 4)[0]) == 4
    prompts = ["why ?", "why does it float ?", "does it float ?"]
    with pytest.raises(UserError) as caught:
        encode_prompts(words, prompts, 4)
    message = str(caught.value)
    assert "text.max_prompt_tokens is 4" in message
    assert "'why does it float ?' has 6 tokens" in message
    assert "2 of 3 prompts are too long, the longest has 6" in message
    with pytest.raises(UserError) as caught:
        encode_prompts(words, ["why " * 1_000], 4)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_that_spells_a_special_token_stays_text(bpe, text):
    (ids,) = encode_texts(bpe, [text])
    assert not {0, 1, 2} & set(ids)
    assert decode_responses(bpe, [ids]) == [text]
    assert encode_responses(bpe, [text], 100) == [[*ids, 2]]
    # The danger is real: the library itself reads the text as the token.
    assert {0, 1, 2} & set(bpe(text)["input_ids"])


def test_a_word_level_tokenizer_refuses_what_it_cannot_spell(words):
    with pytest.raises(UserError, match="'it is <eos> light' spells a special token"):
        encode_texts(words, ["it is", "it is <eos> light"])
    with pytest.raises(UserError, match="cannot encode the text 'it is heavy'"):
        encode_texts(words, ["it is", "it is heavy"])


def test_a_wrong_argument_is_not_reported_as_the_users_mistake(words):
    with pytest.raises(TypeError):
        encode_texts(words, [3])  # pyright: ignore[reportArgumentType]


def test_encoding_ignores_and_keeps_the_state_of_the_tokenizer(bpe):
    texts = ["Why does ice float?", "<eos> ice", ""]
    expected = [encode_texts(bpe, [text])[0] for text in texts]
    bpe(texts, padding=True, truncation=True, max_length=4)
    assert encode_texts(bpe, texts) == expected
    assert bpe.backend_tokenizer.encode("<eos>").ids == [2]
    assert expected[2] == []
    assert encode_texts(bpe, []) == []


def test_decoding_drops_specials_and_all_after_eos(words):
    padded = np.array([[8, 9, 10, 11, 2, 0], [1, 8, 0, 9, 2, 10], [2, 0, 0, 0, 0, 0]])
    assert decode_responses(words, padded) == ["it is light .", "it is", ""]
    assert decode_responses(words, [[8, 9], []]) == ["it is", ""]
    assert decode_responses(words, []) == []


def test_decoding_inverts_encoding(words, bpe):
    texts = ["it is light .", "ice", "is it ? it is ."]
    assert decode_responses(words, encode_responses(words, texts, 20)) == texts
    texts = [" It is  light . \n", "\u00e9\u2028\U0001f600", "don 't"]
    assert decode_responses(bpe, encode_responses(bpe, texts, 60)) == texts


def test_pad_right_by_hand():
    padded = pad_right([[5, 6], [7], []], 9)
    assert padded.dtype == np.int64
    assert padded.tolist() == [[5, 6], [7, 9], [9, 9]]
    assert pad_right([[5]], 0, width=3).tolist() == [[5, 0, 0]]
    assert pad_right([], 0).shape == (0, 0)
    assert pad_right([], 0, width=3).shape == (0, 3)
    with pytest.raises(ValueError, match="has 2 tokens, the width is 1"):
        pad_right([[1, 2]], 0, width=1)


def test_join_wants_one_response_a_prompt():
    assert join([[1, 3], [1]], [[4, 2], []]) == [[1, 3, 4, 2], [1]]
    with pytest.raises(ValueError, match="shorter"):
        join([[1], [1]], [[2]])


def test_a_saved_tokenizer_is_loaded_and_encodes_the_same(tmp_path, words, bpe):
    for tokenizer, texts in ((words, ["it is light ."]), (bpe, ["It is <eos> light."])):
        tokenizer.save_pretrained(tmp_path)
        loaded = load_tokenizer(tmp_path)
        assert encode_responses(loaded, texts, 50) == encode_responses(tokenizer, texts, 50)


def test_a_tokenizer_is_read_as_transformers_reads_it(tmp_path, words, bpe):
    texts = ["it is light .", "why does ice float ?"]
    assert {type(t) for t in (words, bpe)} == {PreTrainedTokenizerFast}
    for theirs in (words, bpe, word_level(bos_token=None)):
        theirs.save_pretrained(tmp_path)
        plain = load_tokenizer(tmp_path)
        assert type(plain) is FastTokenizer
        assert len(plain) == len(theirs)
        assert set(plain.all_special_ids) == set(theirs.all_special_ids)
        for name in ("pad_token", "bos_token", "eos_token"):
            assert getattr(plain, name) == getattr(theirs, name)
            assert getattr(plain, f"{name}_id") == getattr(theirs, f"{name}_id")
        ids = encode_responses(plain, texts, 50)
        assert ids == encode_responses(theirs, texts, 50)
        invalid = [[*range(3, 12)], [2, 2, 0, 5], []]
        for rows in (ids, invalid):
            assert decode_prompts(plain, rows) == decode_prompts(theirs, rows)
            assert decode_responses(plain, rows) == decode_responses(theirs, rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"tokenizer_class": "LlamaTokenizerFast"},
        {"unk_token": "why"},
        {"extra_special_tokens": ["light"]},
        {"add_prefix_space": True},
        {"eos_token": {"content": "<eos>", "lstrip": True}},
    ],
)
def test_a_tokenizer_that_says_more_is_read_by_transformers(tmp_path, words, changed):
    words.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    assert read_fast_tokenizer(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words_expected"),
    [
        ({"pad_token": "<eos>"}, ["pad '<eos>'", "pad token of its own"]),
        ({"pad_token": "<bos>"}, ["pad '<bos>'", "pad token of its own"]),
        ({"pad_token": None}, ["pad None", "Expected pad and eos"]),
        ({"eos_token": None}, ["eos None", "Expected pad and eos"]),
    ],
)
def test_unusable_special_tokens_are_refused(tmp_path, words, change, words_expected):
    words.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError) as caught:
        load_tokenizer(tmp_path)
    assert all(word in str(caught.value) for word in [str(tmp_path), *words_expected])


def test_a_prompt_begins_as_the_tokenizer_can(tmp_path):
    """Pretrained tokenizers begin a text with the token that ends one, or with none."""
    for start, expected in (("<bos>", [1, 3]), ("<eos>", [2, 3]), (None, [3])):
        word_level(bos_token=start).save_pretrained(tmp_path)
        tokenizer = load_tokenizer(tmp_path)
        assert encode_prompts(tokenizer, ["why"], 4) == [expected]
        assert decode_prompts(tokenizer, [expected]) == ["why"]
    with pytest.raises(UserError, match="no token to begin with"):
        encode_prompts(tokenizer, [""], 4)


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, content):
    folder = tmp_path / "checkpoint"
    with pytest.raises(UserError, match="no such folder"):
        load_tokenizer(folder)
    folder.mkdir()
    if content is not None:
        (folder / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match="holds no tokenizer"):
        load_tokenizer(Path(folder))


def test_importing_the_readers_of_text_loads_no_heavy_library():
    code = (
        "import sys, overopt.data.bpe, overopt.data.jsonl, overopt.data.splits\n"
        "import overopt.models.tokens\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'tokenizers'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
