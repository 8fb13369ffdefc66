"""
The frame around every script of the workflow: its command line, its record, its errors.

A script defines `main` with its settings, inputs and outputs as keyword arguments and calls
`run(main)`. The same line then runs by hand, under Snakemake and under `accelerate launch`, where
the main process alone writes: outputs, training state, record and log.
"""

import atexit
import contextlib
import ctypes
import functools
import gc
import hashlib
import inspect
import os
import platform
import resource
import sys
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, get_type_hints

import typer

from overopt.errors import UserError
from overopt.jobs import provenance
from overopt.jobs.file_list import with_listed_files
from overopt.jobs.outputs import Outputs, check_inputs, explain
from overopt.jobs.plugins import code_modules, load_plugins, without_plugins
from overopt.jobs.processes import Processes
from overopt.terminal import show_any_character

# A script imports this module first (workflow/scripts/ruff.toml sees to it). Importing torch and
# transformers then makes 700,000 objects that stay, and Python would walk them again and again in
# search of garbage: collecting once every 100,000 of them took a tenth longer than never. So there
# is no collection before `run`.
gc.set_threshold(1_000_000)
# Nor does Python's end need any: it would walk all of them twice more, for nothing.
atexit.register(gc.freeze)

Settings = Annotated[str, typer.Option("--config", help="Settings of the job, as JSON.")]
Input = Annotated[Path, typer.Option(help="Read.", exists=True)]
Inputs = Annotated[
    list[Path], typer.Option(help="Read; give the option once per file.", exists=True)
]
Output = Annotated[Path, typer.Option(help="Written, when the job is done.")]
CodeOption = Annotated[str, typer.Option(help="Digest of the code; computed if not given.")]

# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Job:
    """What a job knows of itself.

    Attributes
    ----------
    fingerprint : of settings, code and the bytes of all inputs; a saved training state counts
        only under the fingerprint it was made with.
    processes : those that do this job together.
    """

    fingerprint: str
    processes: Processes = Processes()

    def stop_workers(self) -> None:
        """End every process but the main one: what is left is to measure and to write."""
        self.processes.disconnect()
        if not self.processes.is_main:
            raise _WorkIsDone


class _WorkIsDone(Exception):
    """Ends a process, though not the main one, whose share of the work is done."""


