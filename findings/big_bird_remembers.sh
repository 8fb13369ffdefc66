#!/usr/bin/env bash
# BigBird's score of a long text depends on whether it has read a short one before.
#
# transformers 5.23.0, torch 2.13.0: with block-sparse attention (the default), the first text of at most
# (5 + 2 * num_random_blocks) * block_size tokens switches the model to full attention, and it stays
# there. A long text then gets another score than from the same model freshly loaded.
# One would guess otherwise: in evaluation mode a forward pass changes no model, and the score of a
# text does not depend on the order of a data set.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import BigBirdConfig, BigBirdForSequenceClassification

transformers.logging.set_verbosity_error()
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
torch.manual_seed(0)
settings = BigBirdConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=512, block_size=8, num_random_blocks=2, num_labels=1,
    initializer_range=0.5,
)
model = BigBirdForSequenceClassification(settings).eval()
long_text, short_text = torch.randint(5, 50, (1, 256)), torch.randint(5, 50, (1, 16))
with torch.no_grad():
    first = model(long_text).logits.item()
    again = model(long_text).logits.item()
    model(short_text)
    after = model(long_text).logits.item()
print(f"long text: {first:.6f}, again: {again:.6f}, after a short text: {after:.6f}")
print("attention now:", model.bert.attention_type)
# Seen: two equal scores, then another; attention "original_full", where the settings say block_sparse
assert first == again, "the score of a long text changes by itself now"
assert abs(after - first) > 1e-4, "a short text changes no later score any more"
assert model.bert.attention_type == "original_full"
assert settings.attention_type == "block_sparse"
PYTHON
echo "as found: one short text, and every later long text is read with full attention"
