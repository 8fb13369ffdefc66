"""The log handler: turns Snakemake's events into a live display, or into plain lines."""

# The interface declares its five yes/no answers as methods under @property.
# pyright: reportIncompatibleMethodOverride=false

import json
import logging
import os
import re
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_overopt.progress import Job, Progress
from snakemake_logger_plugin_overopt.wording import (
    duration,
    job_label,
    readable_reason,
    time_left,
)

if TYPE_CHECKING:
    from snakemake_logger_plugin_overopt.live import LiveDisplay

COSTS = Path(__file__).with_name("costs.json")
LOG_LINES = 15
# With less room than this a log cannot be relied on to hold a message.
FULL_BYTES = 100_000
# Off a terminal, jobs expected to take longer than this are announced when they start.
LONG_SECONDS = 120
# What Snakemake says beside its events and nobody needs; --verbose shows it.
CHATTER = (
    "Assuming unrestricted shared filesystem",
    "Building DAG of jobs",
    "Using shell:",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Group jobs: inactive",
    "Select jobs to execute",
    "Complete log(s):",
    "Elapsed time:",
    "Shutting down",
    "Reasons:",
    "Some jobs were triggered by provenance",
    "Rules with provenance triggered jobs",
)
RUN_FAILED = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job did not")

COMMAND_FAILED = re.compile(
    r"RuleException:\nCalledProcessError.* (?P<how>exit status -?\d+|died with .*)\.$", re.DOTALL
)


