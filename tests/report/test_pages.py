"""The report's own pages: complete, escaped, self-contained, settings that can be run again."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cell_examples import in_plain_cells
from overopt.report.html import (
    Cell,
    format_number,
    interval_cell,
    number_cell,
    page,
    table,
    yaml_lines,
)
from overopt.report.pages import (
    VERDICT_MEANINGS,
    claims_page,
    coefficients_page,
    comparison_page,
    methods_page,
    run_page,
)
from overopt.report.run_records import study_record
from overopt.report.summary import VERDICTS, verdict_counts
from overopt.study.job_settings import as_param
from overopt.study.study import read_study

CONFIG = Path(__file__).resolve().parents[2] / "config"
NASTY = '<script>alert("x")</script> & "quotes"'


class Tables(HTMLParser):
    """Texts of all table cells by table id, and every address the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._name = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag == "table":
            self._name = dict(attrs).get("id") or ""
            self.rows[self._name] = []
        elif tag == "tr":
            self.rows[self._name].append([])
        elif tag in ("td", "th"):
            self.rows[self._name][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._name = ""

    def handle_data(self, data: str) -> None:
        if self._name and self.rows[self._name] and self.rows[self._name][-1]:
            self.rows[self._name][-1][-1] += data.strip()


def claims() -> pd.DataFrame:
    ran = {"p_support": 0.001, "p_contradict": 0.999, "paper_value": "0.054", "section": "3.2"}
    ran |= {"statistic": "beta", "estimate": 2.0, "low": 1.5, "high": 2.5}
    rows = [
        {"id": "C1", "title": NASTY, "verdict": "supported", "sentence": NASTY, **ran},
        {"id": "C2", "title": "b", "verdict": "supported", "sentence": "Beta is 2.", **ran},
        {"id": "C10", "title": "c", "verdict": "contradicted", "sentence": "No.", **ran},
        {"id": "C11", "title": "d", "verdict": "not run", "sentence": "Not run: no PPO."},
    ]
    return pd.DataFrame(rows)


def coefficients() -> pd.DataFrame:
    cell = {"policy_size": "small"}
    numbers = {"alpha": 1.0, "alpha_low": 0.9, "alpha_high": 1.1, "num_seeds": 3}
    numbers |= {"r2": 0.9, "r2_of_runs": 0.95, "beta": 0.2, "beta_low": np.nan, "beta_high": np.nan}
    numbers |= {"num_prompts": 64, "num_points": 19, "num_comparisons": 2000}
    rows = [
        {"method": "best_of_n", "form": "best_of_n", "proxy_size": size, **cell, **numbers}
        | {"num_parameters": parameters}
        for size, parameters in (("s1", 256), ("s2", 896))
    ]
    return in_plain_cells(pd.DataFrame(rows))


def peaks() -> pd.DataFrame:
    table = coefficients().drop(columns=["form", "alpha", "beta", "r2", "r2_of_runs"])
    for name in ("initial_gold", "peak_gold", "kl_at_peak", "final_gold", "drop"):
        table[[name, f"{name}_low", f"{name}_high"]] = [0.5, 0.4, 0.6]
    return table.assign(final_kl=5.9, proxy_at_peak=0.8, final_proxy=1.2)


def run_folder(folder: Path) -> Path:
    coefficients().to_csv(folder / "coefficients.csv", index=False)
    for index, dirty in enumerate([False, True, True]):
        record = {
            "rule_script": ["ppo.py", "ppo.py", "forms.py"][index],
            "cpu_seconds": 60.0,
            "startup_cpu_seconds": 2.0,
            "wall_seconds": 30.0,
            "peak_memory_mb": 500.0,
            "git": {"commit": "abc", "dirty": dirty},
            "versions": {"numpy": f"2.{index // 2}"},
            "device": "cpu",
            "machine": "node<1>",
            "finished": f"2026-01-01T00:0{index}:00+00:00",
        }
        path = folder / f"ppo/{index}/run_record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record))
    return folder


def settings() -> dict:
    config = yaml.safe_load((CONFIG / "test.yaml").read_text())
    return json.loads(as_param(read_study(config)))


def test_every_claim_stands_in_the_table_with_its_verdict() -> None:
    text = claims_page(claims())
    tables = Tables(text)
    rows = tables.rows["claims"]
    assert [row[0] for row in rows[1:]] == ["C1", "C2", "C10", "C11"]
    assert [row[2] for row in rows[1:]] == claims()["verdict"].tolist()
    assert [row[3] for row in rows[1:]] == [*["+2 [1.50, 2.50]"] * 3, ""]
    assert "Beta is 2.the number: beta" in rows[2][4]
    assert "p for, p against: 0.0010, 1.0" in rows[2][4]
    assert "p for" not in rows[4][4]
    assert "2 supported, 1 contradicted, 0 inconclusive, 0 needs seeds, 1 not run" in text
    assert set(VERDICT_MEANINGS) == set(VERDICTS)


def test_what_comes_from_a_table_is_escaped() -> None:
    text = claims_page(claims())
    assert NASTY not in text
    assert Tables(text).rows["claims"][1][1] == NASTY
    assert Tables(text).tags.count("script") == 1


def test_counts_read_well() -> None:
    assert (
        verdict_counts(claims())
        == "2 supported, 1 contradicted, 0 inconclusive, 0 needs seeds, 1 not run"
    )


def test_coefficients_leave_out_what_is_the_same_in_all_rows() -> None:
    text = coefficients_page(coefficients(), peaks())
    rows = Tables(text).rows["coefficients-best_of_n"]
    assert rows[0][:4] == ["RM", "RM parameters", "alpha", "beta"]
    assert rows[1][:4] == ["s1", "256", "1 [0.900, 1.10]", "0.200"]
    assert "policy small, labels deterministic, comparisons 2,000" in text
    assert len(Tables(text).rows["peaks-best_of_n"]) == 3
    assert "coefficients-rl" not in text


def test_comparison_shows_gaps_as_gaps() -> None:
    columns = ["relative_slope", "relative_slope_low", "relative_slope_high"]
    columns += ["ratio", "ratio_low", "ratio_high", "spearman"]
    row = dict.fromkeys([*columns, *(f"paper_{name}" for name in columns)], np.nan)
    row |= {"axis": "num_parameters", "method": "ppo", "form": "rl", "quantity": "peak_gold"}
    row |= {"paper_version": "icml", "num_sizes": 2, "paper_num_sizes": 9, "sign": "not run"}
    row |= {"paper_sign": "rising", "agreement": "not run", "paper_relative_slope": 0.25}
    cells = Tables(comparison_page(pd.DataFrame([row]))).rows["comparison-num_parameters"][1]
    assert cells[:7] == [
        *("PPO", "peak gold (own alpha)", "ICML", "not run", "not run, rising", "", "+0.250"),
    ]


def test_run_page_tells_commits_versions_machine_and_cost(tmp_path: Path) -> None:
    record = study_record(run_folder(tmp_path), settings())
    assert record["commits"] == {"abc+": 2, "abc": 1}
    assert record["versions"] == {"numpy": ["2.0", "2.1"]}
    assert record["started"] == "2025-12-31T23:59:30+00:00"
    assert [row["stage"] for row in record["cost"]] == ["PPO", "fits, claims, figures, report"]
    tables = Tables(run_page(record)).rows
    facts = dict(tables["facts"][1:])
    assert facts["machine"] == "node<1>"
    assert facts["commit"] == "abc+ (2 jobs), abc (1 job)"
    assert facts["CPU time"] == "3 min"
    assert tables["cost"][-1][:3] == ["total", "3", "180"]


def test_settings_on_the_run_page_run_the_same_study(tmp_path: Path) -> None:
    text = run_page(study_record(run_folder(tmp_path), settings()))
    block = re.search(r"<pre>(.*?)</pre>", text, flags=re.DOTALL)
    assert block
    shown = yaml.safe_load(block[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert read_study(shown) == read_study(settings())


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, 2.5, {"c": None}]}, "empty": {}, "text": "a: b # c"},
        {"no": True, "1e3": "yes", "with space": "\u00e9\n"},
    ],
)
def test_yaml_reads_back(value: dict) -> None:
    assert yaml.safe_load("\n".join(yaml_lines(value))) == value


