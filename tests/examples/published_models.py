"""Checkpoints as others publish them, tiny and with random weights, each in hub layout.

A tokenizer is trained on the text given; Pythia's has the same special tokens as the real one: one
token that begins and ends texts, and one for padding that its settings do not name.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
)


def byte_level(
    texts: Sequence[str], size: int, specials: Sequence[str], **settings: object
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, as GPT-2's, Pythia's and Llama 3's are."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, special=True) for token in specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def pythia(folder: Path, texts: Sequence[str], *, hidden_size: int = 16, seed: int = 0) -> Path:
    """A causal language model of the Pythia family, in two shards of bf16 weights."""
    end = "<|endoftext|>"
    tokenizer = byte_level(texts, 300, [end, "<|padding|>"], bos_token=end, eos_token=end)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    settings = GPTNeoXConfig(
        vocab_size=320,  # more rows than tokens, as in the real ones
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=0,
        hidden_dropout=0.1,
    )
    model = AutoModelForCausalLM.from_config(settings).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="20KB")
    return folder


def chat_reward_model(folder: Path, texts: Sequence[str]) -> Path:
    """A reward model of the Llama family with a chat template and no padding token."""
    tokenizer = byte_level(
        texts, 290, ["<s>", "</s>"], bos_token="<s>", eos_token="</s>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    settings = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=1024,
        num_labels=1,
        bos_token_id=0,
        eos_token_id=1,
    )
    _save_classifier(settings, folder)
    return folder


def pair_reward_model(folder: Path, texts: Sequence[str]) -> Path:
    """A reward model of the BERT family, which reads prompt and response as a pair."""
    tokenizer = byte_level(
        texts,
        290,
        ["[PAD]", "[CLS]", "[SEP]"],
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        eos_token="[SEP]",
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    settings = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=1024,
        num_labels=1,
        pad_token_id=0,
    )
    _save_classifier(settings, folder)
    return folder


def _save_classifier(settings: LlamaConfig | BertConfig, folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_config(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
