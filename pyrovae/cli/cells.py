"""Cells: the runs of a comparison as processes, some of them side by side."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pyrovae.cli.leash import GRACE
from pyrovae.comparison.folder import (
    LOCK,
    Ended,
    clear,
    config_file,
    log_file,
    read_ended,
    run_folder,
    state_of,
    write_ended,
)
from pyrovae.comparison.plan import Cell

COMMAND = (sys.executable, "-m", "pyrovae.cli.leash", "train")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TICK = 0.05  # seconds between two looks at what runs
_PATIENCE = 5.0  # seconds in which what an earlier call left behind has time to stop
_TAIL = 65536  # bytes of a log in which the reason of a failure is looked for


def cores() -> int:
    """Return how many cores this process may use."""
    with suppress(AttributeError):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep a folder for this process and its children inside this context.

    The lock is held by whoever has the file open, so that it outlives a process that is killed for
    as long as its children do.

    Arguments:
        folder: the folder of a comparison.

    Raises:
        OSError: another process keeps it.
    """
    with (folder / LOCK).open("w") as file:
        deadline = time.monotonic() + GRACE + _PATIENCE
        said = False
        while not _taken(file.fileno()):
            if not said:
                print(f"waiting for another process at work in {folder}", flush=True)
                said = True
            if time.monotonic() > deadline:
                raise OSError(
                    f"another pyrovae compare is at work in {folder}: wait for its end, or choose "
                    f"another --out"
                )
            time.sleep(_TICK)
        yield file.fileno()


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass
class _Running:
    """A cell that runs.

    Arguments:
        cell: the cell.
        process: its process.
        began: when it was started, by the monotonic clock.
        before: the seconds that earlier attempts have taken.
    """

    cell: Cell
    process: subprocess.Popen[bytes]
    began: float
    before: float

    @property
    def seconds(self) -> float:
        """How long it has taken, all attempts together."""
        return self.before + time.monotonic() - self.began


class Cells:
    """The cells of a comparison, run to their ends.

    Arguments:
        folder: the folder of the comparison.
        jobs: how many run side by side.
        allow: packages beside pyrovae whose classes may be named.
        lock: the file that keeps the folder.
    """

    def __init__(self, folder: Path, *, jobs: int, allow: Sequence[str], lock: int) -> None:
        self.folder = folder
        self.jobs = jobs
        self.allow = tuple(allow)
        self.lock = lock
        self._running: list[_Running] = []

    def run(self, cells: Iterable[Cell]) -> Generator[tuple[Cell, Ended], None, None]:
        """Run cells, and yield each with its end as soon as it has come to one.

        Those that still run when this is left by an error or Ctrl-C are stopped, and keep what a
        later call goes on from.
        """
        waiting = list(cells)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self.jobs:
                    self._running.append(self._begin(waiting.pop(0)))
                for running in list(self._running):
                    code = running.process.poll()
                    if code is not None:
                        self._running.remove(running)
                        yield running.cell, self._end(running, code)
                time.sleep(_TICK)
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop what runs, as by Ctrl-C, and without asking where that takes too long."""
        for running in self._running:
            if running.process.stdin is not None:
                running.process.stdin.close()
        deadline = time.monotonic() + GRACE
        try:
            for running in self._running:
                with suppress(subprocess.TimeoutExpired):
                    running.process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # a second Ctrl-C waits no longer
            for running in self._running:
                running.process.kill()
                running.process.wait()
                if read_ended(self.folder, running.cell).finished:
                    continue
                write_ended(self.folder, running.cell, Ended(seconds=running.seconds))
            self._running.clear()

    def _begin(self, cell: Cell) -> _Running:
        """Start a cell, or go on with it."""
        clear(self.folder, cell)
        run = str(run_folder(self.folder, cell))
        words = ["--config", str(config_file(self.folder, cell)), "--out", run]
        if state_of(self.folder, cell) != "new":
            words = ["--resume", run]
        for package in self.allow:
            words += ["--allow", package]
        threads = str(max(1, cores() // self.jobs))
        with log_file(self.folder, cell).open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *words],
                env={**os.environ, **dict.fromkeys(_THREADS, threads)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it by its leash alone
                pass_fds=(self.lock,),
            )
        before = read_ended(self.folder, cell).seconds
        return _Running(cell, process, time.monotonic(), before)

    def _end(self, running: _Running, code: int) -> Ended:
        """Write down how a cell ended."""
        if running.process.stdin is not None:
            running.process.stdin.close()
        reason = "" if code == 0 else reason_of(log_file(self.folder, running.cell), code)
        ended = Ended(finished=code == 0, seconds=running.seconds, failure=reason)
        write_ended(self.folder, running.cell, ended)
        return ended


def reason_of(log: Path, code: int) -> str:
    """Return the line of a log that says why a run failed.

    It is the last one of an error, else the one that says why training ended, else the last one.

    Arguments:
        log: what the run printed.
        code: its exit code.
    """
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        text = file.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for begin in ("pyrovae: ", "note: training ended"):
        found = [line for line in lines if line.startswith(begin)]
        if found:
            return found[-1].removeprefix("pyrovae: ").removeprefix("note: ")
    by = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    return f"{by}: {lines[-1]}" if lines else by
