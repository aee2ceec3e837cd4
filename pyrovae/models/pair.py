"""Pair: a model and a guide, ours or anybody's, as training and evaluation see them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from pyrovae.models.decoded import Score
from pyrovae.models.model import Model
from pyrovae.models.program import Program

Programs = Model | tuple[Callable[..., Any], Callable[..., Any]]


class Pair(nn.Module):
    """A generative program and its guide, with all their parameters.

    Arguments:
        programs: one of our models, or a tuple `(model, guide)` of Pyro programs; those of them
            that have parameters are `nn.Module`s.

    Raises:
        TypeError: it is neither.

    Example:
        >>> Pair((lambda data: None, lambda data: None)).arguments({"x": 1, "index": 2})
        ((1,), {})
    """

    def __init__(self, programs: Programs) -> None:
        super().__init__()
        self.whole: Model | None = None
        if isinstance(programs, Model):
            self.whole = programs
            self.model: Callable[..., Any] = programs.model
            self.guide: Callable[..., Any] = programs.guide
        elif (
            isinstance(programs, tuple)
            and len(programs) == 2
            and all(callable(part) for part in programs)
        ):
            self.model, self.guide = programs
        else:
            raise TypeError(
                f"expected a model of pyrovae such as VAE, or a tuple (model, guide) of Pyro "
                f"programs; got {type(programs).__name__}"
            )

    def arguments(self, batch: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and keyword arguments that the programs take of a batch.

        Our models take a batch whole. Of other programs, parameters named like a key of the batch
        get it, and one that does not name `x` gets it as its first argument.
        """
        if self.whole is not None:
            return (), dict(batch)
        model, guide = (_parameters(program) for program in (self.model, self.guide))
        named = {key: batch[key] for key in batch if key in model and key in guide}
        return ((), named) if "x" in named else ((batch["x"],), named)

    def evidence(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of a batch log p(x) is given: all of it, but for what a model sums over."""
        return dict(batch if self.whole is None else self.whole.evidence(batch))

    def fixed(
        self, batch: Mapping[str, Any], *, score: Score | None = None
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Return the programs for one batch, with all that follows from it alone made beforehand.

        Of programs that are not our own that is unknown, and so they come as they are.
        """
        if self.whole is not None and self.fixes:
            return self.whole.fixed(**batch, score=score)
        return self.model, self.guide

    @property
    def fixes(self) -> bool:
        """Whether `fixed` makes anything beforehand: not where a subclass has its own programs."""
        kind: Any = type(self.whole)
        if self.whole is None or kind.fixed is Model.fixed:
            return False
        owner: Any = next(base for base in kind.__mro__ if "fixed" in vars(base))
        return kind.model is owner.model and kind.guide is owner.guide

    def check(self, batch: Mapping[str, Tensor]) -> None:
        """Raise ValueError where one of our models cannot score a batch."""
        if self.whole is not None:
            self.whole.check(batch)

    def prepare(self, batch: Mapping[str, Tensor]) -> None:
        """Let one of our models set its starting values, once in its life."""
        if self.whole is not None:
            self.whole.prepare(batch)

    @property
    def prepared(self) -> bool:
        """Whether starting values have been set, or there are none to set."""
        return self.whole is None or bool(self.whole.prepared)


def _parameters(program: Callable[..., Any]) -> list[str]:
    """Return the names of a program's parameters that can be given by name."""
    function: Any = program.forward if isinstance(program, nn.Module) else program
    if isinstance(program, Program):  # a view, which takes what its method takes
        function = vars(program.owner)[program.name].function
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in parameters if parameter.kind in named]
