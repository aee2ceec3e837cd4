"""Surgery: the mean KL of a data set taken apart, each part with its error."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pyrovae.evaluation.result import plain


@dataclass(frozen=True, kw_only=True)
class Surgery:
    """What `surgery` returns, in nats per datum unless said otherwise.

    With the aggregated posterior q(z), the mean of q(z | x) over the data,

        kl           = mutual_information + aggregate_kl
        aggregate_kl = total_correlation + dimension_kl

    hold exactly, for all are estimated from the same draws. Each `_error` is a Monte Carlo standard
    error, given the data; nan for one draw. None stands for what is not defined: all but the
    distance where the posterior is a point, the second split where posterior or prior do not
    factorise over dimensions.

    Arguments:
        kl: the mean over data of `KL(q(z | x) || p(z))`.
        mutual_information: `I(x; z)` of a datum and its draw; never above the logarithm of the
            number of data.
        aggregate_kl: `KL(q(z) || p(z))`.
        total_correlation: `KL(q(z) || prod_d q(z_d))`.
        dimension_kl: `sum_d KL(q(z_d) || p(z_d))`.
        kl_of_dimensions: `KL(q(z_d) || p(z_d))` of each latent dimension d.
        distance: the energy distance of q(z) from p(z), `2 E|z - z'| - E|z - z~| - E|z' - z~'|`,
            of independent z, z~ ~ q(z) and z', z~' ~ p(z), in the units of z (Szekely and Rizzo,
            2013); zero where both agree. Its estimate is unbiased, so that it may be below zero.
        samples: the number of draws of q(z).
        data: the number of data.
    """

    kl: float | None
    kl_error: float | None
    mutual_information: float | None
    mutual_information_error: float | None
    aggregate_kl: float | None
    aggregate_kl_error: float | None
    total_correlation: float | None
    total_correlation_error: float | None
    dimension_kl: float | None
    dimension_kl_error: float | None
    kl_of_dimensions: Tensor | None
    distance: float
    distance_error: float
    samples: int
    data: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python, for JSON; what is not finite becomes None."""
        return plain(dataclasses.asdict(self))

    def __str__(self) -> str:
        rows = [
            ("KL", "kl", "mean of KL(q(z | x) || p(z))"),
            ("mutual information", "mutual_information", "I(x; z)"),
            ("KL of the aggregate", "aggregate_kl", "KL(q(z) || p(z))"),
            ("total correlation", "total_correlation", "KL(q(z) || prod_d q(z_d))"),
            ("KL of dimensions", "dimension_kl", "sum_d KL(q(z_d) || p(z_d))"),
            ("energy distance", "distance", "of q(z) from p(z), in units of z"),
        ]
        lines = [f"aggregated posterior of {self.data} data, {self.samples} draws, nats per datum"]
        for title, name, meaning in rows:
            value, error = getattr(self, name), getattr(self, f"{name}_error")
            if value is not None:
                lines.append(f"  {title:20}{value:10.3f}  +- {error:.3f}  {meaning}")
        return "\n".join(lines)
