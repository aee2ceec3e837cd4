"""The terms record: one run of guide and model, as per-datum terms that every bound reads.

For each site a `Terms` holds its value and its two distributions, and, computed when first asked
for, log p, log q and the analytic KL of each datum. Tensors of terms have shape
`[*enumerated, particles, batch]`, in nats, with a one in place of what does not vary. Nothing here
reads a tensor on the host, so a record costs no synchronisation. `pyrovae.objectives.tracing` makes
records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from pyro.distributions.util import scale_and_mask
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.objectives.draws import family_of, log_density, unweighted
from pyrovae.objectives.kl import analytic_kl, factors, is_point

Policy = Literal["auto", "analytic", "sampled"]
Message = Mapping[str, Any]

DATA_PLATE = "data"
PARTICLE_PLATE = "pyrovae_particles"
PARTICLE_DIM = -2


@dataclass(frozen=True)
class Site:
    """One random variable of a run.

    Arguments:
        name: the site's name in the programs.
        value: its value, of shape `[*batch, *event_shape]`.
        modelled: Pyro's message of the site in the model, None for an auxiliary variable.
        guided: Pyro's message of the site in the guide, None where the site is observed.
        ordered: whether the guide has drawn all that its distribution in the model may hang on,
            without which an analytic KL of the site given the others would be wrong.
        held: the guide's message at values without gradient, None where log q keeps its score.
    """

    name: str
    value: Tensor
    modelled: Message | None
    guided: Message | None
    ordered: bool
    held: Message | None = None

    @property
    def model(self) -> Distribution | None:
        """Its distribution in the model."""
        return None if self.modelled is None else self.modelled["fn"]

    @property
    def guide(self) -> Distribution | None:
        """Its distribution in the guide."""
        return None if self.guided is None else self.guided["fn"]

    @property
    def is_enumerated(self) -> bool:
        """Whether its value is every value there is, on a dimension of its own."""
        return self.guided is not None and self.guided["infer"].get("_enumerate_dim") is not None

    @property
    def is_point(self) -> bool:
        """Whether the guide puts all mass on one value of a continuous variable."""
        return is_point(self.guide)

    @cached_property
    def log_p(self) -> Tensor:
        """`log p(value | parents)` of each datum, zero for an auxiliary variable."""
        if self.modelled is None:
            return torch.zeros_like(self.log_q)
        return _per_datum(self.modelled["fn"].log_prob(self.value), self.modelled)

    @cached_property
    def log_q(self) -> Tensor:
        """`log q(value | x, parents)` of each datum, zero for an observed site."""
        if self.guided is None:
            return torch.zeros_like(self.log_p)
        return _per_datum(self._log_q(self.guided["fn"], lambda fn: fn), self.guided)

    def _log_q(self, fn: Distribution, factor: Callable[[Any], Any]) -> Tensor:
        """Return the score of the value by the guide or its factors, without gradient if held."""
        log_q = log_density(fn, self.value, self.name)
        if self.held is None:
            return log_q
        score = log_density(factor(self.held["fn"]), self.held["value"], self.name)
        return log_q - (score - score.detach())  # the value of log q, and the gradient of its path

    @cached_property
    def kl(self) -> Tensor | None:
        """The analytic `KL(q || p)` of each datum given its parents, None where there is none."""
        if self.guide is None or self.model is None or not self.ordered:
            return None
        divergence = analytic_kl(self.guide, self.model)
        return None if divergence is None else _per_datum(divergence, self.guided)

    def divergence(self, policy: Policy) -> Tensor:
        """Return `KL(q || p)` of each datum, analytic or as `log q - log p` at the draw.

        Raises:
            ValueError: the policy is "analytic" and the pair has no analytic KL.
        """
        if policy == "sampled" or (policy == "auto" and self.kl is None):
            return self.log_q - self.log_p
        if self.kl is None:
            cause = (
                f"KL({family_of(self.guide)} || {family_of(self.model)}) has no closed form"
                if self.ordered
                else "guide and model visit their sites in different orders"
            )
            raise ValueError(
                f"kl='analytic' was asked for, but at site '{self.name}' {cause}; "
                f"use kl='auto' or kl='sampled'"
            )
        return self.kl

    def kl_per_dimension(self, policy: Policy) -> Tensor | None:
        """Return the KL of each dimension, `[*enumerated, particles, batch, *dimensions]`.

        None unless both distributions factorise over the dimensions of the event, or over its first
        ones, as codes do; where they do, the sum over them is `divergence(policy)`.
        """
        if self.guided is None or self.modelled is None or not self.ordered:
            return None
        pair = factors(self.guided["fn"], self.modelled["fn"])
        if pair is None:
            return None
        q, p = pair
        terms = None if policy == "sampled" else analytic_kl(q, p)
        if terms is None:
            terms = self._log_q(q, lambda fn: fn.base_dist) - p.log_prob(self.value)
        depth = self.guided["fn"].reinterpreted_batch_ndims
        return _per_datum(terms, self.guided, event_dim=depth)


@dataclass(frozen=True)
class Terms:
    """All sites of one run, latent and observed, in the order of the model.

    Arguments:
        latent: the sites that the guide draws, by name.
        observed: the sites that are observed, by name.
    """

    latent: dict[str, Site]
    observed: dict[str, Site]

    @cached_property
    def log_likelihood(self) -> Tensor:
        """The sum of `log p` over the observed sites."""
        return _total([site.log_p for site in self.observed.values()])

    @cached_property
    def log_weight(self) -> Tensor:
        """The log importance weight `log p(x, z) - log q(z | x)`."""
        differences = [site.log_p - site.log_q for site in self.latent.values()]
        return _total([self.log_likelihood, *differences])

    def divergence(self, policy: Policy) -> Tensor:
        """Return the sum of the latent sites' divergences under a policy."""
        parts = [site.divergence(policy) for site in self.latent.values()]
        return _total(parts) if parts else torch.zeros_like(self.log_likelihood)

    def method(self, policy: Policy) -> dict[str, str]:
        """Return for each latent site whether its KL is taken "analytic" or "sampled"."""
        return {
            name: "sampled" if policy == "sampled" or site.kl is None else "analytic"
            for name, site in self.latent.items()
        }

    @cached_property
    def enumerated(self) -> list[Site]:
        """The sites of which every value is in the record, weighed by q."""
        return [site for site in self.latent.values() if site.is_enumerated]

    @cached_property
    def log_mass(self) -> Tensor | None:
        """`log q` of the enumerated values, None where no site is enumerated."""
        masses = [unweighted(site) for site in self.enumerated]
        return _total(masses) if masses else None

    def expectation(self, terms: Tensor, *, event_dim: int = 0) -> Tensor:
        """Return the mean under q over the enumerated values, of shape `[particles, batch]`.

        Arguments:
            terms: of shape `[*enumerated, particles, batch, *event]`.
            event_dim: how many dimensions the event has.
        """
        if self.log_mass is None:
            return terms
        mass = _raised(self.log_mass.exp(), event_dim)
        weighed = mass * terms
        return weighed.flatten(0, weighed.dim() - 3 - event_dim).sum(0)

    def kl_per_dimension(self, site: Site, policy: Policy) -> Tensor | None:
        """Return the KL of each dimension of a site, `[particles, batch, *dimensions]`.

        It is the mean under q over the enumerated values; None where `Site.kl_per_dimension` is.
        """
        split = site.kl_per_dimension(policy)
        depth = getattr(site.guide, "reinterpreted_batch_ndims", 0)  # factors have it
        return None if split is None else self.expectation(split, event_dim=depth)

    @cached_property
    def log_evidence_weight(self) -> Tensor:
        """The log importance weight with the enumerated sites summed out, `[particles, batch]`.

        It is `log sum_y p(x, y, z) / q(z | x, y)` over their values y.
        """
        if self.log_mass is None:
            return self.log_weight
        joint = self.log_weight + self.log_mass
        return joint.flatten(0, joint.dim() - 3).logsumexp(0)

    def require_outer_mass(self) -> None:
        """Raise ValueError where q of an enumerated value hangs on a draw of another site."""
        if self.log_mass is not None and self.log_mass.shape[PARTICLE_DIM] != 1:
            names = ", ".join(f"'{site.name}'" for site in self.enumerated)
            raise ValueError(
                f"the enumerated {names} hangs on the draw of another site in the guide: a bound "
                f"with a logarithm over particles is averaged over enumerated values outside of "
                f"it, so enumerate first, and draw given the value; or use ELBO"
            )

    def require_densities(self) -> None:
        """Raise ValueError where the guide puts all mass on a point, which has no density."""
        for site in self.latent.values():
            if site.is_point:
                raise ValueError(
                    f"site '{site.name}': the guide gives a point, which has no density, so this "
                    f"objective is not defined for it; use an objective of draws alone, such as "
                    f"Wasserstein(), or a posterior with a density, such as MeanFieldNormal()"
                )

    def require_gradient(self) -> None:
        """Raise ValueError where a draw does not carry the gradient of its guide."""
        for site in self.latent.values():
            if not site.is_enumerated and not getattr(site.guide, "has_rsample", False):
                raise ValueError(
                    f"site '{site.name}': {family_of(site.guide)} in the guide has no "
                    f"reparameterised draw, so this objective has no gradient for it; use one that "
                    f"needs none, such as ELBO(estimator='score'), a reparameterised or relaxed "
                    f"family, or enumerate it with infer={{'enumerate': 'parallel'}}"
                )


