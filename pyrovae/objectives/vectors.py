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
