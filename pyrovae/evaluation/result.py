"""Evaluation: the numbers about a model on a data set, each with its error."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


def plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers and tensors as plain Python; what is not finite becomes None."""
    found: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, Tensor):
            found[name] = [round(number, 6) for number in value.tolist()]
        elif isinstance(value, float) and not math.isfinite(value):
            found[name] = None
        else:
            found[name] = value
    return found


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` returns, in nats per datum unless said otherwise.

    Arguments:
        log_prob: the importance-sampled log p(x), a lower bound in expectation.
        log_prob_error: its Monte Carlo standard error, given the data; nan for one sample.
        log_prob_bias: by how much it is about too low, or more where the weights are poor: what it
            gains over the same estimate from half the draws; nan for one sample.
        log_prob_data_error: its standard error over data, as a mean over a population; nan for
            one datum.
        ess: the mean effective sample size of the importance weights, from 1 to `samples`.
        elbo: the evidence lower bound, from the same draws: never above `log_prob`.
        cubo: the chi upper bound of order 2 (Dieng et al., 2017, arXiv:1611.00328), from the same
            draws: never below `log_prob`. It is estimated from below, as `log_prob` is, and where
            the weights are poor far from below, so that it is above log p(x) in the limit of many
            samples only; its `exp(2 cubo)` is without bias for each datum.
        reconstruction: its first term, the mean of log p(x | z).
        kl: what it lacks to the ELBO, the mean of log q(z | x) - log p(z).
        kl_per_dimension: `kl` for each latent dimension, None where it does not split.
        active_units: dimensions whose posterior mean varies over the data by a variance above 0.01
            (Burda et al., 2016, arXiv:1509.00519), None where the posterior has no mean.
        bits_per_dim: `-log_prob` in bits per element of x, None where x is continuous or missing.
        samples: the number of draws for each datum.
        data: the number of data.
    """

    log_prob: float
    log_prob_error: float
    log_prob_bias: float
    log_prob_data_error: float
    ess: float
    elbo: float
    cubo: float
    reconstruction: float
    kl: float
    kl_per_dimension: Tensor | None
    active_units: int | None
    bits_per_dim: float | None
    samples: int
    data: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python, for JSON; what is not finite becomes None."""
        return plain(dataclasses.asdict(self))

    def __str__(self) -> str:
        rows = [
            ("log p(x)", f"{self.log_prob:10.3f}", self._errors()),
            ("ELBO", f"{self.elbo:10.3f}", ""),
            ("CUBO", f"{self.cubo:10.3f}", "upper bound, estimated from below"),
            ("reconstruction", f"{self.reconstruction:10.3f}", "mean of log p(x | z)"),
            ("KL", f"{self.kl:10.3f}", "mean of log q(z | x) - log p(z)"),
            ("effective samples", f"{self.ess:10.1f}", f"of {self.samples}"),
        ]
        if self.active_units is not None:
            split = self.kl_per_dimension
            of = "" if split is None else f"of {len(split)}"
            rows.append(("active units", f"{self.active_units:10d}", of))
        if self.bits_per_dim is not None:
            rows.append(("bits per dimension", f"{self.bits_per_dim:10.4f}", ""))
        title = f"{self.data} data, nats per datum"
        return "\n".join([title, *(f"  {a:20}{b}  {c}".rstrip() for a, b, c in rows)])

    def _errors(self) -> str:
        return (
            f"+- {self.log_prob_error:.3f} (Monte Carlo, {self.samples} samples)  "
            f"+- {self.log_prob_data_error:.3f} (data)"
        )
