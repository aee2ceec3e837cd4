"""Several processes: one command that torchrun has started more than once speaks with one voice."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from pyrovae.cli.errors import UsageError
from pyrovae.launched import launched

SHARED = "train"  # the verb whose work several processes share
_KEY = "pyrovae/spokesman"


@contextmanager
def one_voice(verb: str) -> Iterator[None]:
    """Let only the first process print inside this context.

    Arguments:
        verb: what the processes were started for.

    Raises:
        UsageError: they cannot share its work.
    """
    rank, size = launched()
    if size > 1 and verb != SHARED:
        raise UsageError(
            [
                f"torchrun has started {size} processes, and only pyrovae {SHARED} shares its work "
                f"among several; start pyrovae {verb} once, without torchrun"
            ]
        )
    if rank == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def may_speak() -> bool:
    """Return whether this process is the one to say what has ended the run.

    The first that meets a mistake says it; what the others then meet is that it has gone. They
    agree through the store by which torchrun brings them together.
    """
    rank, size = launched()
    if size == 1:
        return True
    try:
        return _claimed(str(rank))
    except Exception:  # there is no store any more: better twice than never
        return True


def _claimed(name: str) -> bool:
    from datetime import timedelta

    from torch import distributed

    make: Any = distributed.TCPStore  # type: ignore[attr-defined]
    store = make(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        timeout=timedelta(seconds=10),
    )
    key = f"{_KEY}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    return bool(store.compare_set(key, "", name) == name.encode())