def run(main: Callable[..., None]) -> None:
    """Run `main` from the command line; write its run record; print a user's mistake plainly.

    `main`'s first parameter receives the `Job`; the others become options. Two options are added:
    `--code`, the digest of the code (computed where it is not given), and `--record`, the path
    of the run record.
    """
    show_any_character()
    # What was imported stays; no later collection need walk it.
    gc.freeze()
    gc.set_threshold(100_000)
    # Plain tracebacks: a log is read in an editor, and may be all that is left of a job.
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_recorded(main))
    try:
        arguments = with_listed_files(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    app(args=arguments)


def _recorded(main: Callable[..., None]) -> Callable[..., None]:
    hints = get_type_hints(main, include_extras=True)
    parameters = list(inspect.signature(main).parameters.values())[1:]  # the first is the Job

    @functools.wraps(main)
    def recorded(record: Path, code: str, **arguments: str | Path | list[Path]) -> None:
        try:
            _perform(main, hints, record, code, arguments)
        except Exception as error:
            message = str(error) if isinstance(error, UserError) else explain(error, record)
            if Processes.of_this_job().number > 1:
                _end_all(error, message)
            if message is None:
                raise
            print(f"error: {message}", file=sys.stderr)
            raise typer.Exit(1) from None

    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [parameter.replace(kind=keyword) for parameter in parameters]
    options += [
        inspect.Parameter("code", keyword, default="", annotation=CodeOption),
        inspect.Parameter("record", keyword, annotation=Output),
    ]
    recorded.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    recorded.__annotations__ = {
        **{parameter.name: hints[parameter.name] for parameter in parameters},
        "code": CodeOption,
        "record": Output,
    }
    return recorded


def _perform(
    main: Callable[..., None],
    hints: dict[str, object],
    record: Path,
    code: str,
    arguments: dict[str, str | Path | list[Path]],
) -> None:
    """Check the inputs, call `main`, publish what it wrote, and write the record last."""
    clock = _Clock()
    script = Path(inspect.getfile(main)).resolve()
    config = str(arguments.get("config", ""))
    own_config, plugins = without_plugins(config)
    load_plugins(plugins)
    code = code or provenance.code_digest(script, REPOSITORY / "src", code_modules(plugins))
    _make_deterministic()
    keep_freed_memory()
    _quiet_libraries()
    inputs = _inputs(arguments, hints)
    check_inputs(inputs)
    processes = Processes.of_this_job()
    job = Job(_fingerprint(config, code, inputs), processes)
    outputs = Outputs(script.stem, processes)
    arguments = {**arguments, "config": own_config} if "config" in arguments else arguments
    places = {
        name: outputs.place(Path(str(value)))
        for name, value in arguments.items()
        if hints[name] == Output
    }
    # The main process holds the locks now, and has removed what an earlier start left.
    processes.connect()
    if not processes.is_main:
        with contextlib.suppress(_WorkIsDone), _silence():
            main(job, **(arguments | places))
        return
    main(job, **(arguments | places))
    processes.disconnect()
    written = outputs.publish()
    provenance.write_json(
        record,
        provenance.sealed(
            {
                "rule_script": script.name,
                "code": code,
                "config": config or None,
                "inputs": inputs,
                "outputs": written,
                "git": provenance.git_state(REPOSITORY),
                "versions": provenance.package_versions(),
                "device": provenance.device_name(),
                "num_processes": processes.number,
                "machine": platform.node(),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                **clock.read(),
            }
        ),
    )


@contextlib.contextmanager
def _silence() -> Generator[None]:
    """The log is the main process's; what fails is still said."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _end_all(error: Exception, message: str | None) -> NoReturn:
    """End this one of several processes at once, by which its launcher ends the others.

    The launcher, whose own report stands last in the log, gets the error too. An orderly exit could
    wait for processes that wait for this one.
    """
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    processes = Processes.of_this_job()
    said = f"error: {message}\n" if message else traceback.format_exc()
    print(f"process {processes.rank} of {processes.number}: {said}", end="", file=sys.stderr)
    if "TORCHELASTIC_ERROR_FILE" in os.environ:
        get_error_handler().record_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _inputs(
    arguments: dict[str, str | Path | list[Path]], hints: dict[str, object]
) -> dict[str, str]:
    """SHA-256 of every input file, by path."""
    paths: list[Path] = []
    for name, value in arguments.items():
        if hints[name] in (Input, Inputs):
            paths += value if isinstance(value, list) else [Path(str(value))]
    return {path.as_posix(): provenance.file_sha256(path) for path in paths}


def _fingerprint(config: str, code: str, inputs: dict[str, str]) -> str:
    text = "\0".join([config, code, *inputs.values()])
    return hashlib.sha256(text.encode()).hexdigest()


def _make_deterministic() -> None:
    """Same inputs, same bytes: one thread unless told otherwise, deterministic kernels only."""
    os.environ.setdefault("RAYON_NUM_THREADS", "1")  # tokenizers take every core otherwise
    torch = sys.modules.get("torch")
    if torch is None:  # a job of statistics: nothing to set, and importing it costs a second
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    # As `use_deterministic_algorithms`, which imports the compiler to tell it too: a second a job.
    torch.set_deterministic_debug_mode("error")
    # Filling fresh memory with NaN would cost the sampler's cache a pass over all of it.
    torch.utils.deterministic.fill_uninitialized_memory = False


def keep_freed_memory() -> None:
    """Have the C library keep freed memory, up to 128 MB, for the next tensors of this process.

    By its own settings it gives back the memory of every pass, and the kernel clears each page
    anew for the next pass: up to a fifth of the processor's time. Peaks grow by at most that much.
    """
    c_library = ctypes.CDLL(None)
    if "torch" in sys.modules and hasattr(c_library, "mallopt"):  # not of macOS, nor of musl
        c_library.mallopt(M_TRIM_THRESHOLD, 128 * 2**20)
        c_library.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that is allowed


def _quiet_libraries() -> None:
    """Keep progress bars and general advice out of the job's log."""
    transformers = sys.modules.get("transformers")
    if transformers is not None:
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()


class _Clock:
    """Wall and CPU seconds of a job, with what its start and its imports took."""

    def __init__(self) -> None:
        self._startup_cpu = time.process_time()
        self._start = time.monotonic()

    def read(self) -> dict[str, float]:
        """Seconds and peak memory up to now."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "wall_seconds": round(time.monotonic() - self._start, 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "startup_cpu_seconds": round(self._startup_cpu, 3),
            "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        }
