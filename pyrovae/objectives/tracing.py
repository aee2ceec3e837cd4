"""Tracing: run a guide and a model once and make the terms record of the run."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, get_args

import pyro
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from pyrovae.objectives.draws import (
    Detached,
    Draws,
    DropoutWatch,
    carried,
    is_drawn,
    require_weighable,
)
from pyrovae.objectives.terms import (
    DATA_PLATE,
    PARTICLE_DIM,
    PARTICLE_PLATE,
    Message,
    Site,
    Terms,
)

Program = Callable[..., Any]


def trace_terms(
    model: Program,
    guide: Program,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    particles: int = 1,
    draws: Draws = "live",
) -> Terms:
    """Run a guide, replay the model on its draws, and return the record of the run.

    Particles are drawn in a plate at dimension -2, so whatever the guide computes before its first
    draw is computed once for all of them. A site of the guide with `infer={"enumerate":
    "parallel"}` takes all its values, on a dimension at -3 or further left. A guide that has plates
    of its own there is enumerated by `poutine.enum(guide, first_available_dim=...)` beforehand.

    Arguments:
        model: a Pyro program whose sites all stand in a plate named `data`.
        guide: a Pyro program that draws the model's latent sites.
        args: positional arguments for both.
        kwargs: keyword arguments for both.
        particles: how many draws to take, K.
        draws: "live" draws carry the gradient of the guide, as they come; "detached" ones carry
            none. With "path" the gradient of log q is the one through the draw alone, without the
            score; with "weighted" likewise, and the gradient into each draw can be weighted (see
            `pyrovae.objectives.estimators`). Where several draws may hang on one another "path"
            runs the guide a second time.

    Raises:
        ValueError: a site stands outside the plate `data`, or is not in both programs, or the
            guide observes a value; or the guide's draws cannot be treated as asked.

    Example:
        >>> import torch
        >>> import pyro.distributions as dist
        >>> def model(x):
        ...     with pyro.plate("data", len(x)):
        ...         z = pyro.sample("z", dist.Normal(0.0, 1.0))
        ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> def guide(x):
        ...     with pyro.plate("data", len(x)):
        ...         pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))
        >>> x = torch.tensor([0.0, 1.0, 2.0])
        >>> terms = trace_terms(model, guide, (x,), particles=5)
        >>> terms.log_weight.shape
        torch.Size([5, 3])
        >>> bool((terms.log_weight - dist.Normal(0.0, 2**0.5).log_prob(x)).abs().max() < 1e-5)
        True
    """
    if draws not in get_args(Draws):
        raise ValueError(f"trace_terms expects draws to be of {get_args(Draws)}; got {draws!r}")
    named = dict(kwargs or {})
    watch = DropoutWatch()
    with Detached() if draws == "detached" else nullcontext() if draws == "live" else watch:
        guide_trace = _run(_enumerated(guide), args, named, particles)
    held: dict[str, Any] = {}
    if draws in ("path", "weighted"):
        held = _held(guide_trace.nodes, weighted=draws == "weighted", dropout=watch.seen)
    if len(held) > 1:  # one draw may have gone into the parameters of another
        again = guide_trace.copy()
        again.nodes.update(held)
        rerun = _run(poutine.replay(guide, trace=again), args, named, particles)
        held = {name: rerun.nodes[name] for name in held}
    model_trace = _run(poutine.replay(model, trace=guide_trace), args, named, particles)
    return _pair(model_trace.nodes, guide_trace.nodes, held)


def _held(nodes: Mapping[str, Any], *, weighted: bool, dropout: bool) -> dict[str, Any]:
    """Return a guide's messages of what it draws at values that carry no gradient.

    To be weighted, each draw becomes a tensor of its own, so that what the guide itself went on to
    make of it is not weighted.
    """
    guided = _variables(nodes)
    drawn = {name: node for name, node in guided.items() if is_drawn(node)}
    if weighted:
        require_weighable(guided, dropout=dropout)
        for name in drawn:
            nodes[name]["value"] = carried(nodes[name]["value"], lambda z: z.view_as(z))
    elif len(drawn) > 1 and dropout:
        raise ValueError(
            f"the guide draws {list(drawn)}, and has to be run again at the same draws to tell "
            f"the score of log q from its path, where dropout would make another guide of it; use "
            f"estimator='reparameterised', or a guide without dropout"
        )
    return {
        n: {**node, "value": carried(node["value"], Tensor.detach)} for n, node in drawn.items()
    }


def _enumerated(guide: Program) -> Program:
    enumerated: Program = poutine.enum(guide, first_available_dim=PARTICLE_DIM - 1)
    return enumerated


def _run(
    program: Program, args: tuple[Any, ...], kwargs: dict[str, Any], particles: int
) -> poutine.Trace:
    if particles == 1:
        return poutine.trace(program).get_trace(*args, **kwargs)
    with pyro.plate(PARTICLE_PLATE, particles, dim=PARTICLE_DIM):
        return poutine.trace(program).get_trace(*args, **kwargs)


def _pair(
    model_nodes: Mapping[str, Any], guide_nodes: Mapping[str, Any], held: Mapping[str, Message]
) -> Terms:
    modelled, guided = _variables(model_nodes), _variables(guide_nodes)
    latent = _latent(modelled)
    for name, node in guided.items():
        if node["is_observed"]:
            raise ValueError(
                f"the guide observes site '{name}': an observed value or a factor belongs to "
                f"the model, where its gradient is right"
            )
        if name not in latent and not node["infer"].get("is_auxiliary", False):
            raise ValueError(
                f"the guide draws site '{name}', which is not a latent site of the model; "
                f"the model's latent sites are {latent}"
            )
    for name in latent:
        if name not in guided:
            raise ValueError(
                f"the guide does not draw the model's latent site '{name}'; it draws {list(guided)}"
            )
    drawn = [name for name in guided if name in modelled]
    names = [*(name for name in guided if name not in modelled), *modelled]
    enumerated = any(
        node["infer"].get("_enumerate_dim") is not None
        for node in (*modelled.values(), *guided.values())
    )
    for name in names:
        for found in (guided, modelled):
            if name in found:
                _require_plates(name, found[name], enumerated=enumerated)
    sites = [
        Site(
            name,
            (guided.get(name) or modelled[name])["value"],
            modelled.get(name),
            guided.get(name),
            name in drawn and _before(name, latent) <= _before(name, drawn),
            held.get(name),
        )
        for name in names
    ]
    return Terms(
        latent={site.name: site for site in sites if site.guided is not None},
        observed={site.name: site for site in sites if site.guided is None},
    )


def _before(name: str, names: list[str]) -> set[str]:
    return set(names[: names.index(name)])


def _require_plates(name: str, node: Message, *, enumerated: bool) -> None:
    """Raise ValueError unless a site stands in the plate `data` and its batch in its plates."""
    dims = {frame.name: frame.dim for frame in node["cond_indep_stack"] if frame.dim is not None}
    if DATA_PLATE not in dims:
        raise ValueError(
            f"site '{name}' stands outside the plate '{DATA_PLATE}': objectives weigh each datum "
            f"by itself, so every sample statement belongs inside pyro.plate('{DATA_PLATE}', ...)"
        )
    if not is_validation_enabled():
        return
    batch = tuple(node["fn"].batch_shape)
    leftmost = -min(dims.values())  # enumeration adds dimensions further left, which are no plates
    batch_dims = range(1, 1 + (min(len(batch), leftmost) if enumerated else len(batch)))
    if any(batch[-dim] != 1 and -dim not in dims.values() for dim in batch_dims):
        raise ValueError(
            f"site '{name}' has batch shape {batch}, of which the plates {dims} declare only part: "
            f"mind .to_event(...), or add a plate"
        )


def _variables(nodes: Mapping[str, Any]) -> dict[str, Message]:
    return {
        name: node
        for name, node in nodes.items()
        if node["type"] == "sample" and not site_is_subsample(node)
    }


def _latent(nodes: Mapping[str, Message]) -> list[str]:
    return [name for name, node in nodes.items() if not node["is_observed"]]
