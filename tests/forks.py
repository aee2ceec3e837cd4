"""Commands as processes of their own, without the seconds in which a process loads torch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrovae

WORKER = Path(__file__).with_name("forking_worker.py")


class Forked:
    """A running command, as `subprocess.Popen` has it.

    Arguments:
        ask: what puts a question to the worker whose child it is.
        pid: its id.
    """

    def __init__(self, ask: Callable[..., Any], pid: int) -> None:
        self._ask = ask
        self.pid = pid
        self.returncode: int | None = None
        self.errors = ""

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and (ended := self._ask(pid=self.pid)):
            self.returncode, self.errors = ended
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def finish(self, *, timeout: float) -> str:
        """Wait for the end, and return what it wrote to standard error."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.send_signal(signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} has not ended after {timeout} s")
            time.sleep(0.005)
        return self.errors


class Forks:
    """The worker, which is started with the first command."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None

    def begin(self, *words: str, slow: bool = False, limit: int | None = None) -> Forked:
        """Begin a command.

        Arguments:
            *words: of the command; or `-c`, code and its arguments, as Python takes them.
            slow: whether each file of tensors is written in two halves, three seconds apart.
            limit: how many bytes a file may have, if there is a limit.
        """
        return Forked(self._ask, self._ask(words=words, slow=slow, limit=limit))

    def _ask(self, **order: Any) -> Any:
        if self._worker is None:
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": "1",  # and so no threads, which a fork would leave behind
                "CUDA_VISIBLE_DEVICES": "",  # nor an accelerator
                "PYTHONPATH": str(Path(pyrovae.__file__).parents[1]),
            }
            environment.pop("COVERAGE_PROCESS_CONFIG", None)  # what is killed leaves half files
            self._worker = subprocess.Popen(
                [sys.executable, str(WORKER)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(order) + "\n")
        self._worker.stdin.flush()
        return json.loads(self._worker.stdout.readline())

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.communicate(timeout=60)
