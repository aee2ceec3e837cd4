"""The aggregated posterior q(z), the mean of q(z | x) over the data, at the draws of a batch.

Everything begins with `log q(z_i | x_j)`, the log-density of each draw under the posterior of each
datum: `crossed` gives it of a record, `mixed` takes its mean over j with `log_weights`, which say
how the rows of one batch stand for a data set. Evaluation shares the first two.

The rows are those of one process's batch. Rows that were gathered from several go through the same
two functions: `across` takes draws and posteriors of different batches.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.objectives.kl import factors
from pyrovae.objectives.terms import DATA_PLATE, PARTICLE_PLATE, Message, Site, Terms

Sampling = Literal["weighted", "stratified"]


def aggregated_site(terms: Terms, asked_by: str) -> Site:
    """Return the one latent site of a record whose posterior can be aggregated.

    Arguments:
        terms: the record.
        asked_by: who asks, for the message.

    Raises:
        ValueError: there is not one latent site, or it has other plates than "data", or a scale or
            a mask.
    """
    sites = [site for site in terms.latent.values() if site.guided is not None]
    if len(sites) != 1:
        names = ", ".join(f"'{site.name}'" for site in sites) or "none"
        raise ValueError(
            f"{asked_by} reads q(z), the mean of one posterior q(z | x) over the data, and expects "
            f"one latent site; got {names}; join them in one vector z"
        )
    (site,) = sites
    for message in (site.guided, site.modelled):
        if message is not None:
            _require_plain(site.name, message, asked_by)
    return site


def _require_plain(name: str, message: Message, asked_by: str) -> None:
    stack = [frame for frame in message["cond_indep_stack"] if frame.dim is not None]
    others = [frame.name for frame in stack if frame.name not in (DATA_PLATE, PARTICLE_PLATE)]
    if others or any(frame.name == DATA_PLATE and frame.dim != -1 for frame in stack):
        raise ValueError(
            f"{asked_by} reads q(z), and expects site '{name}' to stand in the plate "
            f"'{DATA_PLATE}' alone, at dim=-1; got the plates "
            f"{[(frame.name, frame.dim) for frame in stack]}; make what is in other plates one "
            f"vector with .to_event(1)"
        )
    scale, mask = message["scale"], message["mask"]
    if mask is not None or isinstance(scale, Tensor) or scale != 1.0:
        raise ValueError(
            f"{asked_by} reads q(z), to which every datum belongs alike, and expects site "
            f"'{name}' without a scale or a mask; weigh the terms of the objective instead"
        )


def across(q: Distribution, value: Tensor, *, event_dim: int) -> Tensor:
    """Return the log-density of every value under every distribution of a batch.

    Arguments:
        q: distributions, of batch shape `[*left, j, *event]` with `event_dim` dimensions of events.
        value: of shape `[*left, i, *event, *event_shape]`.
        event_dim: how many dimensions of the batch shape belong to one event.

    Returns:
        `log q_j(value_i)`, of shape `[*left, i, j, *event]`.

    Example:
        >>> q = torch.distributions.Normal(torch.tensor([0.0, 1.0, 5.0]), 1.0)
        >>> across(q, torch.tensor([0.0, 2.0]), event_dim=0).shape
        torch.Size([2, 3])
    """
    rows = -1 - event_dim - len(q.event_shape)
    # i goes to the far left and leaves a one in its place, which is broadcast against j
    log_prob: Tensor = q.log_prob(value.unsqueeze(0).transpose(0, rows))
    return log_prob.movedim(0, -2 - event_dim)


def crossed(site: Site, value: Tensor | None = None) -> Tensor:
    """Return `log q(z_i | x_j)` of a site, of shape `[*enumerated, particles, i, j]`.

    Arguments:
        site: the latent site.
        value: other values than those of the site, of shape `[i, *event_shape]`.
    """
    q = _guide(site)
    return _placed(across(q, site.value if value is None else value, event_dim=0), dims=2)


def crossed_per_dimension(site: Site, value: Tensor | None = None) -> Tensor | None:
    """Return `log q(z_id | x_j)`, of shape `[*enumerated, particles, i, j, dimensions]`.

    The dimensions are the independent factors of the posterior, flattened; None unless posterior
    and prior both are products over them. Their sum is `crossed`.
    """
    pair = site_factors(site)
    if pair is None:
        return None
    depth = dimensions_of(site)
    terms = across(pair[0], site.value if value is None else value, event_dim=depth)
    return _placed(terms.flatten(terms.dim() - depth), dims=3)


def log_prior_per_dimension(site: Site) -> Tensor | None:
    """Return `log p(z_id)`, of shape `[*enumerated, particles, i, dimensions]`, or None."""
    pair = site_factors(site)
    if pair is None:
        return None
    terms: Tensor = pair[1].log_prob(site.value)
    return _placed(terms.flatten(terms.dim() - dimensions_of(site)), dims=2)


def site_factors(site: Site) -> tuple[Distribution, Distribution] | None:
    """Return the independent factors of a site's posterior and prior, None where there are none."""
    return None if site.guide is None or site.model is None else factors(site.guide, site.model)


