"""Checks of a model: that its parts fit one another, and that data fit its likelihood.

Both are made once, on the distributions themselves: the parts are called with raw zeros for a
batch of two, and what comes back is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.blame import blamed
from pyrovae.context import Context
from pyrovae.likelihoods import Likelihood
from pyrovae.models.fitting import require_fit
from pyrovae.models.support import elementwise, in_words
from pyrovae.networks import Builder, Folded, Network, nothing
from pyrovae.posteriors import Posterior
from pyrovae.priors import Prior

Part = TypeVar("Part")


def require_part(argument: str, part: Part, base: type[Any]) -> Part:
    """Return a part as it is, or raise TypeError where it is not of its room."""
    if not isinstance(part, base):
        shown = f"the class {part.__name__}" if isinstance(part, type) else repr(part)
        hint = f"; write {part.__name__}(...)" if isinstance(part, type) else ""
        raise TypeError(
            f"{argument} expects a {base.__name__} of pyrovae.{base.__module__.split('.')[1]} "
            f"or a subclass of your own; got {shown}{hint}"
        )
    return part


class _Binding:
    """The shapes a part was bound to; a copy of the part is bound to nothing."""

    def __init__(self, shapes: tuple[Any, ...]) -> None:
        self.shapes = shapes

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def claim(part: nn.Module, *shapes: tuple[int, ...]) -> None:
    """Bind a part to a model's shapes, or raise ValueError where another model needs it.

    Parts without parameters may serve several models of the same shapes. One with parameters
    belongs to one model: training another would move it. With a part goes what it is made of.
    """
    for inner in part.modules():
        if isinstance(inner, Prior | Likelihood | Posterior):
            _claim(inner, shapes)


def _claim(part: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> None:
    earlier = getattr(part, "_binding", None)
    if earlier is not None and (earlier.shapes != shapes or any(True for _ in part.parameters())):
        raise ValueError(
            f"{part!r} is already part of another model, which would change with this one: "
            f"make a new one, or give copy.deepcopy of it"
        )
    part._binding = _Binding(shapes)  # type: ignore[assignment]


def require_attributes(part: Any, *names: str) -> None:
    """Raise TypeError where a part of the user's lacks what its base asks the subclass to set."""
    base = type(part).__mro__[1].__name__
    if "_parameters" not in vars(part):
        raise TypeError(
            f"{type(part).__name__} does not begin its __init__ with super().__init__(), which "
            f"every {base} needs"
        )
    for name in names:
        if not hasattr(part, name):
            raise TypeError(
                f"{part!r} has no {name}: a subclass of {base} sets it, "
                f"as an attribute of the class or in __init__"
            )
    shape = getattr(part, "event_shape", ())
    if not isinstance(shape, tuple | list) or not all(isinstance(size, int) for size in shape):
        raise TypeError(
            f"{part!r} has event_shape {shape!r}; expected a tuple of integers, such as (3,)"
        )


def encoder_for(posterior: Any, encoder: Network | Builder | None) -> Network | Builder:
    """Return what builds the encoder; raise ValueError where there is one too many, or none."""
    if encoder is None:
        if posterior.head.sizes:
            raise ValueError(
                f"{posterior!r} needs raw numbers of x, so the model needs an encoder such as "
                f"MLP((400, 400)); got encoder=None"
            )
        return nothing
    if not posterior.head.sizes:
        raise ValueError(
            f"{posterior!r} needs no raw numbers of x, so the model has no encoder: give "
            f"encoder=None; got {encoder!r}"
        )
    return encoder


def check_parts(vae: Any, *, condition: tuple[int, ...] | None = None) -> None:
    """Raise ValueError where prior, posterior, likelihood and networks do not fit one another.

    The random state, the training mode and all buffers are left as they were. A model without
    numbers, as in `pyrovae.outline`, has none to check.

    Arguments:
        vae: the model; its networks that were built for a condition get one of zeros.
        condition: the shape of the condition that the prior gets, None for none.
    """
    if any(tensor.is_meta for tensor in (*vae.parameters(), *vae.buffers())):
        return
    training = [module for module in vae.modules() if module.training]
    buffers = {name: value.clone() for name, value in vae.named_buffers()}
    vae.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _check_latent(vae, condition)
            _check_observed(vae)
    finally:
        for module in training:
            module.training = True
        for name, value in vae.named_buffers():
            if name in buffers:
                value.copy_(buffers[name])


def _check_latent(vae: Any, condition: tuple[int, ...] | None) -> None:
    if vae.prior.conditional and condition is None:
        raise ValueError(
            f"prior {vae.prior!r} and posterior {vae.posterior!r} do not fit: the prior is "
            f"p(z | y), and a {type(vae).__name__} has no condition y to give it; choose a prior "
            f"of z alone, such as Normal or StandardNormal, or a conditional model"
        )
    raw = _run(vae.encoder_network)
    q = _called(vae.posterior, raw, Context(index=torch.zeros(2, dtype=torch.int64)))
    p = _prior_of(vae, None if condition is None else torch.zeros(2, *condition))
    shape = tuple(vae.prior.event_shape)
    _require_shape(vae.prior, p, batches=[(), (2,)], event_shape=shape)
    _require_shape(vae.posterior, q, batches=[(2,)], event_shape=shape)
    require_fit(vae.prior, p, vae.posterior, q)


