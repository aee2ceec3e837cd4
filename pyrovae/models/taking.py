"""Taking: the prior, the likelihood and the posterior of a model, checked and bound to it."""

from typing import Any

from pyrovae.likelihoods import Likelihood
from pyrovae.models.checks import claim, require_attributes, require_part
from pyrovae.models.fitting import bind_posterior
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior


def take_parts(model: Any, *, prior: Prior, likelihood: Likelihood, posterior: Posterior) -> None:
    """Make three distributions a model's own, and tell them the shapes of z and x.

    Sets `prior`, `likelihood`, `posterior` and `event_shape` of the model.

    Raises:
        TypeError: one is no such part.
        ValueError: one belongs to another model, or does not fit the shapes.
    """
    model.prior = require_part("prior", prior, Prior)
    model.likelihood = require_part("likelihood", likelihood, Likelihood)
    model.posterior = require_part("posterior", posterior, Posterior)
    require_attributes(prior, "event_shape")
    require_attributes(likelihood, "event_shape", "head")
    require_attributes(posterior, "head")
    model.event_shape = tuple(likelihood.event_shape)
    latent_shape = tuple(prior.event_shape)
    for part in (prior, likelihood, posterior):
        claim(part, latent_shape, model.event_shape)
    posterior.event_shape = latent_shape
    prior.bind(model.event_shape)
    bind_posterior(prior, posterior, model.event_shape)
    likelihood.bind(latent_shape)
