"""Fitting: whether a prior and a posterior go together, and by which measure z has a density.

Two densities can be compared only where both are with respect to one measure: volume for vectors,
area on a sphere, counting for codes. So a pair is legal where both are of one kind, and the
posterior draws nothing that the prior rules out.
"""

from typing import Any

import torch
from pyro.distributions import constraints as pyro_constraints
from torch.distributions import Distribution, constraints

from pyrovae import posteriors, priors
from pyrovae.context import Context
from pyrovae.models.support import elementwise, in_words, inside, is_bounded, support_of
from pyrovae.objectives import is_point

_DRAWS = 64

# For each kind of z a prior and a posterior that have it, which are named in refusals.
PARTNERS = {
    "vectors": ("StandardNormal", "MeanFieldNormal"),
    "points of a sphere": ("HypersphericalUniform", "PowerSpherical"),
    "points of a simplex": ("LogisticNormal", "LogisticNormal"),
    "one-hot codes": ("Categorical", "Categorical"),
    "binary codes": ("BernoulliCode", "BernoulliCode"),
    "spikes and slabs": ("SpikeAndSlab", "SpikeAndSlab"),
}


def kind_of(distribution: Distribution) -> str:
    """Return what kind of z a distribution draws, a key of `PARTNERS` or a constraint in words.

    Example:
        >>> import pyro.distributions as dist
        >>> kind_of(dist.Normal(torch.zeros(2), 1.0).to_event(1))
        'vectors'
        >>> kind_of(dist.Dirichlet(torch.ones(3)))
        'points of a simplex'
    """
    element = elementwise(support_of(distribution))
    said = getattr(element, "kind", None)  # of a constraint of our own
    if said is not None:
        return str(said)
    if element is constraints.simplex:
        return "points of a simplex"
    if element is constraints.one_hot:
        return "one-hot codes"
    if element is constraints.boolean:
        return "binary codes"
    if element is pyro_constraints.sphere:
        return "points of a sphere"
    if element is None or not element.is_discrete:
        return "vectors"
    return in_words(element)


def require_fit(prior: Any, p: Distribution, posterior: Any, q: Distribution) -> None:
    """Raise ValueError where a prior and a posterior do not fit; the message names both.

    Arguments:
        prior: the prior, with which p was made.
        p: what it returned.
        posterior: the posterior, with which q was made.
        q: what it returned for a batch of two.
    """
    pair = f"prior {prior!r} and posterior {posterior!r} do not fit"
    if posterior.enumerated:
        if not getattr(q, "has_enumerate_support", False):
            raise ValueError(
                f"posterior {posterior!r} says that it is enumerated, but {type(q).__name__} has "
                f"no enumerate_support"
            )
    elif posterior.reparameterised and not q.has_rsample:
        raise ValueError(
            f"posterior {posterior!r} returned {type(q).__name__}, whose draws carry no "
            f"gradient (has_rsample is False); return a reparameterised or relaxed family, or one "
            f"that is enumerated; or set reparameterised = False, and train it by estimator='score'"
        )
    kinds = kind_of(p), kind_of(q)
    draws = q.sample(torch.Size((_DRAWS,)))
    if is_point(q):
        if not _continuous(p) or is_bounded(p) or not inside(p, draws):
            raise ValueError(
                f"{pair}: the prior is over {kinds[0]}, and a point of the posterior is anywhere; "
                f"{_posterior_for(prior, kinds[0])}, or {_prior_for(posterior, 'vectors')}"
            )
        return
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"{pair}: the prior is over {kinds[0]}, the posterior over {kinds[1]}, so there is no "
            f"KL between them; {_posterior_for(prior, kinds[0])}, or "
            f"{_prior_for(posterior, kinds[1])}"
        )
    if not inside(p, draws) or (is_bounded(p) and not is_bounded(q)):
        raise ValueError(
            f"{pair}: the posterior can draw z outside the prior's support "
            f"({in_words(support_of(q))} against {in_words(support_of(p))}), so the KL would be "
            f"infinite; choose a posterior of the prior's support"
            f"{_such_as(_namesake(prior, posteriors))}, or {_prior_for(posterior, kinds[1])}"
        )
    if posterior.enumerated:
        try:
            q.enumerate_support(expand=False)
        except ValueError as error:
            raise ValueError(
                f"{pair}: the posterior visits every value of z, and {error}; choose a smaller "
                f"z, or a posterior that draws, such as {_drawn(kinds[0])}"
            ) from error


def bind_posterior(prior: Any, posterior: Any, data_shape: tuple[int, ...]) -> None:
    """Bind a posterior, with an error that names the prior too where its z has no fitting shape."""
    try:
        posterior.bind(data_shape)
    except ValueError as error:
        try:
            kind = kind_of(prior(Context()))
        except ValueError:  # of a prior that is made of posteriors
            kind = "vectors"
        raise ValueError(
            f"prior {prior!r} and posterior {posterior!r} do not fit: {error}; "
            f"{_posterior_for(prior, kind)}"
        ) from error


def _continuous(distribution: Distribution) -> bool:
    support = support_of(distribution)
    return support is None or not support.is_discrete


def _posterior_for(prior: Any, kind: str) -> str:
    """Say which posterior would fit a prior: the one of its name, else one over its kind of z."""
    name = _namesake(prior, posteriors) or PARTNERS.get(kind, ("", ""))[1]
    return f"choose a posterior over {kind}{_such_as(name)}"


def _prior_for(posterior: Any, kind: str) -> str:
    """Say which prior would fit a posterior, likewise."""
    name = _namesake(posterior, priors) or PARTNERS.get(kind, ("", ""))[0]
    return f"choose a prior over {kind}{_such_as(name)}"


def _namesake(part: Any, room: Any) -> str:
    """Return the name of a part where the other room has one of that name, of one family."""
    name = type(part).__name__
    return name if hasattr(room, name) else ""


def _such_as(name: str) -> str:
    return f", such as {name}" if name else ""


def _drawn(kind: str) -> str:
    """Name a posterior that draws codes of a kind, with the prior that it needs."""
    if kind == "one-hot codes":
        return "StraightThroughCategorical"
    return "RelaxedBernoulli (with the prior RelaxedBernoulli)"
