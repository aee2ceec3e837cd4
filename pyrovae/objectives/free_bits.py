"""Free bits: a KL of which each group of dimensions has a floor, below which it costs nothing."""

from typing import Literal

from torch import Tensor

from pyrovae.objectives.terms import Policy, Site, Terms

Group = int | Literal["site"]


def floored_kl(terms: Terms, policy: Policy, *, floor: float, group: Group) -> Tensor:
    """Return `sum_g max(floor, mean of KL_g over the batch)` over the groups g, 0-dimensional.

    Arguments:
        terms: the record.
        policy: how the KL is taken.
        floor: of each group, in nats.
        group: how many neighbouring dimensions share a floor, or "site" for a site's whole KL.

    Raises:
        ValueError: the KL of a site does not split into dimensions, or its number of dimensions is
            no multiple of the group.
    """
    floored = [
        _groups(terms, site, policy, group).clamp(min=floor).sum() for site in terms.latent.values()
    ]
    return sum(floored[1:], floored[0])


def _groups(terms: Terms, site: Site, policy: Policy, group: Group) -> Tensor:
    """Return the batch mean of each group's KL, of shape `[groups]`."""
    if group == "site":
        return terms.expectation(site.divergence(policy)).mean().unsqueeze(0)
    split = terms.kl_per_dimension(site, policy)
    if split is None:
        raise ValueError(
            f"free_bits floors the KL of each latent dimension, but at site '{site.name}' the "
            f"posterior or the prior does not factorise over dimensions; use free_bits=0 or "
            f"factorised parts such as MeanFieldNormal with StandardNormal, or "
            f"free_bits_group='site', which floors the KL of all dimensions together"
        )
    mean = split.flatten(0, 1).mean(0).flatten()
    if len(mean) % group:
        raise ValueError(
            f"free_bits_group expects a number of neighbouring dimensions that divides the "
            f"{len(mean)} of site '{site.name}'; got {group}; 'site' takes all of them together"
        )
    return mean.unflatten(0, (-1, group)).sum(-1)
