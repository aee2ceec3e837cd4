"""A process that opens hostile folders, each in a child of its own, and says what happened there.

It is started once and loads everything once; a child is a fork with limits on memory and time, in
which every event that Python's audit hooks see is written down: files opened, modules imported,
processes started, connections made. A line of JSON asks for one child, and a line answers.
"""

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ABOUT = {"socket.connect": 1}  # which argument says what an event is about, 0 for most
SILENT = (  # events of honest code that change nothing
    "object.__getattr__",
    "object.__setattr__",
    "object.__delattr__",
    "sys._getframe",
    "sys.setprofile",
    "compile",
    "exec",  # of a module's code or a dataclass; what is imported is watched by itself
    "marshal.loads",
    "os.listdir",
    "os.scandir",
    "pathlib.Path.glob",
    "builtins.id",
    "cpython.run_stdin",
    "mmap.__new__",
    "gc.get_objects",
    "resource.setrlimit",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def load(run: Path) -> None:
    """Load the model of a run."""
    import pyrovae

    pyrovae.load(run / "model")


def from_tree(run: Path) -> None:
    """Make the model that a run's model folder describes."""
    from pyrovae.config import from_tree, read
    from pyrovae.models import Model

    from_tree(read(run / "model" / "config.yaml")["model"], expected=Model, path="model")


def fit(run: Path) -> None:
    """Go on with a run from Python, with a model of one's own."""
    import torch

    import pyrovae
    from pyrovae.data import Arrays
    from pyrovae.likelihoods import Bernoulli
    from pyrovae.networks import MLP
    from pyrovae.posteriors import MeanFieldNormal
    from pyrovae.priors import StandardNormal

    model = pyrovae.VAE(
        prior=StandardNormal(2),
        likelihood=Bernoulli((6,)),
        posterior=MeanFieldNormal(),
        encoder=MLP((5,)),
        decoder=MLP((5,)),
    )
    pyrovae.fit(
        model,
        Arrays("rows.npz", valid=4, test=4),
        resume=run,
        epochs=3,
        batch_size=5,
        seed=0,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3, fused=True),
        progress=False,
    )


def command(*words: str) -> Callable[[Path], int]:
    """Return what runs a command of the command line, with the run in the place of RUN."""

    def run_it(run: Path) -> int:
        from pyrovae.__main__ import main

        return main([word.replace("RUN", str(run)) for word in words])

    return run_it


def misbehave(run: Path) -> None:
    """Do all that the watcher must see."""
    import evil_module  # noqa: F401

    Path("secret.npz").read_bytes()
    (run.parent / "elsewhere").write_text("")
    (run.parent / "elsewhere").rename(run.parent / "moved")
    subprocess.run(["true"], check=True)
    os.system("true")


ENTRIES: dict[str, Callable[[Path], int | None]] = {
    "load": load,
    "from_tree": from_tree,
    "fit": fit,
    "evaluate": command("evaluate", "RUN", "--samples", "3"),
    "sample": command("sample", "RUN", "--n", "2"),
    "config": command("train", "--config", "RUN/config.yaml", "--out", "RUN-new"),
    "resume": command("train", "--resume", "RUN", "--epochs", "3"),
    "misbehave": misbehave,
}


def child(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked for under limits, and return what happened."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + order["memory"], used + order["memory"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**26, 2**26))
    signal.alarm(order["seconds"])
    before = set(sys.modules)
    events: dict[tuple[str, str, bool], None] = {}
    listening = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event not in SILENT:
            at = ABOUT.get(event, 0)
            about = arguments[at] if len(arguments) > at else ""
            about = os.fsdecode(about) if isinstance(about, bytes) else str(about)
            writes = event == "open" and bool((arguments[2] or 0) & WRITING)
            events[event, about, writes] = None

    result: dict[str, Any] = {"code": None, "raised": [], "text": ""}
    said, out = io.StringIO(), io.StringIO()
    began = time.monotonic()
    sys.addaudithook(hook)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
        try:
            result["code"] = ENTRIES[order["entry"]](Path(order["run"]))
        except BaseException as error:
            result["raised"] = [kind.__name__ for kind in type(error).__mro__]
            result["text"] = str(error)
    listening = False
    result["seconds"] = time.monotonic() - began
    result["events"] = list(events)
    result["modules"] = sorted(set(sys.modules) - before)
    result["errors"] = said.getvalue()
    return result


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Return what happened to a child, also where it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            result = child(order)
            with os.fdopen(writing, "w") as pipe:
                json.dump(result, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {**json.loads(text or "{}"), "killed": os.waitstatus_to_exitcode(status)}


def main() -> None:
    """Try every entry once, so that all is loaded, then answer the lines of standard input."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    warm = Path(json.loads(sys.stdin.readline())["run"])
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        for name, entry in ENTRIES.items():
            if name != "misbehave":
                entry(warm)
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
