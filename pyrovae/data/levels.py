"""Which likelihood suits the grey and colour levels of images."""

from pyrovae.data.source import Suggestion

LEVELS_REASON = (
    "levels 0..255 of a pixel vary as textures and edges do, which a mixture learns, and not by "
    "the fixed spread of counts out of 255"
)


def byte_levels(reason: str = LEVELS_REASON) -> Suggestion:
    """Return what suits images of 256 levels.

    A binomial of mean m spreads by `sqrt(m (255 - m) / 255)`, at most 8 levels, whatever the model
    is unsure of, and so is far too sure of what it does not know.

    Example:
        >>> byte_levels().arguments
        {'total_count': 255}
    """
    return Suggestion(
        likelihood="DiscretizedLogisticMixture", arguments={"total_count": 255}, reason=reason
    )
