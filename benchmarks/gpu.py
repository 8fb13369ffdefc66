"""
What a GPU makes of the project: the sampler, training, PPO, against the ceilings of the device.

    python -m benchmarks.gpu --out docs/gpu.md           measure, and write the table there
    python -m benchmarks.gpu --out gpu.md --study        run the tiny study on CPU and GPU as well
    python -m benchmarks.gpu --out t.md --device cpu --quick     try the script, without a GPU

Writes a table between the two marker lines of the file (the whole file where it has none), and the
same numbers beside it as JSON. Algorithms are deterministic, as in the jobs. Takes some minutes.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from benchmarks.gpu_measure import Row, measure_ceilings

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def measure(device: torch.device, *, is_quick: bool) -> list[Row]:
    """All rows but those of the study."""
    # Imported late: accelerate looks for a GPU when it is imported.
    from benchmarks.gpu_ppo import measure_ppo
    from benchmarks.gpu_sampling import measure_sampler
    from benchmarks.gpu_training import measure_training

    ceilings, rows = measure_ceilings(device, is_quick=is_quick)
    rows += measure_sampler(device, ceilings, is_quick=is_quick)
    rows += measure_training(device, ceilings, is_quick=is_quick)
    return rows + measure_ppo(device, is_quick=is_quick)


def described(device: torch.device) -> dict[str, str]:
    """Where and with what the numbers were taken."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} thread(s)"
    return {
        "device": f"{name}{threads}",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def as_table(rows: list[Row], where: dict[str, str]) -> str:
    """Markdown."""
    lines = [", ".join(f"{key} {value}" for key, value in where.items()) + ".", ""]
    lines += ["| part | what | | unit | share |", "|---|---|---:|---|---:|"]
    for row in rows:
        share = "" if row.share is None else f"{row.share:.1%}"
        lines.append(f"| {row.part} | {row.what} | {row.value:,.4g} | {row.unit} | {share} |")
    return "\n".join(lines)


def write(path: Path, table: str, rows: list[Row], where: dict[str, str]) -> None:
    """Put the table between the markers of a file, and the numbers beside it."""
    text = path.read_text(encoding="utf-8") if path.is_file() else f"{BEGIN}\n{END}\n"
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path}: no lines {BEGIN} and {END}; give another file, or add them.")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")
    numbers = {**where, "rows": [asdict(row) for row in rows]}
    path.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file of the table")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny models: tries the script only")
    parser.add_argument("--study", action="store_true", help="also run config/test.yaml on both")
    parser.add_argument("--cores", type=int, default=2, help="jobs at once in --study")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("No CUDA device here, nothing is measured; --device cpu tries the script.")
    if options.device == "cpu":
        os.environ["ACCELERATE_USE_CPU"] = "true"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    device = torch.device(options.device)
    rows = measure(device, is_quick=options.quick)
    if options.study:
        from benchmarks.gpu_study import compare_studies

        rows += compare_studies(options.device, options.cores)
    where = described(device)
    write(options.out, as_table(rows, where), rows, where)


if __name__ == "__main__":
    main()
