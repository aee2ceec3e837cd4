"""The logistic-normal posterior."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import SoftmaxNormal
from pyrovae.heads import Head, positive
from pyrovae.objectives.kl import kl_rule
from pyrovae.posteriors.posterior import Posterior


class LogisticNormal(Posterior):
    r"""The softmax of independent normals, `z = softmax(h)`, `h_k ~ N(mu_k(x), sigma_k(x)^2)`.

    Its KL from a logistic-normal prior is exact. That of the two normals over all K numbers h,
    which is often taken in its place, is larger: it also counts the shift common to all h, which
    z does not have.

    References:
        Srivastava and Sutton, 2017, arXiv:1703.01488.

    Example:
        >>> posterior = LogisticNormal()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 6), Context()).sample().sum(-1).shape
        torch.Size([5])
    """

    head = Head(loc=1, scale=1)

    def bind(self, data_shape: tuple[int, ...]) -> None:
        """Refuse an event that is no vector."""
        if len(self.event_shape) != 1:
            raise ValueError(
                f"LogisticNormal expects a vector z; the prior's event shape is {self.event_shape}"
            )

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        return SoftmaxNormal(parameters["loc"], positive(parameters["scale"]))


@kl_rule(SoftmaxNormal, SoftmaxNormal)
def _softmax_normals(q: SoftmaxNormal, p: SoftmaxNormal) -> Tensor:
    """Return the KL of the log-ratios, two normals of dimension K - 1, without their matrices.

    The trace of `S_p^-1 S_q` is `sum_k s_k^2 w_k (1 - w_k / sum_j w_j)`, with s of q and w of p.
    """
    shares = torch.softmax(p.log_precision(), dim=-1)
    trace = ((q.scale / p.scale).square() * (1.0 - shares)).sum(-1)
    gap = p.log_determinant() - q.log_determinant()
    return 0.5 * (trace + p.distance(q.loc - p.loc) + gap - (q.event_shape[0] - 1))
