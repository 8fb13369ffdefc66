#!/usr/bin/env bash
# datasets 5.2.0: load_dataset of a folder whose path has brackets reads another folder, or none.
#
# It looks for files by patterns below the folder's path, and does not escape that path: "data [1]" is
# a pattern to it, which the folder "data 1" fits, and "data [1]" itself does not. So the rows of
# "data 1" come in its place, without a word; where there is no such folder, "The directory at
# .../data [2] doesn't contain any data files". One would guess otherwise: a path is given.
#
# Fails (exit 1) where this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check datasets==5.2.0
for name in "data 1" "data [1]" "data [2]"; do
  mkdir "$name"
  printf '{"text": "of %s"}\n' "$name" > "$name/train.jsonl"
done
HF_HOME="$folder/cache" HF_HUB_OFFLINE=1 venv/bin/python - <<'PYTHON'
import datasets

datasets.disable_progress_bars()
print("datasets", datasets.__version__)
rows = list(datasets.load_dataset("data [1]", split="train", streaming=True))
print("asked for 'data [1]'; read:", rows)
assert rows == [{"text": "of data 1"}], "the folder that was asked for is read now"
try:
    rows = list(datasets.load_dataset("data [2]", split="train", streaming=True))
except FileNotFoundError as error:  # EmptyDatasetError is one
    print(f"asked for 'data [2]': {type(error).__name__}: {error}")
else:
    raise SystemExit(f"'data [2]' is read now: {rows}")
PYTHON