class LogHandler(LogHandlerBase):
    """Shows a run of the workflow; an error in here must never end the run."""

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        quiet = self.common_settings.quiet or ()
        self.quiet = {str(getattr(what, "name", what)).lower() for what in quiet}
        self.dry_run = bool(self.common_settings.dryrun)
        self.progress = Progress()
        self.live: LiveDisplay | None = None
        self.interrupted = False
        self.ended = True  # until there are jobs to run
        self.exit_status = ""
        self.job_table = ""

    # The default formatter stays attached, as the fallback for what is rarely seen.
    writes_to_stream = property(lambda self: True)
    writes_to_file = property(lambda self: False)
    has_filter = property(lambda self: True)
    has_formatter = property(lambda self: False)
    needs_rulegraph = property(lambda self: False)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        try:
            self._show(record)
        except Exception:  # whatever it is, the run goes on and the message is not lost
            self._write_plainly(str(record.msg))

    def close(self) -> None:
        """End the display; Snakemake calls this once or more."""
        try:
            self._end()
        except Exception:
            self._write_plainly("")
        super().close()

    def _show(self, record: logging.LogRecord) -> None:
        shown: dict[LogEvent | None, Callable[[Any], None]] = {
            LogEvent.WORKFLOW_STARTED: self._choose_costs,
            LogEvent.RESOURCES_INFO: self._resources,
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
            LogEvent.SHELLCMD: self._shell_command,
        }
        event = getattr(record, "event", None)
        if event in shown:
            shown[event](record)
        elif event in (None, LogEvent.ERROR, LogEvent.GROUP_ERROR):
            self._message(record)
        elif event is LogEvent.DEBUG_DAG and self.common_settings.debug_dag:
            self._print(self.format(record))
        if self.live is not None:
            self.live.snapshot = self.progress.snapshot(record.created)

    def _choose_costs(self, record: Any) -> None:
        """Expected seconds per job, of the study whose config file was named first."""
        costs = json.loads(COSTS.read_text(encoding="utf-8"))
        files = [Path(str(file)).stem for file in record.configfiles or ()] or [""]
        self.progress.costs = costs.get(files[0], costs.get("config", {}))
        self.progress.trusted = files[0] in costs

    def _resources(self, record: Any) -> None:
        slots = getattr(record, "cores", None) or getattr(record, "nodes", None)
        self.progress.cores = min(int(slots or self.progress.cores), 10_000)

    def _run_info(self, record: Any) -> None:
        if self.dry_run:  # comes before and after the list of jobs: show it after
            if self.job_table:
                self._end()
            else:
                self.job_table, self.ended = str(record.msg), False
            return
        self.progress.plan(record.stats, record.created)
        self.ended = False
        if "progress" in self.quiet or "all" in self.quiet:
            return
        cores, jobs = self.progress.cores, self.progress.total
        self._print(f"{jobs} jobs to do, {min(cores, jobs)} at a time")
        if self.stream.isatty() and os.environ.get("TERM") != "dumb":
            from snakemake_logger_plugin_overopt.live import LiveDisplay  # rich, only here

            shot = self.progress.snapshot(record.created)
            self.live = LiveDisplay(self.stream, self.common_settings.nocolor, shot)

    def _job_info(self, record: Any) -> None:
        label = job_label(record.rule_name, record.wildcards)
        if self.dry_run:
            if "rules" not in self.quiet:
                why = "" if "reason" in self.quiet else f"    {readable_reason(record.reason)}"
                self._print(f"{label:<50}{why}")
            return
        job = Job(record.rule_name, label, record.created, is_target=not record.output)
        self.progress.start(record.jobid, job)
        if self.live is None and self.progress.expected_seconds(job.rule) > LONG_SECONDS:
            self._job_line(f"{label}  started")

    def _job_finished(self, record: Any) -> None:
        finished = self.progress.finish(record.job_id, record.created)
        # Not Snakemake's own total (PROGRESS), which with --until counts jobs that will not run.
        last = self.progress.done.total() >= self.progress.total
        if finished is not None and self.live is None and not finished[0].is_target:
            job, seconds = finished
            times = f"{duration(record.created - self.progress.started)} elapsed"
            if not last:
                times += f", {time_left(self.progress.seconds_left(record.created))}"
            self._job_line(f"{job.label}  done in {duration(seconds)}  ({times})")
        if last:
            self._end()

    def _job_line(self, text: str) -> None:
        if not self.quiet & {"progress", "rules", "all"}:
            done, total = self.progress.done.total(), self.progress.total
            self._print(f"[{done:>{len(str(total))}}/{total}] {text}")

    def _job_error(self, record: Any) -> None:
        """The failed job's name, exit and messages, and the end of each of its logs."""
        status, self.exit_status = self.exit_status, ""
        if self.interrupted:  # it did not fail, it was stopped
            self.progress.running.pop(record.jobid, None)
            return
        unseen = Job(record.rule_name, job_label(record.rule_name, None), record.created)
        job = self.progress.fail(record.jobid, unseen)
        exit_text = f"{status}, " if status else ""
        after = duration(record.created - job.started)
        lines = [f"FAILED  {job.label}  ({exit_text}after {after})"]
        if record.rule_msg:
            lines.append(f"  {record.rule_msg}")
        lines += [f"  {name}: {value}" for name, value in (record.aux or {}).items()]
        for log in record.log or ():
            lines += [f"  log: {log}", *last_lines(Path(str(log)))]
        if not record.log:
            lines.append("  (the rule has no log)")
        self._print("\n".join(lines), "red")

    def _shell_command(self, record: Any) -> None:
        command = getattr(record, "shellcmd", None) or getattr(record, "cmd", None)
        if self.common_settings.printshellcmds and command:
            self._print(str(command))

    def _message(self, record: logging.LogRecord) -> None:
        """Warnings and errors in full; of the rest, what is not chatter."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._error(text)
        elif record.levelno >= logging.WARNING:
            self._print(text, "yellow")
        elif self.common_settings.verbose:
            self._print(text)
        elif record.levelno >= logging.INFO and ("all" not in self.quiet or self.dry_run):
            self.interrupted |= text.startswith("Terminating processes on user request")
            if not text.startswith(CHATTER):
                self._print(text)

    def _error(self, text: str) -> None:
        if text.startswith(RUN_FAILED) and (self.progress.failed or self.interrupted):
            self._end()
        elif command_failed := COMMAND_FAILED.match(text):
            # The JOB_ERROR that follows at once tells it with the job's name and log.
            self.exit_status = command_failed["how"]
        else:
            self._print(text, "red")

    def _end(self) -> None:
        """Say once how it went."""
        if self.ended:
            return
        self.ended = True
        if self.dry_run:
            self._print(f"\n{self.job_table}")
            return
        progress, now = self.progress, time.time()
        if self.live is not None:
            self.live.stop(progress.snapshot(now))
        if "all" not in self.quiet:
            self._summarize(duration(now - progress.started))
        self.live = None

    def _summarize(self, took: str) -> None:
        progress = self.progress
        done, total, failed = progress.done.total(), progress.total, len(progress.failed)
        counted = "progress" not in self.quiet  # with -q Snakemake does not tell what finished
        again = "Run the same command again to go on; finished jobs are kept."
        if done >= total:
            self._print(f"All {total} jobs done in {took}.", "green")
        elif counted and (self.interrupted or not failed):
            self._print(f"Stopped after {took} with {done} of {total} jobs done. {again}")
        elif failed:
            names = "".join(f"\n  {job.label}" for job in progress.failed.values())
            waiting = total - done - failed
            rest = f", {waiting} could not start because of that" if counted and waiting else ""
            self._print(f"{failed} of {total} jobs failed{rest} ({took}):{names}\n{again}", "red")

    def _print(self, text: str, style: str = "") -> None:
        if self.live is not None:
            self.live.print(text, style)
        else:
            self._write_plainly(text)

    def _write_plainly(self, text: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(text, file=self.stream, flush=True)
        except (OSError, ValueError):  # the reader has gone (`| head`), or the stream is closed
            pass


def last_lines(log: Path) -> list[str]:
    """The last lines of a log, indented; a sentence in their place when there are none."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            lines = deque((line.rstrip() for line in file), maxlen=LOG_LINES)
    except OSError:
        return ["    (this log was not written)"]
    if not lines:
        is_full = shutil.disk_usage(log.parent).free < FULL_BYTES
        reason = "; its disk is full: free some space" if is_full else ""
        return [f"    (this log is empty{reason})"]
    return [f"    {line}" for line in lines]