def particle_mean(terms: Tensor) -> Tensor:
    """Return the mean over particles of `[*enumerated, particles, batch]`, without cost for one.

    Example:
        >>> particle_mean(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        tensor([2., 4.])
    """
    return (
        terms.squeeze(PARTICLE_DIM) if terms.shape[PARTICLE_DIM] == 1 else terms.mean(PARTICLE_DIM)
    )


def _per_datum(log_prob: Tensor, message: Message | None, *, event_dim: int = 0) -> Tensor:
    """Sum over inner plates and bring a site's terms to `[*enumerated, particles, batch]`."""
    if message is None:
        return log_prob
    scale, mask = (_raised(message[key], event_dim) for key in ("scale", "mask"))
    log_prob = scale_and_mask(log_prob, scale, mask)
    inner: set[int] = set()
    taken: set[int] = set()  # by plates of the programs
    for frame in message["cond_indep_stack"]:
        if frame.name == DATA_PLATE:  # what stands on its right belongs to inner plates
            inner.update(range(frame.dim + 1, 0))
            taken.add(frame.dim)
        elif frame.name != PARTICLE_PLATE and frame.dim is not None:
            inner.add(frame.dim)
    # Enumeration leaves the particles their place, and so it is there without particles as well.
    is_placed = log_prob.dim() - event_dim > 1 and PARTICLE_DIM not in taken | inner
    if inner:
        log_prob = log_prob.sum([dim - event_dim for dim in inner])
    return log_prob if is_placed else log_prob.unsqueeze(PARTICLE_DIM - event_dim)


def _raised(per_element: Any, event_dim: int) -> Any:
    """Give a scale or a mask of the batch the event's dimensions behind it."""
    if not isinstance(per_element, Tensor) or per_element.dim() == 0:
        return per_element
    return per_element.reshape(per_element.shape + (1,) * event_dim)


def _total(terms: list[Tensor]) -> Tensor:
    """Add terms one by one: `sum` would begin at an integer zero and cost an operation."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
