"""The progress logger: wording, the estimate, plain lines, failures, and one real run."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_overopt import LogHandler
from snakemake_logger_plugin_overopt.handler import COSTS, LOG_LINES
from snakemake_logger_plugin_overopt.live import LiveDisplay
from snakemake_logger_plugin_overopt.progress import Job, Progress
from snakemake_logger_plugin_overopt.wording import (
    duration,
    job_label,
    readable_reason,
    time_left,
)

ROOT = Path(__file__).resolve().parents[2]
START = 1000.0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Run:
    """A handler with a stream to read, driven by records as Snakemake makes them."""

    def __init__(self, stream: io.StringIO | None = None, **settings: object) -> None:
        defaults = {"stdout": False, "quiet": None, "dryrun": False, "verbose": False}
        defaults |= {"printshellcmds": False, "debug_dag": False, "nocolor": False}
        self.handler = LogHandler(SimpleNamespace(**(defaults | settings)), None)
        self.handler.stream = self.stream = stream or io.StringIO()

    def say(self, message: str, level: int = logging.INFO, at: float = START, **extra: object):
        record = logging.LogRecord("snakemake", level, "x.py", 1, message, None, None)
        record.created = at
        record.__dict__.update(extra)
        self.handler.handle(record)

    def plan(self, **jobs: int) -> None:
        stats = jobs | {"total": sum(jobs.values())}
        self.say("Provided cores: 2", event=LogEvent.RESOURCES_INFO, cores=2)
        self.say("Job stats:\n...", event=LogEvent.RUN_INFO, stats=stats)

    def start(self, jobid: int, rule: str, at: float = START, **extra: object) -> None:
        info = {"jobid": jobid, "rule_name": rule, "wildcards": {}, "output": ["x"]}
        info |= {"reason": "Missing output files: x", "event": LogEvent.JOB_INFO}
        self.say("rule", at=at, **(info | extra))

    def finish(self, jobid: int, at: float) -> None:
        self.say("Finished", at=at, event=LogEvent.JOB_FINISHED, job_id=jobid)

    def fail(self, jobid: int, rule: str, at: float, log: list[str]) -> None:
        self.say(
            'RuleException:\nCalledProcessError in file "Snakefile", line 3:\n'
            "Command 'set -euo pipefail; false' returned non-zero exit status 3.",
            logging.ERROR,
            at,
            event=LogEvent.ERROR,
            exception="RuleException",
        )
        error = {"jobid": jobid, "rule_name": rule, "rule_msg": None, "log": log, "aux": {}}
        self.say("Error in rule", logging.ERROR, at, event=LogEvent.JOB_ERROR, **error)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (-1, "0 s")],
)
def test_duration(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "time left not known yet"),
        (4, "a few seconds left"),
        (41, "about 40 s left"),
        (370, "about 6 min left"),
        (7500, "about 2 h 05 min left"),
    ],
)
def test_time_left(seconds: float | None, words: str):
    assert time_left(seconds) == words


def test_job_label_tells_the_wildcards_apart():
    wildcards = {"proxy_size": "s4", "num_comparisons": "60000", "seed": "0"}
    assert job_label("proxy_rm", wildcards) == "proxy_rm s4 60000-comparisons seed-0"
    wildcards = {"policy_size": "small", "kl_coef": "0.05", "proxy_size": "s4"}
    assert job_label("ppo", wildcards) == "ppo policy-small kl_coef-0.05 proxy-s4"
    assert job_label("fits", None) == "fits"


def test_reason_names_the_setting_that_changed():
    old, new = {"ppo": {"learning_rate": 0.1, "n": 2}}, {"ppo": {"learning_rate": 0.2, "n": 2}}
    digests = ["a" * 64, "b" * 64]
    reason = (
        "Params have changed since last execution: Union of exclusive params before and now "
        f"across all output: before: {json.dumps(old)!r},{digests[0]!r} "
        f"now: {json.dumps(new)!r},{digests[1]!r} "
    )
    assert readable_reason(reason) == "ppo.learning_rate 0.1 -> 0.2, code changed"
    only_code = reason.replace(f"{json.dumps(old)!r},", "").replace(f"{json.dumps(new)!r},", "")
    assert readable_reason(only_code) == "code changed"
    odd = "Params have changed since last execution: before: <x y> now: 3 "
    assert readable_reason(odd) == "settings or code changed"
    both = "Missing output files: a, b; Input files updated by another job: c"
    assert readable_reason(both) == "output missing; new input from a job"


def test_time_left_is_unknown_before_the_first_job_of_an_unmeasured_study():
    progress = Progress(costs={"a": 10})
    progress.plan({"a": 4, "total": 4}, START)
    assert progress.seconds_left(START) is None
    progress.trusted = True
    assert progress.seconds_left(START) == pytest.approx(40)


def test_time_left_learns_from_this_run():
    progress = Progress(costs={"a": 1, "b": 10}, cores=1)
    progress.plan({"a": 3, "b": 2, "total": 5}, START)
    for job_id in range(3):  # twice as slow as the table says
        progress.start(job_id, Job("a", "a", START + 2 * job_id))
        progress.finish(job_id, START + 2 * job_id + 2)
    assert progress.expected_seconds("a") == pytest.approx(2)
    assert progress.seconds_left(START + 6) == pytest.approx(40)  # b is unseen: scaled
    progress.start(3, Job("b", "b", START + 6))
    assert progress.seconds_left(START + 16) == pytest.approx(30)
    progress.finish(3, START + 16)  # 10 s, not 20: the mean of what was expected and seen
    assert progress.expected_seconds("b") < 20


def test_time_left_is_shared_by_the_jobs_that_run_at_once():
    progress = Progress(costs={"a": 10}, trusted=True, cores=2)
    progress.plan({"a": 4, "total": 4}, START)
    assert progress.seconds_left(START) == pytest.approx(20)
    progress.cores = 64
    assert progress.seconds_left(START) == pytest.approx(10)  # never more than the jobs left


def test_plain_lines_of_a_run():
    run = Run()
    run.plan(data=1, proxy_rm=1, all=1)
    run.start(1, "data")
    run.finish(1, START + 14)
    run.start(2, "proxy_rm", START + 14, wildcards={"proxy_size": "s4", "seed": "0"})
    run.finish(2, START + 90)
    run.start(0, "all", START + 90, output=[])
    run.finish(0, START + 90)
    assert run.lines[:3] == [
        "3 jobs to do, 2 at a time",
        "[1/3] data  done in 14 s  (14 s elapsed, about 10 s left)",
        "[2/3] proxy_rm s4 seed-0  done in 1 min 16 s  (1 min 30 s elapsed, a few seconds left)",
    ]
    assert len(run.lines) == 4 and run.lines[3].startswith("All 3 jobs done in ")
    run.handler.close()
    run.handler.close()
    assert len(run.lines) == 4, "closing twice says nothing more"


def test_failure_shows_job_exit_and_the_end_of_its_log(tmp_path: Path):
    log = tmp_path / "job.log"
    log.write_text("".join(f"line {i}\n" for i in range(40)) + "ValueError: \u00e4\n", "utf-8")
    run = Run()
    run.plan(proxy_rm=1, curve=1)
    run.start(1, "proxy_rm", wildcards={"seed": "3"})
    run.fail(1, "proxy_rm", START + 5, [str(log), str(tmp_path / "none.log")])
    run.say("Exiting because a job execution failed. Look above", logging.ERROR)
    run.say("WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR)
    text = run.stream.getvalue()
    assert "FAILED  proxy_rm seed-3  (exit status 3, after 5 s)" in run.lines
    assert f"  log: {log}" in run.lines and "    ValueError: \u00e4" in run.lines
    assert "    line 39" in run.lines and f"    line {40 - LOG_LINES}" not in run.lines
    assert "    (this log was not written)" in run.lines
    assert "CalledProcessError" not in text and "At least one job" not in text
    assert "1 of 2 jobs failed, 1 could not start because of that" in text
    assert "Run the same command again to go on; finished jobs are kept." in run.lines


def test_a_retried_job_counts_as_done():
    run = Run()
    run.plan(a=1)
    run.start(1, "a")
    run.fail(1, "a", START + 1, [])
    run.start(1, "a", START + 2)
    run.finish(1, START + 3)
    assert run.lines[-1].startswith("All 1 jobs done in ")


def test_interruption_is_no_failure():
    run = Run()
    run.plan(a=2)
    run.start(1, "a")
    run.say("Terminating processes on user request, this might take some time.")
    run.fail(1, "a", START + 1, [])
    run.handler.close()
    assert "FAILED" not in run.stream.getvalue()
    assert run.lines[-1].startswith("Stopped after ") and "0 of 2 jobs" in run.lines[-1]


def test_errors_and_warnings_are_shown_in_full_and_chatter_is_not():
    run = Run()
    error = 'WorkflowError in file "Snakefile", line 4:\nppo.learning_rate: -1 is not > 0'
    run.say(error, logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    run.say("RuleException:\nMissingOutputException in rule a", logging.ERROR)
    run.say("something odd", logging.WARNING)
    run.say("Nothing to be done (all requested files are present and up to date).")
    run.say("Building DAG of jobs...")
    run.say("Using shell: /usr/bin/bash")
    run.say("details", logging.DEBUG)
    assert run.lines == [
        *error.splitlines(),
        "RuleException:",
        "MissingOutputException in rule a",
        "something odd",
        "Nothing to be done (all requested files are present and up to date).",
    ]


def test_dry_run_lists_jobs_and_reasons_then_the_table():
    run = Run(dryrun=True)
    run.say("Job stats:\na 1", event=LogEvent.RUN_INFO, stats={"a": 1, "total": 1})
    run.start(1, "a", reason="Missing output files: x")
    run.say("Job stats:\na 1", event=LogEvent.RUN_INFO, stats={"a": 1, "total": 1})
    run.say("This was a dry-run (flag -n).")
    assert [line.split() for line in run.lines] == [
        ["a", "output", "missing"],
        [],
        ["Job", "stats:"],
        ["a", "1"],
        ["This", "was", "a", "dry-run", "(flag", "-n)."],
    ]


@pytest.mark.parametrize("quiet", ["all", "progress"])
def test_quiet_still_tells_failures(quiet: str):
    run = Run(quiet={quiet})
    run.plan(a=1, b=1)
    run.start(1, "b")
    run.finish(1, START + 1)
    run.start(2, "a", START + 1)
    assert run.lines == []
    run.fail(2, "a", START + 2, [])
    assert run.lines[0].startswith("FAILED  a")


def test_an_error_inside_never_reaches_snakemake():
    run = Run()
    run.say("the message", event=LogEvent.JOB_INFO)  # without any of its fields
    run.say("another", event=LogEvent.JOB_FINISHED)
    assert run.lines == ["the message", "another"]
    run.stream.close()
    run.say("nobody listens", logging.ERROR)
    run.handler.close()


def test_live_display_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    run = Run(stream=Terminal(), nocolor=True)
    run.plan(data=1, proxy_rm=7)
    run.start(1, "data")
    live = run.handler.live
    assert isinstance(live, LiveDisplay) and len(live.snapshot.running) == 1
    run.finish(1, START + 2)
    for job_id in range(2, 9):
        run.start(job_id, "proxy_rm", START + 2, wildcards={"seed": str(job_id)})
    run.fail(8, "proxy_rm", START + 3, [])
    paper = Console(file=io.StringIO(), width=80)
    with paper.capture() as capture:
        paper.print(live.draw())
    drawn = capture.get().splitlines()
    assert drawn[0].startswith("1 of 8 jobs done")
    assert drawn[2].split()[:3] == ["proxy", "rm", "0/7"] and "1 failed" in drawn[2]
    assert sum("proxy_rm seed-" in line for line in drawn) == 4, "no more than four running jobs"
    run.handler.close()
    assert run.handler.live is None
    assert "1 of 8 jobs failed" in run.stream.getvalue()


def test_costs_are_seconds_per_rule_per_config_file():
    for costs in json.loads(COSTS.read_text()).values():
        assert all(isinstance(rule, str) and seconds >= 0 for rule, seconds in costs.items())


SNAKEFILE = """
rule all:
    input: "b-0.txt", "b-1.txt"

rule a:
    output: "a.txt"
    log: "a.log"
    shell: "echo hello > {output}"

rule b:
    input: "a.txt"
    output: "b-{seed}.txt"
    log: "b-{seed}.log"
    shell: "(echo working; [ {wildcards.seed} = 0 ]; cp {input} {output}) > {log} 2>&1"
"""


def test_a_real_run(tmp_path: Path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    profile = tmp_path / "profiles" / "default"
    profile.mkdir(parents=True)
    (profile / "config.yaml").write_text("logger: overopt\nkeep-going: true\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    def snakemake(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "snakemake", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    code, text = snakemake("-n")
    assert code == 0 and "b seed-1" in text and "total" in text, text
    code, text = snakemake("--cores", "1")
    assert code == 1, text
    assert "FAILED  b seed-1  (exit status 1, after 0 s)" in text
    assert "  log: b-1.log\n    working\n" in text
    assert "/4] b seed-0  done in 0 s" in text
    assert "1 of 4 jobs failed, 1 could not start because of that" in text
    assert "\x1b" not in text and "Traceback" not in text
    code, text = snakemake("--cores", "1", "b-0.txt")
    assert code == 0 and "Nothing to be done" in text, text
