"""The verb `compare`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyrovae.cli.arguments import Parser, allowed_packages, positive
from pyrovae.cli.errors import UsageError
from pyrovae.numeric import is_count, is_seed
from pyrovae.spelling import nearest

if TYPE_CHECKING:
    from pyrovae.cli.flags import Flags
    from pyrovae.comparison import Varied

SEEDS = 5
_MOST = 10_000  # seeds; more of them are a mistake

_MORE = """\
Any option of `pyrovae train` may be given as well, and holds for all cells. A cell is a run of its
own in OUT/cells. The same command goes on with a comparison that was interrupted, and adds cells
where --vary has more values or --seeds more seeds. Beside each row of a model with a classifier
stand two baselines: the same classifier network trained on the labels alone, and one on the latent
means of a plain VAE (M1). Reports are left out unless --report true is given.

It writes table.md (means over seeds with their 95 % intervals, and differences over the same
seeds), table.csv (a line for each cell) and figure.png.
"""


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "compare",
        "Train and evaluate every combination of varied settings over several seeds, as one table.",
        example="pyrovae compare --vary model.prior=StandardNormal,VampPrior --seeds 5 --epochs 20",
        more=_MORE,
    )
    made.add_argument("--config", metavar="FILE", help="settings that all cells share")
    made.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="a setting and its values, such as data.labels=100,1000; several of them make a grid",
    )
    made.add_argument(
        "--seeds",
        default=str(SEEDS),
        metavar="N",
        help="how many seeds, from 0 on, or the seeds themselves with commas between; each is the "
        "seed of a run, and of its draw of labels",
    )
    made.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="how many cells run side by side; they share the cores",
    )
    made.add_argument(
        "--out",
        metavar="FOLDER",
        help="where it all goes (default: runs/compare-DATA)",
    )
    made.add_argument(
        "--no_baselines", action="store_true", help="leave the baselines of classifiers out"
    )
    made.takes_allow()
    return made


def run(words: Sequence[str]) -> int:
    """Run a comparison as the words say, or go on with it."""
    words = ["--help" if word == "-h" else word for word in words]
    if "--help" in words:
        parser().read(["--help"])
        return 0
    from pyrovae.cli.comparing import compare
    from pyrovae.cli.flags import lex
    from pyrovae.cli.help import train_help
    from pyrovae.cli.train import BOOLEANS, SWITCHES

    if any(word.endswith(".help") for word in words):
        print(train_help(words), end="")
        return 0
    flags = lex(words, switches=(*SWITCHES, "no_baselines"), booleans=BOOLEANS)
    asked = _varied(flags)
    seeds = seeds_of(_last(flags, "seeds") or str(SEEDS))
    jobs = _jobs(_last(flags, "jobs") or "1")
    out = _last(flags, "out")
    allow = allowed_packages(flags.take("allow"))
    _check_names(flags)
    return compare(
        flags,
        asked,
        seeds,
        out=out,
        jobs=jobs,
        allow=allow,
        with_baselines="no_baselines" not in flags.switches,
    )


def seeds_of(text: str) -> tuple[int, ...]:
    """Return the seeds that a word after `--seeds` stands for.

    Raises:
        UsageError: it stands for none.

    Example:
        >>> seeds_of("3"), seeds_of("3,7"), seeds_of("[3]")
        ((0, 1, 2), (3, 7), (3,))
    """
    problem = UsageError(
        [
            f"--seeds: expected how many there are, at most {_MOST}, or different seeds such as "
            f"3,7; got {text!r}"
        ]
    )
    words = [word.strip() for word in text.strip().strip("[]").split(",")]
    listed = "," in text or text.strip().startswith("[")
    try:
        numbers = tuple(int(word) for word in words if word)
    except ValueError as error:
        raise problem from error
    if not listed and numbers and is_count(numbers[0]) and numbers[0] <= _MOST:
        return tuple(range(numbers[0]))
    if not listed or not numbers or len(set(numbers)) < len(numbers) or len(numbers) > _MOST:
        raise problem
    if not all(map(is_seed, numbers)):
        raise problem
    return numbers


def _varied(flags: "Flags") -> "list[Varied]":
    """Return what is varied, taken from the words."""
    from pyrovae.comparison import varied

    found: list[Varied] = []
    problems = []
    for text in flags.take("vary"):
        try:
            setting = varied(text)
        except ValueError as error:
            problems.append(str(error))
            continue
        if setting.key in (other.key for other in found):
            problems.append(f"--vary {setting.key}: it is varied twice; write all values in one")
        if setting.key in _ELSEWHERE:
            problems.append(f"--vary {setting.key}: {_ELSEWHERE[setting.key]}")
        found.append(setting)
    if problems:
        raise UsageError(problems)
    return found


_ELSEWHERE = {
    "seed": "the seeds of a comparison are given by --seeds",
    "resume": "the same command goes on with a comparison that was interrupted",
    "print_config": "pyrovae train --print_config prints settings, without --vary and --seeds",
    "config": "only settings can be varied; a file of them is the same for all cells",
    "out": "each cell has a folder of its own in --out",
    "allow": "it is the same for all cells",
}


def _last(flags: "Flags", name: str) -> str | None:
    return next(reversed(flags.take(name)), None)


def _jobs(text: str) -> int:
    from pyrovae.cli.cells import cores

    most = cores()
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise UsageError(
            [f"--jobs: expected an integer from 1 to {most}, the cores there are; got {text!r}"]
        )
    return int(text)


def _check_names(flags: "Flags") -> None:
    """Raise where an option is none of this verb, before `train` says that it is none of its."""
    from pyrovae.cli.settings import options
    from pyrovae.config import arguments

    own = [action.option_strings[-1].removeprefix("--") for action in parser()._actions]
    known = [*own, *arguments(options)]
    problems = []
    for name in [*flags.switches, *(flag for flag, _ in flags.values)]:
        first = name.partition(".")[0]
        if name in ("seed", "resume", "print_config"):
            problems.append(f"--{name}: {_ELSEWHERE[name]}")
        elif first not in known:
            problems.append(f"there is no option '--{first}'{nearest(first, known)}")
    if problems:
        raise UsageError(problems)
