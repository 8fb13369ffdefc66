"""Sequence KL of two checkpoints on saved completions, against enumeration and plain loops."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from overopt.cli import app
from overopt.errors import UserError
from overopt.runs.kl import measure_kl

WORDS = ["<eos>", "a", "b", "c"]


def save(folder, kind: str, seed: int, words: list[str] = WORDS):
    torch.manual_seed(seed)
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "vocab_size": len(words)}
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=16, **ids))
    else:
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        shape |= {"intermediate_size": 16, "max_position_embeddings": 16}
        model = LlamaForCausalLM(LlamaConfig(**shape, **ids))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    model.save_pretrained(folder)
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<eos>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>").save_pretrained(folder)
    return model.eval()


def logs(model, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_each_response_equals_a_plain_loop_whatever_its_batch(tmp_path, kind):
    ours, theirs = save(tmp_path / "one", kind, 0), save(tmp_path / "two", kind, 1)
    rows = [{"prompt": "a b", "response": r} for r in ("c", "a a b", "b c a c")]
    rows += [{"prompt": "c", "response": "b b"}]
    path = write(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "out.jsonl"
    found = measure_kl(str(tmp_path / "one"), str(tmp_path / "two"), path, out=out, batch_size=3)
    expected = []
    for row in rows:
        prompt = [WORDS.index(w) for w in row["prompt"].split()]
        response = [*(WORDS.index(w) for w in row["response"].split()), 0]
        tables = [logs(model, prompt + response) for model in (ours, theirs)]
        exact = sampled = 0.0
        for i, token in enumerate(response):
            p, q = (table[len(prompt) + i - 1] for table in tables)
            exact += float((p.exp() * (p - q)).sum())
            sampled += float(p[token] - q[token])
        expected.append((exact, sampled))
    written = [json.loads(line) for line in out.read_text().splitlines()]
    np.testing.assert_allclose(
        [(row["kl"], row["kl_sampled"]) for row in written], expected, rtol=1e-4, atol=1e-5
    )
    assert found.exact == pytest.approx(np.mean([e for e, _ in expected]), rel=1e-4)
    assert (found.num_responses, found.num_prompts) == (4, 2)


def test_both_estimates_have_the_mean_of_the_enumerated_kl(tmp_path):
    """Over all responses of one token and their end, weighted as the policy draws them."""
    ours, theirs = save(tmp_path / "one", "gpt2", 0), save(tmp_path / "two", "gpt2", 1)
    prompt = [1, 2]
    p, q = (logs(model, prompt)[-1] for model in (ours, theirs))
    first = float((p.exp() * (p - q)).sum())
    path = write(
        tmp_path / "rows.jsonl", [{"prompt": "a b", "response": w} for w in ("a", "b", "c")]
    )
    out = tmp_path / "out.jsonl"
    measure_kl(str(tmp_path / "one"), str(tmp_path / "two"), path, out=out, ends_with_eos=False)
    written = [json.loads(line) for line in out.read_text().splitlines()]
    for row in written:
        assert row["kl"] == pytest.approx(first, rel=1e-4)
    mean = sum(float(p[1 + i].exp()) * row["kl_sampled"] for i, row in enumerate(written))
    mean += float(p[0].exp() * (p[0] - q[0]))  # the response that ends at once
    assert mean == pytest.approx(first, rel=1e-4)


def test_a_policy_is_at_no_distance_from_itself(tmp_path):
    save(tmp_path / "one", "gpt2", 0)
    path = write(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b c"}] * 2)
    arguments = ["kl", str(tmp_path / "one"), str(tmp_path / "one"), "--completions", str(path)]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["exact"] == 0


def test_other_vocabularies_are_refused(tmp_path):
    save(tmp_path / "one", "gpt2", 0)
    save(tmp_path / "two", "gpt2", 0, [*WORDS[:3], "z"])
    path = write(tmp_path / "rows.jsonl", [{"prompt": "a", "response": "b"}])
    with pytest.raises(UserError, match="different vocabularies"):
        measure_kl(str(tmp_path / "one"), str(tmp_path / "two"), path)
    with pytest.raises(UserError, match="cannot be read as a causal language model"):
        measure_kl(str(tmp_path / "none"), str(tmp_path / "two"), path)