def test_pages_load_nothing(tmp_path: Path) -> None:
    record = study_record(run_folder(tmp_path), settings())
    for text in (
        claims_page(claims()),
        coefficients_page(coefficients(), peaks()),
        run_page(record),
        methods_page(methods(), claims()),
    ):
        assert Tables(text).addresses == []
        assert "://" not in text


def methods() -> pd.DataFrame:
    table = peaks().assign(form="best_of_n")
    for name in ("alpha", "beta", "peak_gold_change", "final_gold_change"):
        table[[name, f"{name}_low", f"{name}_high"]] = [0.25, 0.125, 0.375]
    better = table.assign(variant="mean_of_seeds")
    return pd.concat([table, better, table.assign(method="quantilizer")])


def test_methods_stand_by_themselves_with_their_changes() -> None:
    text = methods_page(methods(), claims())
    tables = Tables(text).rows
    assert len(tables["methods-best_of_n"]) == 1 + 4
    assert len(tables["methods-quantilizer"]) == 1 + 2
    header, first = tables["methods-best_of_n"][:2]
    assert "variant" in header and first[header.index("change")] == "+0.250 [0.125, 0.375]"
    assert len(tables["predictions"]) == 1 + len(claims())
    assert "source: 3.2" in text and "the paper's section" not in text


def test_numbers_for_readers() -> None:
    shown = [format_number(x) for x in (0.0, 3.0, 1234567.0, 12.34, 0.01234, 123.4, -0.5, 2e-7)]
    assert shown == ["0", "3", "1,234,567", "12.3", "0.0123", "123", "-0.500", "2.0e-07"]
    assert format_number(0.5, sign=True) == "+0.500"
    assert number_cell(np.nan) == Cell("")
    assert interval_cell(0.5, 0.4, 0.6) == Cell("0.500 [0.400, 0.600]", 0.5)
    assert interval_cell(0.5, np.nan, np.nan) == Cell("0.500", 0.5)


def test_a_table_sorts_numbers_by_value_and_keeps_its_footer() -> None:
    text = page("x", table(["a"], [[number_cell(1000)], [Cell("b")]], "t", footer=[Cell("sum")]))
    assert 'data-sort="1000.0"' in text
    assert "<tfoot><tr>" in text
