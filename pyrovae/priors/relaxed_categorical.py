"""The prior over relaxed one-hot codes."""

from pyro.distributions.torch_distribution import TorchDistributionMixin

from pyrovae.context import Context
from pyrovae.distributions import RelaxedOneHot, temperature_of
from pyrovae.priors.prior import Prior
from pyrovae.priors.weights import Weights, code_shape


class RelaxedCategorical(Prior):
    r"""Independent relaxed one-hot codes, `z_i = softmax((log pi_i + g_i) / t)`, Gumbel noise g_i.

    With the posterior of the same name the ELBO is a bound of this model's own log p(x): both
    densities are on the simplex. A relaxed draw has no density under `Categorical`, and to take the
    KL of discrete codes in its place bounds nothing.

    References:
        Maddison, Mnih and Teh, 2017, arXiv:1611.00712; Jang, Gu and Poole, 2017, arXiv:1611.01144.

    Arguments:
        classes: the number of classes of each code, at least 2.
        codes: the number of codes.
        temperature: t, from 0.001 to 1000: towards zero z is ever closer to the corners.
        learned: whether the probabilities pi are learned; else, and at the start, they are equal.

    Raises:
        ValueError: a number is not a count, or the temperature out of range.
        TypeError: `learned` is no boolean.

    Example:
        >>> RelaxedCategorical(10, codes=3)(Context()).sample((7,)).shape
        torch.Size([7, 3, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        *,
        codes: int = 1,
        temperature: float = 0.5,
        learned: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.codes = codes
        self.temperature = temperature
        self.learned = learned
        self.event_shape = code_shape(self, classes, codes)
        self._temperature = temperature_of("RelaxedCategorical", temperature)
        self.weights = Weights(self, learned=learned, shape=self.event_shape)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return RelaxedOneHot(self.weights(), self._temperature).to_event(1)
