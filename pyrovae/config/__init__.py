"""Config: constructor call <-> plain tree <-> text, one to one.

`to_tree` and `from_tree` are each other's inverse on every part of every room; `dump`, `parse` and
`read` write and read trees as text; `complete` checks a tree that a user wrote.
"""

from pyrovae.config.check import complete, named_classes, own_arguments
from pyrovae.config.names import ROOMS, choices, find, find_class, of_room, public_path
from pyrovae.config.signature import Argument, arguments, literals
from pyrovae.config.suggested import suggested
from pyrovae.config.text import dump, parse, read
from pyrovae.config.tree import from_tree, to_tree
from pyrovae.config.written import Written

__all__ = [
    "ROOMS",
    "Argument",
    "Written",
    "arguments",
    "choices",
    "complete",
    "dump",
    "find",
    "find_class",
    "from_tree",
    "literals",
    "named_classes",
    "of_room",
    "own_arguments",
    "parse",
    "public_path",
    "read",
    "suggested",
    "to_tree",
]
