"""Matching: how far the draws of a batch are from the prior, whatever their densities."""

from contextlib import suppress

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distances import Distance
from pyrovae.objectives.gathering import gathered
from pyrovae.objectives.objective import Objective
from pyrovae.objectives.terms import DATA_PLATE, PARTICLE_PLATE, Site, Terms

_INSTEAD = "use an objective with a KL term, such as ELBO()"


def check_matching(objective: Objective, distance: object, gather: object) -> None:
    """Raise unless an objective was given a distance, and yes or no to gathering.

    Raises:
        TypeError: one of them is something else.
    """
    name = type(objective).__name__
    if not isinstance(distance, Distance):
        raise TypeError(
            f"{name} expects distance to be one of pyrovae.distances, such as MMD(); "
            f"got {distance!r}"
        )
    if not isinstance(gather, bool):
        raise TypeError(f"{name} expects gather to be True or False; got {gather!r}")


def matched_site(terms: Terms) -> Site:
    """Return the one latent site, whose draws can be compared with draws of its prior.

    Raises:
        ValueError: there are several latent sites or none, or the site is discrete, masked, an
            auxiliary variable, or stands in further plates.
    """
    if len(terms.latent) != 1:
        names = ", ".join(f"'{name}'" for name in terms.latent) or "none"
        raise ValueError(
            f"a distance to the prior expects one latent site; got {names}: the prior of one of "
            f"several may hang on the guide's draw of another, so that the record has no draw of "
            f"their joint prior; {_INSTEAD}, or draw one vector"
        )
    (site,) = terms.latent.values()
    if site.is_enumerated or _is_discrete(site.guide) or _is_discrete(site.model):
        raise ValueError(
            f"site '{site.name}' is discrete: its draws jump from value to value, so a distance "
            f"between draws gives their probabilities no gradient; {_INSTEAD}, or a relaxed family "
            f"such as RelaxedCategorical"
        )
    if site.modelled is None or site.guided is None:
        raise ValueError(f"site '{site.name}' is no variable of the model; {_INSTEAD}")
    plates = {frame.name for frame in site.guided["cond_indep_stack"] if frame.dim is not None}
    further = sorted(plates - {DATA_PLATE, PARTICLE_PLATE})
    if further:
        raise ValueError(
            f"site '{site.name}' stands in the plates {', '.join(further)} besides "
            f"'{DATA_PLATE}': its draws for one datum are no single vector; {_INSTEAD}"
        )
    for message in (site.modelled, site.guided):
        if not (message["mask"] is None or message["mask"] is True):
            raise ValueError(
                f"site '{site.name}' is masked: which draws count is not known when the step is "
                f"recorded; {_INSTEAD}"
            )
    return site


def distance_to_prior(terms: Terms, distance: Distance, *, gather: bool) -> Tensor:
    """Return the distance of a batch's draws from as many draws of the prior, 0-dimensional.

    With several particles it is the mean over them of the distance of one draw for each datum: the
    draws for one datum are not independent draws of the aggregated posterior.

    Arguments:
        terms: the record.
        distance: the distance.
        gather: whether the draws of all processes are compared together.

    Raises:
        ValueError: the draws cannot be compared; see `matched_site`.
    """
    site = matched_site(terms)
    pair = torch.stack([site.value, prior_draws(site)])
    if pair.dim() - len(_prior(site).event_shape) == 2:  # without a dimension of particles
        pair = pair.unsqueeze(1)
    pair = pair.movedim(2, 0)  # the rows first, so that one call gathers both
    if gather:
        pair = gathered(pair)
    parts = [distance(pair[:, 0, k], pair[:, 1, k]) for k in range(pair.shape[2])]
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean()


def prior_draws(site: Site) -> Tensor:
    """Return draws of a site's prior, of the shape of its value.

    They carry the gradient of the prior where it has reparameterised draws.
    """
    prior = _prior(site)
    batch = site.value.shape[: site.value.dim() - len(prior.event_shape)]
    if prior.batch_shape != batch:
        prior = prior.expand(batch)
    return prior.rsample() if prior.has_rsample else prior.sample()


def _prior(site: Site) -> Distribution:
    return site.modelled["fn"]  # type: ignore[index]


def _is_discrete(distribution: Distribution | None) -> bool:
    with suppress(NotImplementedError, AttributeError):  # of those that state no support
        return bool(distribution.support.is_discrete)  # type: ignore[union-attr]
    return False
