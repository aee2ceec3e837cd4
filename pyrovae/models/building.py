"""Building: the two networks of a model, sized by its parts, which learn each other's shapes."""

from typing import Any

from pyrovae.likelihoods import Likelihood
from pyrovae.memory import memory_advice
from pyrovae.models.checks import claim, encoder_for, require_attributes, require_part
from pyrovae.models.fitting import bind_posterior
from pyrovae.networks import Builder, Folded, Network
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior

Shape = tuple[int, ...]

_LESS = "lower the widths of the networks or the sizes of the parts"


def bound_networks(
    model: Any,
    *,
    encoder: Network | Builder | None,
    decoder: Network | Builder,
    condition_shape: Shape | None = None,
    encoder_condition_shape: Shape | None = None,
) -> tuple[Folded, Folded]:
    """Return the encoder's and the decoder's network of a model, and bind its parts to each other.

    Arguments:
        model: the model, which has `prior`, `likelihood` and `posterior` as they were given.
        encoder: builds the network from x to the posterior's raw numbers.
        decoder: builds the network from z to the likelihood's raw numbers.
        condition_shape: the shape of a condition that both get, None where there is none.
        encoder_condition_shape: that of the encoder's, where it is another.

    Raises:
        TypeError: an argument is not such a part.
        ValueError: a part is bound elsewhere, or does not fit the others.
        MemoryError: the networks do not fit into memory.
    """
    prior = require_part("prior", model.prior, Prior)
    likelihood = require_part("likelihood", model.likelihood, Likelihood)
    posterior = require_part("posterior", model.posterior, Posterior)
    require_attributes(prior, "event_shape")
    require_attributes(likelihood, "event_shape", "head")
    require_attributes(posterior, "head")
    event_shape, latent_shape = tuple(likelihood.event_shape), tuple(prior.event_shape)
    for part in (prior, likelihood, posterior):
        claim(part, latent_shape, event_shape)
    posterior.event_shape = latent_shape
    encoded, decoded = posterior.head, likelihood.head
    name = type(model).__name__
    with memory_advice(lambda: f"building a {name} of {prior!r} for {likelihood!r}; {_LESS}"):
        prior.bind(event_shape)
        bind_posterior(prior, posterior, event_shape)
        likelihood.bind(latent_shape)
        return (
            Folded(
                encoder_for(posterior, encoder),
                event_shape,
                encoded.out_shape(latent_shape),
                owner="the encoder",
                # a posterior that needs no raw numbers has no network to tell
                condition_shape=(encoder_condition_shape or condition_shape)
                if encoded.sizes
                else None,
            ),
            Folded(
                decoder,
                latent_shape,
                decoded.out_shape(event_shape),
                owner="the decoder",
                condition_shape=condition_shape,
            ),
        )
