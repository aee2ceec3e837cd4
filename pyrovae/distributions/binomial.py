"""Binomial by logits, with quantiles."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.distributions.bessel import precise
from pyrovae.distributions.incomplete_beta import incomplete_beta
from pyrovae.distributions.solving import least_count


class LogitsBinomial(dist.Binomial):
    """Counts out of n, `pyro.distributions.Binomial` with quantiles.

    Example:
        >>> LogitsBinomial(5, logits=torch.tensor(0.0)).icdf(torch.tensor(0.5)).item()
        2.0
    """

    def icdf(self, value: Any) -> Tensor:
        """Return the smallest count whose cumulative probability reaches a given one.

        By `P(X <= k) = I_{1-p}(n - k, k + 1)`. It carries no gradient.
        """
        with torch.no_grad():
            probability, logits, total = torch.broadcast_tensors(
                precise(torch.as_tensor(value, device=self.logits.device)),
                precise(self.logits),
                precise(self.total_count),
            )
            log_p = torch.nn.functional.logsigmoid(logits)
            log_q = torch.nn.functional.logsigmoid(-logits)

            def cumulative(k: Tensor) -> Tensor:
                left = (total - k).clamp(min=0.5)  # k = n is never asked where it matters
                return incomplete_beta(left, k + 1.0, log_q, log_p)[0]

            return least_count(cumulative, probability, most=total).to(self.logits.dtype)
