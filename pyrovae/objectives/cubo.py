"""The chi upper bound, which is reported and not trained by."""

from torch import Tensor

from pyrovae.numeric import is_finite
from pyrovae.objectives.importance import from_same_draws, power_mean
from pyrovae.objectives.objective import Measurement, Objective
from pyrovae.objectives.quantities import unit_of
from pyrovae.objectives.renyi import LARGEST_ORDER
from pyrovae.objectives.terms import Terms


class CUBO(Objective):
    r"""The chi upper bound, `1/n log E_q[(p(x, z) / q(z | x))^n]`, an upper bound on log p(x).

    It is estimated by `1/n log 1/K sum_k w_k^n`, w_k = p(x, z_k) / q(z_k | x), z_k ~ q, of which
    `exp(n CUBO)` is without bias. The estimate of the bound itself lies below it, by an amount that
    falls with K, and where the weights are heavy far below, so that it can lie below log p(x). What
    is enumerated is summed out of the weights. As for every bound, `loss` is its negative, and
    `loss`, `measure` and a module's `measure` report it. Training by it is refused: log p(x) lies
    below it, so that whatever lowers it for the guide's sake lowers log p(x) for the model, and
    raising it brings the guide away.

    References:
        Dieng et al., 2017, arXiv:1611.00328.

    Arguments:
        order: n, of at least 1; at 1 the bound is log p(x), and its estimate `IWAE`.
        particles: how many draws each datum gets, K.

    Raises:
        ValueError: the order is out of range, or the number of particles is not a positive
            integer; or a model is to be trained by it.

    Example:
        >>> CUBO(order=3.0)
        CUBO(order=3.0)
    """

    formula = "1/n log E_q[(p(x, z) / q(z|x))^n]"

    def __init__(self, *, order: float = 2.0, particles: int = 50) -> None:
        super().__init__(particles=particles)
        if not is_finite(order) or not 1.0 <= order <= LARGEST_ORDER:
            raise ValueError(
                f"CUBO expects order to be a number from 1 to 1e6, for below 1 it is no upper "
                f"bound; got {order!r}"
            )
        self.order = order

    def __str__(self) -> str:
        return f"{self!r} reports {self.formula}, in {unit_of('loss')}"

    def require_training(self) -> None:
        """Raise ValueError: no model is trained by an upper bound."""
        raise ValueError(
            "CUBO is an upper bound on log p(x), to report: raising it would bring the guide away "
            "from p(z | x), and lowering it would lower log p(x), so it trains no model; train "
            "with ELBO(), IWAE() or Renyi(), and read CUBO under torch.no_grad() or from evaluate"
        )

    def measure(self, terms: Terms, step: Tensor | None = None) -> Measurement:
        """Return the upper bound of each datum; see `Objective.measure`."""
        bound = power_mean(terms.log_evidence_weight, self.order)
        value = bound.detach().mean()
        return Measurement(
            bound=bound, logged={"loss": -value, "cubo": value, **from_same_draws(terms)}
        )
