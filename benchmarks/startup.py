"""How long the command takes before it does anything, against what it has to import.

Help: `pyrovae --help` against starting Python.

First step: `pyrovae train` on the digits up to the end of its first training step, against
importing torch, Pyro, Lightning Fabric and `sklearn.datasets`, without which there is no such step.

Every start is a process of its own; ways run in turns. What counts is the best of each, since
whatever else the machine does only ever adds.

    python benchmarks/startup.py [--repeats ROUNDS] [--quick]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from tempfile import TemporaryDirectory

from _timing import alternate, table

FIRST_STEP = """
import os, sys
from pyrovae.training.run import Run
step = Run._train_step

def first(run, batch):
    step(run, batch)
    os._exit(0)

Run._train_step = first
from pyrovae.__main__ import main
main(["train", "--out", sys.argv[1]])
"""
IMPORTS = "import torch, pyro, lightning_fabric, sklearn.datasets"
HELP = "from pyrovae.__main__ import main; main(['--help'])"


def start(code: str, *, in_a_folder: bool = False) -> Callable[[], object]:
    """Return a function that runs code in a new process of Python."""

    def block() -> None:
        with TemporaryDirectory() as folder:
            arguments = [f"{folder}/run"] if in_a_folder else []
            command = [sys.executable, "-c", code, *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return block


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="counted starts of each way")
    parser.add_argument("--quick", action="store_true", help="one start of each way")
    given = parser.parse_args(words)
    rounds = 1 if given.quick else given.repeats
    ways = {"ours": start(HELP), "Python alone": start("pass")}
    times = alternate(ways, rounds=rounds)
    print(table("pyrovae --help", times, ours="ours", unit="s"))
    more = min(times["ours"]) - min(times["Python alone"])
    print(f"  best of {rounds}: {more:.3f} s more than starting Python\n")
    ways = {"ours": start(FIRST_STEP, in_a_folder=True), "the imports alone": start(IMPORTS)}
    times = alternate(ways, rounds=rounds)
    print(table("pyrovae train, to the end of its first step", times, ours="ours", unit="s"))
    share = min(times["ours"]) / min(times["the imports alone"])
    print(f"  best of {rounds}: {share:.3f} times the imports alone")


if __name__ == "__main__":
    main()