def _prior_of(vae: Any, condition: Tensor | None) -> Distribution:
    """Return p(z); an error of a prior made of posteriors names the posterior too."""
    used: list[bool] = []

    def encode(x: Tensor) -> Any:
        used.append(True)
        return vae._encode_frozen(x)

    try:
        return _called(vae.prior, Context(encode=encode, condition=condition))
    except ValueError as error:
        if not used:
            raise
        raise ValueError(
            f"prior {vae.prior!r} and posterior {vae.posterior!r} do not fit: {error}"
        ) from error


def _check_observed(vae: Any) -> None:
    if vae.likelihood.fits_data and vae.posterior.enumerated:
        raise ValueError(
            f"likelihood {vae.likelihood!r} and posterior {vae.posterior!r} do not fit: a closed "
            f"form of the likelihood is a mean over draws of z, and this posterior visits every z "
            f"and weighs it later; choose another likelihood, such as one whose parameters are "
            f"learned (scale='shared'), or a posterior that draws"
        )
    raw = _run(vae.decoder_network)
    if getattr(vae, "baseline_network", None) is not None:
        raw = raw + _run(vae.baseline_network)
    p = _called(vae.likelihood, raw, Context())
    _require_shape(vae.likelihood, p, batches=[(2,)], event_shape=vae.event_shape)


def _run(network: Folded) -> Tensor:
    """Return what a network makes of a batch of two."""
    inputs = torch.zeros(2, *network.in_shape)
    beside = network.condition_shape
    condition = None if beside is None else torch.zeros(2, *beside)
    with blamed(f"{network.owner} {network.description} on input of shape {list(inputs.shape)}"):
        outputs: Tensor = network(inputs, condition=condition)
    return outputs


def _called(part: nn.Module, *args: Any) -> Distribution:
    with blamed(f"{part!r}, called for a batch of 2"):
        returned = part(*args)
    if not isinstance(returned, Distribution):
        raise TypeError(
            f"{part!r} returned {type(returned).__name__}; expected a Pyro distribution"
        )
    if not callable(returned):
        raise TypeError(
            f"{part!r} returned {type(returned).__name__} of torch.distributions, which "
            f"pyro.sample does not take; return the one of pyro.distributions, or wrap it in "
            f"pyrovae.distributions.Foreign"
        )
    return returned


def _require_shape(
    part: nn.Module,
    distribution: Distribution,
    *,
    batches: list[tuple[int, ...]],
    event_shape: tuple[int, ...],
) -> None:
    batch, event = tuple(distribution.batch_shape), tuple(distribution.event_shape)
    if event != event_shape or batch not in batches:
        raise ValueError(
            f"{part!r} returned a distribution of batch shape {batch} and event shape {event} for "
            f"a batch of 2; expected event shape {event_shape} and batch shape "
            f"{' or '.join(map(str, batches))} (mind .to_event({len(event_shape)}))"
        )


def _require_masking(likelihood: Any, raw: Tensor) -> None:
    """Raise ValueError where a likelihood scores what is not observed, a stand-in's value."""
    x = torch.zeros(tuple(likelihood.event_shape)).to(raw) + likelihood.fill
    nothing = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
    score = likelihood(raw, Context(observed=nothing)).log_prob(x)
    if bool((score != 0.0).any()):
        raise ValueError(
            f"{likelihood!r} scores entries of x that `observed` says are missing, at the number "
            f"that stands in for them: build it with self.over_elements(elements, context), or "
            f"marginalise over context.observed"
        )


def _batched(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, ('batch', *shape)))}]"


def check_data(vae: Any, batch: Mapping[str, Tensor]) -> None:
    """Raise ValueError where x has another shape or lies outside the likelihood's support."""
    x = batch["x"]
    likelihood = vae.likelihood
    if tuple(x.shape[1:]) != vae.event_shape:
        raise ValueError(
            f"{likelihood!r} expects x of shape {_batched(vae.event_shape)}; "
            f"got {_batched(x.shape[1:])}"
        )
    observed = batch.get("observed")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        raw = torch.zeros(likelihood.head.out_shape(vae.event_shape)).to(_like(vae))
        distribution = likelihood(raw, Context())
        if observed is not None:
            _require_masking(likelihood, raw)
    known = x.to(raw.dtype)  # as it is scored: the least double is no positive float
    if observed is not None:
        known = torch.where(observed, known, likelihood.fill)
    support = distribution.support
    element = elementwise(support)
    alone = element.event_dim == 0
    right = (element if alone else support).check(known)
    if alone:
        right = right & known.isfinite()
    if observed is not None and alone:
        right = right | ~observed
    if bool(right.all()):
        return
    row = torch.nonzero(~right)[0].tolist()
    value = known[tuple(row)]
    shown = f"{value.item():g}" if value.dim() == 0 else f"a value of shape {tuple(value.shape)}"
    scorer = likelihood.scorer(tuple(row[1:]))
    if scorer is not likelihood:
        support = _support_of(scorer, raw)
    raise ValueError(
        f"{scorer!r} cannot score x[{', '.join(map(str, row))}] = {shown} "
        f"(support: {in_words(support)}): {scorer.remedy()}"
    )


def _like(model: Any) -> Tensor:
    """Return a tensor of the precision and the device of a model."""
    tensors: Iterator[Tensor] = chain(model.parameters(), model.buffers())
    return next(tensor for tensor in tensors if tensor.is_floating_point())


def _support_of(likelihood: Any, raw: Tensor) -> Any:
    """Return the support of a likelihood."""
    with torch.no_grad():
        zeros = raw.new_zeros(likelihood.head.out_shape(tuple(likelihood.event_shape)))
        return likelihood(zeros, Context()).support
