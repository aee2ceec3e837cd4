"""The likelihood that suits a data set, made from what the data set says of itself."""

from typing import Any

from pyrovae.config.names import find_class
from pyrovae.config.signature import arguments
from pyrovae.config.tree import from_tree
from pyrovae.data import Source
from pyrovae.likelihoods import Likelihood


def suggested(source: Source) -> Likelihood:
    """Return the likelihood that suits a data set, the one that `pyrovae train` chooses by itself.

    Arguments:
        source: the data set; a data frame is one by `Table.of(frame)`.

    Raises:
        TypeError: it is no source.

    Example:
        >>> from pyrovae.data import Digits
        >>> suggested(Digits())
        Binomial((1, 8, 8), total_count=16)
    """
    if not isinstance(source, Source):
        raise TypeError(f"suggested expects a source such as Digits(); got {source!r}")
    suited = source.suggestion
    class_path = f"pyrovae.likelihoods.{suited.likelihood}"
    given: dict[str, Any] = dict(suited.arguments)
    takes = arguments(find_class(class_path))
    known = {"event_shape": list(source.event_shape), "total_count": source.total_count}
    for name, value in known.items():
        if name in takes and value is not None:
            given.setdefault(name, value)
    made: Likelihood = from_tree(
        {"class_path": class_path, "init_args": given}, expected=Likelihood, path="likelihood"
    )
    return made
