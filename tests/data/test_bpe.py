"""The byte-level BPE tokenizer: lossless, deterministic, safe, an ordinary checkpoint."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from overopt.data.bpe import train_bpe_tokenizer
from overopt.errors import UserError
from overopt.models.tokens import encode_texts

CORPUS = [
    f"Who wrote book {i}? The author of book {i} is <eos> Ada, or perhaps Zo\u00eb.\n" * 3
    for i in range(200)
]
# Trains in another process; prints the digest of each saved file.
TRAIN_AND_DIGEST = """
import hashlib, pathlib, sys
from overopt.data.bpe import train_bpe_tokenizer
folder = pathlib.Path(sys.argv[1])
train_bpe_tokenizer(sys.stdin.read().split("\\0"), 400).save_pretrained(folder)
for path in sorted(folder.iterdir()):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(CORPUS, 400)


def random_texts(num_texts: int) -> list[str]:
    """Texts of random code points of all planes, without the surrogates."""
    generator = np.random.default_rng(0)
    texts = []
    for index in range(num_texts):
        limit = (0x80, 0x800, 0x3000, 0x110000)[index % 4]
        points = generator.integers(0, limit, size=generator.integers(1, 60))
        texts.append("".join(chr(p) for p in points if not 0xD800 <= p < 0xE000))
    return texts


def test_special_tokens_have_the_first_ids(tokenizer):
    ids = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert ids == (0, 1, 2)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<pad>", "<bos>", "<eos>"]
    assert len(tokenizer) == 400


def test_any_text_decodes_to_itself(tokenizer):
    hard = [
        "",
        " ",
        "  a  b\t\n\n",
        "a .",
        "do n't",
        "\0\x1b\r\n",
        "\ufeff\u2028",
        "e\u0301 \u00e9",
    ]
    texts = [*hard, "\U0001f468\u200d\U0001f469\u200d\U0001f467", *CORPUS[:5], *random_texts(400)]
    for text, ids in zip(texts, encode_texts(tokenizer, texts), strict=True):
        assert tokenizer.decode(ids) == text


def test_text_becomes_shorter(tokenizer):
    (ids,) = encode_texts(tokenizer, CORPUS[:1])
    assert len(ids) < len(CORPUS[0]) / 3


def test_a_special_token_in_the_training_text_does_not_become_a_merge():
    trained = train_bpe_tokenizer(["<eos>", "a<eos>b", "<eos><eos>"] * 1_000, 300)
    for ids in encode_texts(trained, ["<eos>", "x<eos>", "<eos><eos>"]):
        assert not {0, 1, 2} & set(ids)


def test_training_is_the_same_in_every_process_and_order(tmp_path):
    digests = set()
    for seed in ("0", "1", "random"):
        folder = tmp_path / seed
        texts = CORPUS if seed == "0" else CORPUS[::-1]
        result = subprocess.run(
            [sys.executable, "-c", TRAIN_AND_DIGEST, str(folder)],
            input="\0".join(texts),
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(result.stdout)
    here = tmp_path / "here"
    train_bpe_tokenizer(iter(CORPUS), 400).save_pretrained(here)
    digest = hashlib.sha256((here / "tokenizer.json").read_bytes()).hexdigest()
    assert len(digests) == 1
    assert f"tokenizer.json {digest}" in digests.pop()


def test_transformers_loads_it_as_it_was(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)
    texts = [*CORPUS[:5], *random_texts(40)]
    assert encode_texts(loaded, texts) == encode_texts(tokenizer, texts)
    assert loaded.decode(encode_texts(loaded, ["a . b"])[0]) == "a . b"
    assert loaded.backend_tokenizer.truncation is None
    assert loaded.backend_tokenizer.padding is None
    assert loaded("Who?")["input_ids"] == encode_texts(tokenizer, ["Who?"])[0]


def test_the_smallest_vocabulary_is_the_bytes():
    assert len(train_bpe_tokenizer(CORPUS, 259)) == 259
    with pytest.raises(UserError, match=r"data\.vocabulary_size is 258, expected at least 259"):
        train_bpe_tokenizer(CORPUS, 258)


def test_a_small_text_gives_fewer_tokens_than_asked_for():
    assert len(train_bpe_tokenizer(["abc"], 5_000)) == 261


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_text_is_refused(texts):
    with pytest.raises(UserError, match="no text to train the tokenizer on"):
        train_bpe_tokenizer(texts, 400)
