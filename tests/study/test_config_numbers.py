"""Values that YAML 1.1 reads otherwise than a person, and a config file that does not count."""

from pathlib import Path

import pytest

from overopt.errors import UserError
from overopt.study.config_file import only_last_counts, read_config_file


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("03000", r"YAML reads 03000 as an octal number \(1536\); write a plain decimal number"),
        ("010", r"octal number \(8\)"),
        ("-0_17", r"octal number \(-15\)"),
        ("0b11", r"binary number \(3\)"),
        ("0x1F", r"hexadecimal number \(31\)"),
        ("1:30", r"number to the base 60 \(90\)"),
        ("1:30.5", r"number to the base 60 \(90.5\)"),
        ("2001-01-01", "2001-01-01 is a date to YAML; put it in quotes"),
        ("no", "no is true or false to YAML; write true or false, or put it in quotes"),
        ("On", "On is true or false to YAML"),
    ],
)
def test_what_yaml_reads_otherwise_is_a_fault_with_its_line(
    written: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    for text, line in ((f"a: 1\nb: {written}\n", 2), (f"a:\n- 1\n- [2, {written}]\n", 3)):
        path.write_text(text)
        with pytest.raises(UserError, match=f"  line {line}: .*{words}"):
            read_config_file(path)
    path.write_text(f"{written}: 1\n")
    with pytest.raises(UserError, match=f"  line 1: .*{words}"):
        read_config_file(path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("'010'", "010"), ('"no"', "no"), ("0", 0), ("-0", 0), ("0.5", 0.5), ("00.5", 0.5)),
        *(("1_000", 1000), ("1e-3", "1e-3"), ("1.0e-3", 0.001), ("true", True), ("08", "08")),
        *(("0:30", "0:30"), ("0o17", "0o17"), ("s1", "s1"), ("", None)),
    ],
)
def test_what_a_person_reads_alike_passes(written: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"a: {written}\n")
    assert read_config_file(path) == {"a": value}


def test_that_only_the_last_config_counts_is_said() -> None:
    twice = ["snakemake", "--configfile", "a.yaml", "--configfile=b.yaml"]
    assert only_last_counts(["snakemake", "--configfile", "a.yaml", "b.yaml"]) is None
    told = only_last_counts(twice)
    assert told is not None and told.startswith("--configfile stands 2 times on the command line")
