"""The live display on a terminal: one line per stage, the total, elapsed time and time left."""

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_overopt.progress import Snapshot
from snakemake_logger_plugin_overopt.wording import duration, time_left


class LiveDisplay:
    """Draws the latest snapshot; rich's own thread calls `draw`, which touches nothing else."""

    def __init__(self, stream: TextIO, no_color: bool, snapshot: Snapshot) -> None:
        self.console = Console(file=stream, no_color=no_color or None, highlight=False)
        self.snapshot = snapshot
        self.live = Live(
            get_renderable=self.draw,
            console=self.console,
            refresh_per_second=4,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self.live.start(refresh=True)

    def print(self, text: str, style: str = "") -> None:
        """Print above the display."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def stop(self, snapshot: Snapshot) -> None:
        """Draw once more and leave that on the screen."""
        self.snapshot = snapshot
        self.live.stop()

    def draw(self) -> Group:
        """The snapshot at this moment, no higher than the terminal."""
        now, shot = time.time(), self.snapshot
        left = None if shot.seconds_left is None else shot.seconds_left - (now - shot.taken)
        head = f"{shot.done} of {shot.total} jobs done   {duration(now - shot.started)}"
        if shot.running:
            head += f", {time_left(left)}"
        room = max(self.console.height - 3 - min(len(shot.running), 4), 3)
        stages = list(shot.stages)
        if len(stages) > room:
            stages = [stage for stage in stages if stage[1] < stage[2]][:room]
        table = Table.grid(padding=(0, 2))
        for rule, done, total, running, failed in stages:
            style = "green" if done == total else "bold" if running else "dim"
            note = f"{running} running" if running else ""
            note = f"{failed} failed  {note}" if failed else note
            table.add_row(
                Text(f"  {rule.replace('_', ' ')}", style=style),
                Text(f"{done}/{total}", style=style, justify="right"),
                ProgressBar(total=max(total, 1), completed=done, width=24),
                Text(note, style="red" if failed else "dim"),
            )
        jobs = [
            Text(f"  {job.label}  {duration(now - job.started)}", style="dim", no_wrap=True)
            for job in shot.running[:4]
        ]
        return Group(Text(head, style="bold"), table, *jobs)
