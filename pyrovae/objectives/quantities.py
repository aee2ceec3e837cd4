"""Quantities: what objectives log, each with its name, its meaning and its unit."""

from typing import NamedTuple

_NATS = "nats per datum"


class Quantity(NamedTuple):
    """The meaning of a logged quantity and its unit; the unit of a plain number is empty."""

    meaning: str
    unit: str


QUANTITIES: dict[str, Quantity] = {
    "loss": Quantity("what is lowered: the objective with its sign changed", _NATS),
    "elbo": Quantity("the evidence lower bound, unweighted", _NATS),
    "iwae": Quantity("the importance-weighted bound", _NATS),
    "renyi": Quantity("Renyi's variational bound", _NATS),
    "multiply_iwae": Quantity("the mean of the groups' importance-weighted bounds", _NATS),
    "cubo": Quantity("the chi upper bound", _NATS),
    "reconstruction": Quantity("E_q[log p(x | z)]", _NATS),
    "kl": Quantity("KL(q(z | x) || p(z)), mean over the data", _NATS),
    "jensen_shannon": Quantity("JS(q(z), p(z)), as a lower bound by a discriminator", "nats"),
    "discriminator_loss": Quantity("the cross-entropy of a discriminator", "nats per draw"),
    "discriminator_accuracy": Quantity("the share of draws that a discriminator tells right", ""),
    "constraint": Quantity("target - E_q[log p(x | z)], at most 0 where it is met", _NATS),
    "multiplier": Quantity("the price of the constraint, in nats of KL for each nat", ""),
    "distance": Quantity("D(q(z), p(z)), in units of the distance that the objective names", ""),
    "weight": Quantity("the weight of that distance", "nats per datum per unit of it"),
    "beta": Quantity("the weight of the KL term", ""),
    "capacity": Quantity("the KL that is aimed at", _NATS),
    "mutual_information": Quantity("I(x; z), estimated on batches", _NATS),
    "total_correlation": Quantity("the total correlation of q(z), estimated on batches", _NATS),
    "dimension_kl": Quantity("sum_d KL(q(z_d) || p(z_d)), estimated on batches", _NATS),
    "off_diagonal": Quantity("the sum of squared covariances between latent dimensions", ""),
    "diagonal": Quantity("the sum of squared gaps of latent variances to one", ""),
}


def unit_of(name: str) -> str:
    """Return the unit of a logged quantity, empty for a plain number.

    Arguments:
        name: its name, with or without the split that it was measured on.

    Raises:
        KeyError: there is no such quantity.

    Example:
        >>> unit_of("train/elbo"), unit_of("beta")
        ('nats per datum', '')
    """
    return QUANTITIES[name.rpartition("/")[2]].unit
