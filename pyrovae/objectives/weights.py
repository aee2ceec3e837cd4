"""Importance weights: p / q of each draw, where the programs weigh their sites alike."""

from torch import Tensor

from pyrovae.objectives.terms import Terms


def importance_weight(terms: Terms) -> tuple[Tensor, float]:
    """Return `log p(x, z) - log q(z | x)` without the weight of the sites, and that weight.

    A bound with a logarithm over particles is weighed outside of it: programs under
    `poutine.scale(scale=2)`, or in a plate of which a half is given, have twice the bound, and not
    the bound of squared weights.

    Arguments:
        terms: the record of a run.

    Raises:
        ValueError: the sites have different weights, or tensors of weights; the message names two.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> from pyrovae.objectives import trace_terms
        >>> x = torch.zeros(3)
        >>> def guide():
        ...     with pyro.plate("data", 6, subsample_size=3):
        ...         pyro.sample("z", dist.Normal(0.0, 1.0))
        >>> def model():
        ...     guide()
        ...     with pyro.plate("data", 6, subsample_size=3):
        ...         pyro.sample("x", dist.Uniform(-1.0, 1.0), obs=x)
        >>> log_weight, scale = importance_weight(trace_terms(model, guide))
        >>> [[round(w, 4) for w in row] for row in log_weight.tolist()], scale
        ([[-0.6931, -0.6931, -0.6931]], 2.0)
    """
    scales = {}
    for site in (*terms.latent.values(), *terms.observed.values()):
        for program, message in (("model", site.modelled), ("guide", site.guided)):
            if message is not None:
                scales[f"site '{site.name}' of the {program}"] = message["scale"]
    (first, scale), *others = scales.items()
    for name, other in others:
        if isinstance(other, Tensor) or isinstance(scale, Tensor) or other != scale:
            raise ValueError(
                f"a bound with a logarithm over particles is of weights p / q, and can be weighed "
                f"only as a whole: poutine.scale gives {first} the weight {_said(scale)} and "
                f"{name} {_said(other)}; give all sites one number, or use ELBO(beta=...)"
            )
    return (terms.log_weight if scale == 1 else terms.log_weight / scale), float(scale)


def _said(scale: object) -> str:
    return "of a tensor" if isinstance(scale, Tensor) else f"{scale:g}"
