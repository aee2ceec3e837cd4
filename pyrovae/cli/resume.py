"""Resuming: the settings of a run that goes on are its own."""

import os
from pathlib import Path

from pyrovae.cli.errors import UsageError
from pyrovae.cli.flags import Flags
from pyrovae.cli.run_folder import CONFIG
from pyrovae.files import own_file, require_run
from pyrovae.spelling import nearest

ALLOWED = ("epochs", "samples", "device", "report", "tensorboard")


def settings_of_run(flags: Flags, name: str, out: str | None) -> None:
    """Have the settings read from a run's own configuration.

    Arguments:
        flags: the words of the command line; the run's file is added to them.
        name: the run folder, after `--resume`.
        out: what was given as `--out`, which has no place here.

    Raises:
        FileNotFoundError: there is no such run, or it was not begun by this command.
        OSError: its configuration is no file.
        UsageError: other settings were given.
        ValueError: its configuration is a link that leads elsewhere.
    """
    folder = Path(name).expanduser()
    require_run(folder, holding=[CONFIG])
    if not os.path.lexists(folder / CONFIG):
        raise FileNotFoundError(
            f"{folder} holds no {CONFIG}, so it is no run of `pyrovae train`; one of "
            f"pyrovae.fit(out=...) goes on by fit(resume=...)"
        )
    others = [flag for flag, _ in flags.values if flag not in ALLOWED]
    others += [] if out is None else ["out"]
    if others:
        raise UsageError(
            [
                f"--resume goes on with the settings of {folder}; beside it only "
                f"{', '.join(f'--{flag}' for flag in ALLOWED)} may be given; "
                f"got {', '.join(f'--{flag}' for flag in dict.fromkeys(others))}"
                f"{nearest(others[0], ALLOWED)}"
            ]
        )
    flags.values.insert(0, ("config", str(own_file(folder, CONFIG))))
