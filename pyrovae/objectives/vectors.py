"""Vectors: the latents of a record as vectors, for objectives that compare clouds of points."""

import torch
from torch import Tensor

from pyrovae.objectives.terms import DATA_PLATE, PARTICLE_DIM, Site, Terms


def latent_draws(terms: Terms) -> Tensor:
    """Return the draws of all latent sites side by side, `[particles, batch, numbers]`.

    The gradient of the guide is kept.

    Arguments:
        terms: the record.

    Raises:
        ValueError: a site is enumerated, so that there are weighed values in place of draws, or
            there is no latent site.
    """
    sites = [site for site in terms.latent.values() if site.modelled is not None]
    if not sites:
        raise ValueError("an objective of draws needs a latent site; the programs have none")
    found = [vectors(site, site.value) for site in sites]
    return found[0] if len(found) == 1 else torch.cat(found, dim=-1)


def prior_draws(terms: Terms) -> Tensor:
    """Return draws of the prior, without gradient, of the shape that `latent_draws` has.

    Arguments:
        terms: the record.

    Raises:
        ValueError: there are several latent sites: the distribution of one given the guide's draw
            of another is not the prior.
    """
    sites = [site for site in terms.latent.values() if site.modelled is not None]
    if len(sites) != 1 or sites[0].model is None:
        names = ", ".join(f"'{site.name}'" for site in sites) or "none"
        raise ValueError(
            f"draws of the prior need one latent site; the programs have {names}: a site that "
            f"follows another is drawn given the guide's draw of that one, which is not the prior"
        )
    (site,) = sites
    prior = sites[0].model
    batch = site.value.shape[: site.value.dim() - len(prior.event_shape)]
    if prior.batch_shape != batch:
        prior = prior.expand(batch)
    with torch.no_grad():
        drawn: Tensor = prior.sample()
    return vectors(site, drawn).detach()


def vectors(site: Site, value: Tensor) -> Tensor:
    """Return a value of a latent site as `[particles, batch, numbers]`."""
    if site.is_enumerated or site.guided is None or site.guide is None:
        raise ValueError(
            f"site '{site.name}' is enumerated: this objective compares draws, so it needs a "
            f"reparameterised or relaxed family there"
        )
    inner = len(site.guide.event_shape)
    dims = {frame.name: frame.dim for frame in site.guided["cond_indep_stack"]}
    inner += -1 - dims[DATA_PLATE]  # plates on the right of the data belong to the datum
    depth = value.dim() - inner
    rows = value.flatten(depth) if inner else value.unsqueeze(-1)
    return rows if depth >= -PARTICLE_DIM else rows.unsqueeze(0)
