"""A process that has loaded all that training needs, and forks a child for each command.

A child is a process of its own, that can be killed, interrupted and kept from writing, and begins
in milliseconds: loading torch takes seconds. A line of JSON asks, and a line answers.
"""

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

ERRORS: dict[int, int] = {}  # of each child, where its errors are read


def load() -> None:
    """Import what the commands import when they need it."""
    import sklearn.datasets  # noqa: F401

    import pyrovae.cli.evaluate
    import pyrovae.cli.train
    import pyrovae.data
    import pyrovae.evaluation
    import pyrovae.training  # noqa: F401


def write_slowly() -> None:
    """Let each file of tensors be half of itself for three seconds, and then whole."""
    from pyrovae.training import checkpoints

    write = checkpoints.write_tensors

    def slowly(tensors: Mapping[str, Any], file: Any) -> None:
        names = list(tensors)
        write({name: tensors[name] for name in names[: len(names) // 2]}, file)
        time.sleep(3.0)
        write(tensors, file)

    checkpoints.write_tensors = slowly


def child(order: dict[str, Any], errors: int) -> int:
    """Run a command as a process of its own would, and return its exit code."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, opened in enumerate((nothing, nothing, errors)):
        os.dup2(opened, number)
    if order["slow"]:
        write_slowly()
    if order["limit"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"],) * 2)
    words = order["words"]
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(words[1], {"__name__": "__main__"})
        return 0
    from pyrovae.__main__ import main

    return main(words)


def begin(order: dict[str, Any]) -> int:
    """Begin a child, and return its id; what it writes to standard error is kept in a pipe."""
    kept, errors = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = child(order, errors)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(errors)
    ERRORS[pid] = kept
    return pid


def ended(pid: int) -> tuple[int, str] | None:
    """Return how a child ended, its code or minus the signal, and its errors; None before."""
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found:
        return None
    with os.fdopen(ERRORS.pop(pid), encoding="utf-8") as file:
        return os.waitstatus_to_exitcode(status), file.read()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # though a shell had it ignored
    load()
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(begin(order) if "words" in order else ended(order["pid"])), flush=True)
