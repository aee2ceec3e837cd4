"""Resampling: weighted draws of z, a part at a time, as moments of x and as a few draws of z.

The parts of one batch bring draws with log weights `[draws, batch]`. What is kept of them does not
grow with their number.
"""

import torch
from torch import Tensor


def behind(weights: Tensor, event_dim: int) -> Tensor:
    """Return weights with ones for the dimensions of an event behind them."""
    return weights.reshape(weights.shape + (1,) * event_dim)


class Resampled:
    """Sums over weighted draws of a batch, and draws of z that follow their weights.

    Each of the kept draws is replaced by one of a new part with the probability of that part's
    share of all weight so far, which leaves one of all draws by its weight (Chao, 1982).

    Arguments:
        count: how many draws of z each datum keeps.

    Example:
        >>> kept = Resampled(4)
        >>> kept.add(torch.tensor([[0.0], [-torch.inf]]), torch.tensor([[5.0], [7.0]]))
        >>> kept.z.flatten().tolist(), kept.ess.tolist()
        ([5.0, 5.0, 5.0, 5.0], [1.0])
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.z: Tensor = torch.empty(0)
        self._mean: Tensor | None = None
        self._square: Tensor | None = None
        self._log_total: Tensor | None = None
        self._log_square: Tensor | None = None
        self._weights: Tensor = torch.empty(0)
        self._share: Tensor = torch.empty(0)

    def add(self, log_weight: Tensor, z: Tensor) -> None:
        """Add a part of the draws; its moments, where there are any, follow.

        Arguments:
            log_weight: of shape `[draws, batch]`.
            z: of shape `[draws, batch, *latent_shape]`.
        """
        log_weight = log_weight.double()
        log_weight = torch.where(log_weight.isnan(), -torch.inf, log_weight)
        total = log_weight.logsumexp(0)
        # a part without any weight stands for itself alone, until one with weight comes
        self._weights = torch.where(
            total.isfinite(), (log_weight - total).exp(), 1.0 / len(log_weight)
        )
        square = (2 * log_weight).logsumexp(0)
        if self._log_total is None or self._log_square is None:
            self._log_total, self._log_square = total, square
            self._share = torch.ones_like(total)
            self.z = self._drawn(z)
            return
        self._log_total = torch.logaddexp(self._log_total, total)
        self._log_square = torch.logaddexp(self._log_square, square)
        share = (total - self._log_total).exp()
        self._share = torch.where(share.isfinite(), share, 0.0)
        taken = torch.rand(self.count, len(total), device=z.device, dtype=torch.float64)
        event_dim = z.dim() - 2
        self.z = torch.where(behind(taken < self._share, event_dim), self._drawn(z), self.z)

    def _drawn(self, z: Tensor) -> Tensor:
        """Return draws of the part by their weights, of shape `[count, batch, *latent_shape]`."""
        chosen = torch.multinomial(self._weights.T, self.count, replacement=True).T
        rows = torch.arange(z.shape[1], device=z.device)
        return z[chosen, rows]

    def moments(self, mean: Tensor, variance: Tensor) -> None:
        """Add the moments of x at each draw of the part that was added last.

        Means and sums of squares about them are merged as in Chan, Golub and LeVeque (1983), which
        loses no digits where the spread is small beside the mean.

        Arguments:
            mean: E[x | z], of shape `[draws, batch, *event_shape]`.
            variance: of the same shape.
        """
        event_dim = mean.dim() - 2
        weights = behind(self._weights.to(mean.dtype), event_dim)
        mean = torch.where(weights > 0, mean, 0.0)  # no weight times infinity is nothing
        variance = torch.where(weights > 0, variance, 0.0)
        here = (weights * mean).sum(0)
        square = (weights * (variance + (mean - here).square())).sum(0).double()
        here = here.double()
        if self._mean is None or self._square is None:
            self._mean, self._square = here, square
            return
        share = behind(self._share, event_dim)
        apart = here - self._mean
        merged = (1 - share) * self._square + share * square + share * (1 - share) * apart.square()
        for name, with_both, alone in (
            ("_mean", self._mean + share * apart, here),
            ("_square", merged, square),
        ):
            before = getattr(self, name)  # no share of infinity, here or before, is nothing
            some = torch.where(share < 1, with_both, alone)
            setattr(self, name, torch.where(share > 0, some, before))

    def mean_and_spread(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of x of each datum, `[batch, *event_shape]`."""
        if self._mean is None or self._square is None:
            raise ValueError("no moments were added")
        return self._mean, self._square.clamp(min=0.0).sqrt()

    @property
    def ess(self) -> Tensor:
        """The effective sample size of each datum; nan where nothing has any weight."""
        if self._log_total is None or self._log_square is None:
            raise ValueError("no draws were added")
        ess = (2 * self._log_total - self._log_square).exp().clamp(min=1.0)
        return torch.where(self._log_total.isfinite(), ess, torch.nan)
