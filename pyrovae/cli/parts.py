"""The verb `parts`."""

from collections.abc import Sequence

from pyrovae.cli.arguments import Parser
from pyrovae.cli.errors import UsageError
from pyrovae.spelling import nearest


def parser() -> Parser:
    """Return what reads the words of this verb."""
    made = Parser(
        "parts",
        "List every part there is: its constructor call and what it is; or what goes with what.",
        example="pyrovae parts --room priors",
    )
    made.add_argument(
        "--room", metavar="ROOM", help="one room, such as likelihoods (default: all of them)"
    )
    made.add_argument(
        "--table",
        action="store_true",
        help="say of every prior and posterior whether they fit, and how their KL is taken",
    )
    return made


def run(words: Sequence[str]) -> int:
    """List the parts of all rooms, or of one, or what goes with what."""
    given = parser().read(words)
    if given is None:
        return 0
    from pyrovae.cli.help import call_of, summary_of
    from pyrovae.config import ROOMS, of_room

    if given.table:
        from pyrovae.parts import table

        if given.room is not None:
            raise UsageError(["--table is of priors and posteriors: leave out --room"])
        print(table())
        return 0

    if given.room is not None and given.room not in ROOMS:
        hint = nearest(given.room, ROOMS)
        raise UsageError([f"--room: one of {', '.join(ROOMS)}; got {given.room!r}{hint}"])
    for room in ROOMS if given.room is None else [given.room]:
        print(f"pyrovae.{room}")
        for part in of_room(room).values():
            print(f"  {call_of(part)}\n      {summary_of(part)}")
    return 0
