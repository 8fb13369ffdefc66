#!/usr/bin/env bash
# An empty second text is a text in a batch, and none at all alone.
#
# transformers 5.23.0, tokenizers 0.23.3: tokenizer("a", "") gives the ids of "a" alone,
# tokenizer(["a"], [""]) those of the pair ("a", ""), with one more [SEP].
# One would guess otherwise: a batch of one text is that text, and "" is a str, not None. A classifier
# then gives an empty answer another score alone (as the pipeline calls it) than in a batch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3 jinja2==3.1.6
"$folder/venv/bin/python" - <<'PYTHON'
import tokenizers
import transformers
from transformers import BertTokenizer

print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
alone = tokenizer("a", "")["input_ids"]
[in_batch] = tokenizer(["a"], [""])["input_ids"]
print('tokenizer("a", "")     ', tokenizer.convert_ids_to_tokens(alone))
print('tokenizer(["a"], [""]) ', tokenizer.convert_ids_to_tokens(in_batch))
# Seen: ['[CLS]', 'a', '[SEP]'] and ['[CLS]', 'a', '[SEP]', '[SEP]']
assert alone == [2, 5, 3], "an empty second text alone is read otherwise now"
assert in_batch == [2, 5, 3, 3], "an empty second text in a batch is read otherwise now"
PYTHON
echo "as found: alone an empty second text is none, in a batch it is one"