def dimensions_of(site: Site) -> int:
    """Return how many dimensions of an event the factors are over, where there are factors."""
    return int(getattr(site.guide, "reinterpreted_batch_ndims", 0))


def log_weights(rows: int, *, sampling: Sampling, size: int | None, like: Tensor) -> Tensor | float:
    r"""Return the logarithms of the weights with which a batch stands for all data.

    `q(z_i)` is estimated by `sum_j w_ij q(z_i | x_j)` over the M rows of a batch. With N data,

        weighted:    w_ij = 1 / (N M)
        stratified:  w_ii = 1 / N and w_ij = (N - 1) / (N (M - 1))
        no size:     w_ij = 1 / M

    The stratified weights are unbiased for q(z_i), where row i is certain to be in the batch and
    the others are drawn from the rest. (The paper gives one of the others a weight of its own; here
    is the mean over which one that is: of the same expectation, and of less variance.) The weighted
    ones are too small by a factor of N where all posteriors agree, and by one of M where none
    overlap: log q(z) comes out too small by between log M and log N nats. They are a constant
    times those without a size, so that gradients are the same.

    References:
        Chen et al., 2018, arXiv:1802.04942, section 4.1 and appendix C.

    Arguments:
        rows: M, those of the batch.
        sampling: which weights.
        size: N, the number of data; of fewer than M it counts as M.
        like: a tensor whose device and type the weights get.

    Returns:
        the logarithms, of shape `[i, j]`, or one number where all are equal.

    Example:
        >>> log_weights(3, sampling="stratified", size=10, like=torch.ones(())).exp()
        tensor([[0.1000, 0.4500, 0.4500],
                [0.4500, 0.1000, 0.4500],
                [0.4500, 0.4500, 0.1000]])
    """
    if size is None:
        return -math.log(rows)
    size = max(size, rows)
    if sampling == "weighted":
        return -math.log(size) - math.log(rows)
    if size == rows:
        return -math.log(rows)
    if rows == 1:  # nothing but the row itself stands for the rest
        return 0.0
    others = math.log(size - 1) - math.log(size) - math.log(rows - 1)
    own = torch.eye(rows, dtype=torch.bool, device=like.device)
    return torch.full((rows, rows), others, dtype=like.dtype, device=like.device).masked_fill(
        own, -math.log(size)
    )


def mixed(log_densities: Tensor, weights: Tensor | float, *, event_dim: int = 0) -> Tensor:
    """Return `log sum_j w_ij q(z_i | x_j)`, of shape `[*left, i, *event]`.

    Arguments:
        log_densities: `log q(z_i | x_j)`, of shape `[*left, i, j, *event]`.
        weights: the logarithms of w, of shape `[i, j]`, or one for all.
        event_dim: how many dimensions there are behind j.
    """
    over = -1 - event_dim
    if isinstance(weights, Tensor):
        raised = weights.reshape(weights.shape + (1,) * event_dim)
        return (log_densities + raised).logsumexp(over)
    return log_densities.logsumexp(over) + weights


def _placed(terms: Tensor, *, dims: int) -> Tensor:
    """Give the particles their place, where there is but one."""
    return terms.unsqueeze(-1 - dims) if terms.dim() == dims else terms


def _guide(site: Site) -> Distribution:
    if site.guide is None:
        raise ValueError(f"site '{site.name}' is observed, and has no posterior")
    return site.guide
