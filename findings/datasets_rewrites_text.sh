#!/usr/bin/env bash
# datasets 5.2.0 (with pyarrow 26.0.1, pandas 3.1.1): load_dataset("json") rewrites texts of a column.
#
# It guesses one type for each column. Two consequences, both without a word:
#   1. two files, in the second of which every text of a column looks like a date: the column of that
#      file becomes timestamps, and is then cast to the text of the other. "1900-03-01" comes back as
#      "1900-03-01 00:00:00".
#   2. one `true` among texts: the whole column is stored as JSON and read back by value, and a text
#      such as "007" does not come back as it was written.
# One would guess otherwise: each value stands in quotes in the file, and JSON has no dates.
#
# Fails (exit 1) where this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1
mkdir dates mixed
printf '{"chosen": "1900-03-01"}\n{"chosen": "1901-03-01"}\n' > dates/train-2.jsonl
printf '{"chosen": "a text"}\n' > dates/train-1.jsonl
printf '{"chosen": "007"}\n{"chosen": true}\n{"chosen": "say \\"yes\\""}\n' > mixed/train.jsonl
HF_HOME="$folder/cache" HF_HUB_OFFLINE=1 venv/bin/python - <<'PYTHON'
import datasets

datasets.disable_progress_bars()


def texts(folder):
    rows = datasets.load_dataset(folder, split="train", streaming=True)
    return [row["chosen"] for row in rows]


print("datasets", datasets.__version__)
dates, mixed = texts("dates"), texts("mixed")
print("written: 'a text', '1900-03-01', '1901-03-01'; read:", dates)
print("written: '007', true, 'say \"yes\"'; read:", mixed)
assert dates == ["a text", "1900-03-01 00:00:00", "1901-03-01 00:00:00"], "dates come back whole"
assert mixed != ["007", True, 'say "yes"'], "mixed values come back whole"
PYTHON
