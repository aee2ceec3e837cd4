"""Leash: the command in a process that ends when the one that started it does.

`python -m pyrovae.cli.leash train ...` is `pyrovae train ...`, which stops as if by Ctrl-C as soon
as its standard input is closed. So a process that is killed, in whatever way, leaves none behind
that goes on writing, and a run stops with what can be gone on from.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence

GRACE = 30.0  # seconds to stop in before it is ended without asking
KILLED = 137


def main(words: Sequence[str]) -> None:
    """Run the command line as `python -m pyrovae` does, and stop it when standard input ends.

    Arguments:
        words: the words after `pyrovae`.

    Raises:
        SystemExit: at its end, with its exit code.
    """
    # what a shell starts in the background ignores Ctrl-C, and so do its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_hold, args=(os.dup(0),), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["pyrovae", *words]
    runpy.run_module("pyrovae", run_name="__main__", alter_sys=True)


def _hold(leash: int) -> None:
    """Wait for the end of what is read, and end this process then."""
    while os.read(leash, 1):
        continue
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    os._exit(KILLED)


if __name__ == "__main__":
    main(sys.argv[1:])
