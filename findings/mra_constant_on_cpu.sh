#!/usr/bin/env bash
# MRA's classifier gives every text the same score where its GPU kernel is not loaded.
#
# transformers 5.23.0, torch 2.13.0: without the kernel, the attention of MRA returns zeros instead of
# raising, so that the state at the first token depends on that token alone: the score is constant.
# One would guess otherwise: code that cannot run on a CPU raises, or has a slower way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0
CUDA_VISIBLE_DEVICES="" "$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
from transformers import MraConfig, MraForSequenceClassification

print(f"transformers {transformers.__version__}, torch {torch.__version__}")
torch.manual_seed(0)
settings = MraConfig(
    vocab_size=50, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=258, num_labels=1, initializer_range=0.5,
)
model = MraForSequenceClassification(settings).eval()
texts = torch.randint(5, 50, (8, 256))
texts[:, 0] = 0  # the token that begins every text
attended = []
attention = model.mra.encoder.layer[0].attention.self
attention.register_forward_hook(lambda module, inputs, output: attended.append(output[0]))
with torch.no_grad():
    scores = model(texts).logits.flatten()
print("scores of 8 random texts:", scores.tolist())
print("largest output of the first attention:", attended[0].abs().max().item())
# Seen: eight equal scores, and 0.0
assert scores.max() - scores.min() < 1e-5, "the score depends on the text now"
assert attended[0].abs().max() == 0, "the attention gives no zeros any more"
PYTHON
echo "as found: on a CPU the score of this classifier does not depend on the text"
