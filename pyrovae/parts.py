"""Parts: what goes with what, said without training anything.

Whether a prior and a posterior fit is decided by the model itself: one is built of them, and what
it says is the reason. So this page can claim nothing that `VAE` does not do.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from pyrovae.config import arguments, choices
from pyrovae.context import Context
from pyrovae.declared import arguments_of, constructor_call
from pyrovae.likelihoods import Likelihood, Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.objectives import analytic_kl, is_point
from pyrovae.posteriors import MeanFieldNormal, Posterior
from pyrovae.priors import Prior
from pyrovae.scopes import random_state, validation

_FIT = "do not fit: "


@dataclass(frozen=True, kw_only=True)
class Compatibility:
    """Whether a prior, a posterior and a likelihood make a model.

    Arguments:
        prior: the prior's constructor call.
        posterior: the posterior's.
        likelihood: the likelihood's.
        legal: whether a model can be built of them.
        kl: whether `KL(q || p)` is taken in closed form ("analytic") or at the draws ("sampled");
            None where the pair is refused, or the posterior has no density.
        reason: why the pair is refused, else empty.
    """

    prior: str
    posterior: str
    likelihood: str
    legal: bool
    kl: Literal["analytic", "sampled"] | None
    reason: str


def compatible(
    prior: Prior | type[Prior],
    posterior: Posterior | type[Posterior],
    likelihood: Likelihood | type[Likelihood] | None = None,
) -> Compatibility:
    """Say whether parts go together, whether their KL is analytic, and if refused, why.

    No random state is changed, and given parts stay as they are.

    Arguments:
        prior: a prior, or its class, of which an example is made.
        posterior: a posterior, or its class.
        likelihood: a likelihood or its class, by default a normal one; any goes with any prior.

    Raises:
        TypeError: an argument is no such part.

    Example:
        >>> from pyrovae.priors import StandardNormal, VampPrior
        >>> compatible(StandardNormal(2), MeanFieldNormal()).kl
        'analytic'
        >>> compatible(VampPrior, MeanFieldNormal).kl
        'sampled'
    """
    makers = [
        _maker("prior", prior, Prior),
        _maker("posterior", posterior, Posterior),
        _maker("likelihood", Normal((3,)) if likelihood is None else likelihood, Likelihood),
    ]
    with random_state(0), validation(enabled=False):
        p, q, x = (maker() for maker in makers)
        names = {
            "prior": constructor_call(p),
            "posterior": constructor_call(q),
            "likelihood": constructor_call(x),
        }
        try:
            vae = VAE(
                prior=p,
                posterior=q,
                likelihood=x,
                encoder=MLP(()) if getattr(q, "head", None) and q.head.sizes else None,
                decoder=MLP(()),
            )
        except (ValueError, TypeError) as error:
            return Compatibility(**names, legal=False, kl=None, reason=str(error))
        return Compatibility(**names, legal=True, kl=_kl(vae), reason="")


def compatibilities() -> list[Compatibility]:
    """Return what goes with what for every prior and posterior, examples of each.

    Example:
        >>> compatibilities()[0].prior.partition("(")[0] in choices(Prior)
        True
    """
    priors, posteriors = choices(Prior), choices(Posterior)
    return [compatible(p, q) for p in priors.values() for q in posteriors.values()]


def table() -> str:
    """Return what goes with what as a table in Markdown, a row for each prior."""
    found = compatibilities()
    lines = ["| prior | analytic KL | sampled KL | no density |", "| --- | --- | --- | --- |"]
    for prior in dict.fromkeys(one.prior for one in found):
        own = [one for one in found if one.prior == prior]
        cells = [
            ", ".join(_code(one.posterior) for one in own if one.legal and one.kl == kl)
            for kl in ("analytic", "sampled", None)
        ]
        lines.append(f"| {' | '.join([_code(prior), *cells])} |")
    refused: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for one in found:
        if not one.legal:
            priors, posteriors = refused.setdefault(_stem(one), ({}, {}))
            priors[_code(one.prior)] = None
            posteriors[_code(one.posterior)] = None
    if refused:
        lines += ["", "Refused, and why:", ""]
    for reason, (priors, posteriors) in sorted(refused.items()):
        lines.append(f"- {reason}: {', '.join(posteriors)} with {', '.join(priors)}")
    return "\n".join(lines)


def _stem(refused: Compatibility) -> str:
    """Return why a pair is refused without what would fit, and without the names."""
    said = refused.reason.partition(_FIT)[2] or refused.reason
    for call, name in ((refused.posterior, "the posterior"), (refused.prior, "the prior")):
        said = said.replace(call, name).replace(call.partition("(")[0], name)
    return said.partition(";")[0].partition(". ")[0]


def _code(call: str) -> str:
    return f"`{call.partition('(')[0]}`"


def _kl(vae: VAE) -> Literal["analytic", "sampled"] | None:
    """Say how a model's KL is taken, by asking for it."""
    context = Context(index=torch.zeros(2, dtype=torch.int64))
    vae.eval()
    with torch.no_grad():
        raw = vae.encoder_network(torch.zeros(2, *vae.event_shape))
        q = vae.posterior(raw, context)
        p = vae.prior(Context(encode=vae._encode_frozen))
        if is_point(q):
            return None
        return "sampled" if analytic_kl(q, p) is None else "analytic"


def _maker(name: str, given: Any, base: type) -> Callable[[], Any]:
    """Return what makes a part of its own, as the one given or an example of the class given."""
    if isinstance(given, base):
        return lambda: _again(given)
    if isinstance(given, type) and issubclass(given, base):
        return lambda: example(given)
    raise TypeError(
        f"compatible expects {name} to be a {base.__name__} or its class; got {given!r}"
    )


def _again(part: Any) -> Any:
    """Make a part by the constructor call of another, and so the parts in it."""

    def made(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(made(item) for item in value)
        return _again(value) if isinstance(value, nn.Module) else value

    return type(part)(**{name: made(value) for name, value in arguments_of(part).items()})


def example(part: type) -> Any:
    """Make a small part of a class: dimensions are three, other numbers it asks for two.

    Example:
        >>> from pyrovae.likelihoods import Binomial
        >>> example(Binomial)
        Binomial((3,), total_count=2)
    """
    given: dict[str, Any] = {}
    for name, argument in arguments(part).items():
        if name == "dim":  # small, for the values of a code are counted
            given[name] = 3
        elif argument.default is not inspect.Parameter.empty:
            continue
        elif name == "event_shape":
            given[name] = (3,)
        elif any(issubclass(base, Posterior) for base in argument.bases):
            given[name] = MeanFieldNormal()
        else:
            given[name] = 2
    return part(**given)
