"""A tiny classifier with random weights of each family of text that transformers has one for."""

import string
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import (
    TOKENIZER_MAPPING_NAMES,
    tokenizer_class_from_name,
)

FAMILIES = tuple(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TEXTS = ("the quick brown fox jumps over the lazy dog. " * 4, "why does ice float? it is light.")
_NUMBERS: dict[int, str] = {
    2: "n_layer n_layers num_layers num_hidden_layers encoder_layers decoder_layers "
    "num_decoder_layers num_attention_heads n_head n_heads num_heads encoder_attention_heads "
    "decoder_attention_heads num_key_value_heads num_experts_per_tok",
    4: "num_experts n_routed_experts num_local_experts",
    8: "head_dim d_kv d_head moe_intermediate_size shared_expert_intermediate_size q_lora_rank "
    "kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim linear_key_head_dim "
    "linear_value_head_dim",
    16: "hidden_size d_model n_embd emb_dim dim embedding_size",
    32: "intermediate_size d_ff ffn_dim encoder_ffn_dim decoder_ffn_dim d_inner hidden_dim dff "
    "n_inner",
    256: "max_position_embeddings n_positions n_ctx max_seq_len",
}
SMALL = {name: number for number, names in _NUMBERS.items() for name in names.split()}
"""By the names that the settings of most families share."""
NOT_BUILT = {
    "layoutlmv2": "needs detectron2, which reads images",
    "roformer": "its tokenizer needs rjieba",
}
"""Families of which there is no tiny example, and why."""
_TEXT = {
    **dict.fromkeys(("num_hidden_layers", "num_attention_heads", "num_key_value_heads"), 2),
    **{"hidden_size": 16, "intermediate_size": 32, "head_dim": 8, "vocab_size": 420},
    **{"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "max_position_embeddings": 256},
    "num_labels": 1,
}
_IMAGES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 4}
_IMAGES |= {"intermediate_size": 16, "image_size": 8}
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
OWN: dict[str, dict[str, Any]] = {
    "axk1": {"n_group": 2, "topk_group": 1},
    "cohere_compass_text": {
        "rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), _ROPE)
    },
    "falcon": {"head_dim": None},
    "funnel": {"num_hidden_layers": None, "block_sizes": [1, 1], "num_decoder_layers": None},
    "gemma3": {"text_config": _TEXT, "vision_config": _IMAGES, "mm_tokens_per_image": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "lilt": {"hidden_size": 24, "channel_shrink_ratio": 2},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 8},
    "markuplm": {"max_xpath_tag_unit_embeddings": 8, "max_xpath_subs_unit_embeddings": 8},
    "mistral4": {"head_dim": 16},
    "modernvbert": {"text_config": _TEXT, "vision_config": _IMAGES, "image_token_id": 419},
    "qwen3_5": {
        "text_config": _TEXT | {"layer_types": ["linear_attention", "full_attention"]},
        "vision_config": {"depth": 1, "hidden_size": 16, "num_heads": 2},
    },
    "reformer": {
        **{"axial_pos_embds": False, "attention_head_size": 8, "feed_forward_size": 32},
        **{"attn_layers": ["lsh", "local"], "num_buckets": 4},
        **{"lsh_attn_chunk_length": 8, "local_attn_chunk_length": 8},
    },
    "t5": {"decoder_start_token_id": 0},
    "t5gemma": {"encoder": _TEXT, "decoder": _TEXT | {"cross_attention_hidden_size": 16}},
    "t5gemma2": {
        "encoder": {"text_config": _TEXT, "vision_config": _IMAGES, "mm_tokens_per_image": 4},
        "decoder": _TEXT,
    },
    "ultravbert": {"text_config": _TEXT, "vision_config": _IMAGES, "image_token_id": 419},
    "umt5": {"decoder_start_token_id": 0},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        **{"num_hidden_layers": 4, "attention_head_dim": 16, "attention_hidden_size": 32},
        **{"mamba_dt_rank": 4, "mamba_d_state": 8},
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    },
    "zamba2": {
        **{"num_hidden_layers": 4, "attention_head_dim": 16, "mamba_headdim": 8},
        **{"n_mamba_heads": 4, "mamba_d_state": 8},
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    },
}


def save_classifier(family: str, folder: Path) -> PreTrainedTokenizerFast | None:
    """A checkpoint of a family, in the layout of the hub; its tokenizer, None if it is no fast one.

    The tokenizer is of the class that the family uses.
    """
    torch.manual_seed(1)
    tokenizer = tokenizer_of(family)
    settings = settings_of(family, tokenizer)
    if tokenizer is None:
        settings.save_pretrained(folder)
        return None
    model = AutoModelForSequenceClassification.from_config(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


def settings_of(family: str, tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    """Settings of a tiny model for this tokenizer."""
    defaults = CONFIG_MAPPING[family]()
    known = {*defaults.to_dict(), *defaults.attribute_map}
    small = {name: number for name, number in SMALL.items() if name in known}
    small |= (_ids(tokenizer) if tokenizer else {}) | OWN.get(family, {})
    given = {name: number for name, number in small.items() if number is not None}
    return CONFIG_MAPPING[family](**given, num_labels=1)


def _ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int | None]:
    names = ("pad", "bos", "eos", "cls", "sep")
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in names} | {
        "vocab_size": len(tokenizer) + 3
    }


def tokenizer_of(family: str) -> PreTrainedTokenizerFast | None:
    """A fast tokenizer of the class that a family uses, with a tiny vocabulary; None: not fast."""
    name = TOKENIZER_MAPPING_NAMES.get(family) or "TokenizersBackend"
    if name == "TokenizersBackend":
        vocabulary, merges = _byte_level()
        backend = Tokenizer(models.BPE(vocabulary, merges))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        special = {"bos_token": "<s>", "eos_token": "</s>"}
        if CONFIG_MAPPING[family]().get_text_config().pad_token_id is not None:
            special["pad_token"] = "<pad>"
            backend.post_processor = processors.TemplateProcessing(
                single="$A </s>",
                pair="$A $B </s>",
                special_tokens=[("</s>", SPECIAL.index("</s>"))],
            )
        return PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    made = tokenizer_class_from_name(name)
    if not issubclass(made, PreTrainedTokenizerFast):
        return None
    if name == "RoFormerTokenizer":
        return made(vocab=_word_pieces())
    kind = getattr(made.model, "__name__", "Unigram")
    if kind == "WordPiece":
        return made(vocab=_word_pieces())
    if kind == "BPE":
        vocabulary, merges = _byte_level()
        others = {"tags_dict": {"p": 0}} if name == "MarkupLMTokenizer" else {}
        return made(vocab=vocabulary, merges=merges, **others)
    return made(vocab=_unigrams())


@cache
def _byte_level() -> tuple[dict[str, int], list[tuple[str, str]]]:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = [*pre_tokenizers.ByteLevel.alphabet(), "▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    vocabulary = backend.get_vocab()
    merges = [
        (token[:1], token[1:])
        for token in vocabulary
        if len(token) == 2 and token[:1] in vocabulary and token[1:] in vocabulary
    ]
    return vocabulary, merges


def _word_pieces() -> dict[str, int]:
    letters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), "the", "ice", "##ing"]
    return {piece: number for number, piece in enumerate(pieces)}


def _unigrams() -> list[tuple[str, float]]:
    letters = ["▁", *string.ascii_letters, *string.digits, *string.punctuation]
    pieces = [*letters, "▁the", "▁ice", "ing", "▁a", "er"]
    return [
        *((token, 0.0) for token in SPECIAL),
        *((piece, -float(len(piece))) for piece in pieces),
    ]
