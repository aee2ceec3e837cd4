"""The table of cases is complete, and every part declares itself."""

import inspect
from importlib import import_module
from typing import Any

import pytest
from cases import ROOMS

from pyrovae.declared import arguments_of
from pyrovae.distances import Distance, Kernel
from pyrovae.likelihoods import Likelihood, Normal
from pyrovae.models import Model
from pyrovae.networks import Network
from pyrovae.objectives import Objective
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior
from pyrovae.schedules import Schedule

BASES: dict[str, type | tuple[type, ...]] = {
    "priors": Prior,
    "likelihoods": Likelihood,
    "posteriors": Posterior,
    "networks": Network,
    "schedules": Schedule,
    "objectives": Objective,
    "distances": (Distance, Kernel),
    "models": Model,
}
ROWS = [(room, name) for room, rows in ROOMS.items() for name in rows]


def exported(room: str) -> dict[str, type]:
    """Return the concrete classes of a room by name; abstract bases are exempt."""
    module = import_module(f"pyrovae.{room}")
    names = getattr(module, "__all__", [name for name in vars(module) if name[0] != "_"])
    found = {name: getattr(module, name) for name in names}
    return {
        name: kept
        for name, kept in found.items()
        if inspect.isclass(kept) and issubclass(kept, BASES[room]) and not inspect.isabstract(kept)
    }


def namespace(of: str) -> dict[str, Any]:
    """All classes by name; where rooms share one, that of the room asked for, or a likelihood."""
    rooms = [*(room for room in ROOMS if room not in (of, "likelihoods")), "likelihoods", of]
    return {name: kept for room in rooms for name, kept in exported(room).items()}


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_class_has_a_row(room: str) -> None:
    assert exported(room), "the room exports nothing: the test would be empty"
    made = {type(case.make()).__name__ for case in ROOMS[room].values()}
    assert not set(exported(room)) - made, "add a row to tests/cases.py"


@pytest.mark.parametrize(("room", "name"), ROWS, ids=lambda value: value)
def test_repr_is_the_constructor_call(room: str, name: str) -> None:
    part = ROOMS[room][name].make()
    again = eval(repr(part), namespace(room))
    assert type(again) is type(part)
    assert repr(again) == repr(part)
    assert repr(again).startswith(f"{type(part).__name__}(")


@pytest.mark.parametrize(("room", "name"), ROWS, ids=lambda value: value)
def test_arguments_of_gives_each_argument(room: str, name: str) -> None:
    part = ROOMS[room][name].make()
    arguments = arguments_of(part)
    own = "__init__" in vars(type(part))
    assert list(arguments) == (list(inspect.signature(type(part)).parameters) if own else [])
    if room != "models":  # the parts of a model belong to it
        assert repr(type(part)(**arguments)) == repr(part)
    for key, value in arguments.items():
        assert getattr(part, key) is value


def test_repr_shows_what_differs_from_the_default() -> None:
    names = namespace("priors")
    assert repr(names["VampPrior"](40, components=7)) == "VampPrior(40, components=7)"
    assert repr(names["VampPrior"](components=7)) == "VampPrior(components=7)"
    assert repr(names["VampPrior"](32)) == "VampPrior()"
    assert repr(Normal((2,), scale="shared")) == "Normal((2,), scale='shared')"
    assert repr(names["ELBO"](beta=1)) == "ELBO(beta=1)"  # as written, though it equals 1.0
