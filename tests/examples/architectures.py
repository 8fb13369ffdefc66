"""Tiny models with random weights of architectures that the project did not make."""

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

VOCABULARY_SIZE = 11

_SHAPE = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 48,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GROUPED = {**_SHAPE, "num_key_value_heads": 2, "head_dim": 4}

SETTINGS = {
    "Pythia": transformers.GPTNeoXConfig(**_SHAPE, hidden_dropout=0.1, attention_dropout=0.1),
    "Llama": transformers.LlamaConfig(**_GROUPED),
    "Mistral with a sliding window": transformers.MistralConfig(**_GROUPED, sliding_window=6),
    "Qwen 2": transformers.Qwen2Config(**_GROUPED),
    "Gemma 2, capped logits": transformers.Gemma2Config(
        **_GROUPED, query_pre_attn_scalar=4, final_logit_softcapping=2.0, sliding_window=6
    ),
    "Cohere, scaled logits": transformers.CohereConfig(**_GROUPED, logit_scale=0.5),
    "Granite, divided logits": transformers.GraniteConfig(**_GROUPED, logits_scaling=0.25),
    "OPT, positions from the mask": transformers.OPTConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=16,
        word_embed_proj_dim=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=24,
        max_position_embeddings=48,
        dropout=0.1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "BLOOM, no positions": transformers.BloomConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=16, n_layer=2, n_head=4, hidden_dropout=0.1
    ),
    "GPT-2, weights scaled by layer": transformers.GPT2Config(
        vocab_size=VOCABULARY_SIZE,
        n_embd=16,
        n_layer=2,
        n_head=4,
        n_positions=48,
        scale_attn_by_inverse_layer_idx=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    ),
}


def random_model(name: str, auto_class=AutoModelForCausalLM, seed: int = 0, **settings: object):
    """Model of one of `SETTINGS`, whose distributions are far from uniform."""
    torch.manual_seed(seed)
    config = SETTINGS[name].__class__.from_dict({**SETTINGS[name].to_dict(), **settings})
    model: PreTrainedModel = auto_class.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.4)
    return model.eval()
