"""The command `pyrovae`: a verb, and what follows it.

Only the verb that was given is imported, so that help answers at once.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pyrovae.cli.errors import UsageError, report, unforeseen
from pyrovae.cli.several import may_speak, one_voice
from pyrovae.cli.verbs import VERBS
from pyrovae.spelling import nearest

MISTAKES = (ValueError, TypeError, OSError, ImportError, MemoryError)

READ_NO_FURTHER = 1
MISTAKE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    It is 0, or 2 for a mistake, 130 for Ctrl-C, and 1 where training ended on what is not finite.

    Arguments:
        argv: the words after `pyrovae`; by default those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = _run(*words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as interrupt:
        if may_speak():
            print(f"pyrovae: interrupted{interrupt}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        _output_works()
        return READ_NO_FURTHER
    except Exception as error:
        if os.environ.get("PYROVAE_TRACEBACK"):
            raise
        if isinstance(error, OSError) and not _output_works() and error.filename is None:
            error.filename = "standard output"
        if may_speak():
            report(error if isinstance(error, MISTAKES) else unforeseen(error))
        return MISTAKE


def _run(verb: str, *words: str) -> int:
    if verb in ("-h", "--help") or (verb == "help" and not words):
        print(_usage())
        return 0
    if verb in ("-V", "--version", "version"):
        from pyrovae import __version__

        print(f"pyrovae {__version__}")
        return 0
    if verb == "help":
        verb, words = words[0], (*words[1:], "--help")
    if verb not in VERBS:
        raise UsageError([_unknown(verb)])
    with one_voice(verb):
        return int(import_module(f"pyrovae.cli.{verb}").run(words))


def _output_works() -> bool:
    """Return whether standard output can be written; if not, the rest of it goes nowhere."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {meaning}" for verb, meaning in VERBS.items())
    return (
        "pyrovae: variational autoencoders as three distributions and a bound\n\n"
        f"usage: pyrovae VERB [...]\n\n{verbs}\n\n"
        "`pyrovae help VERB` lists what a verb takes; `pyrovae train` alone trains on\n"
        "handwritten digits, which need no download; `pyrovae --version` names the version."
    )


def _unknown(verb: str) -> str:
    if verb.startswith("-"):
        return (
            f"a verb comes first, one of {', '.join(VERBS)}: pyrovae train {verb} ...; got {verb!r}"
        )
    return f"there is no verb {verb!r} among {', '.join(VERBS)}{nearest(verb, VERBS)}"


if __name__ == "__main__":
    sys.exit(main())
