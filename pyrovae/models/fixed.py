"""Fixed: the two programs of one batch, with p(z) and q(z | x) made beforehand."""

from collections.abc import Callable
from typing import Any

import pyro
from pyro.poutine.runtime import InferDict
from torch import Tensor

from pyrovae.context import Context
from pyrovae.models.decoded import Decode, Decoded, Score

FixedPrograms = tuple[Callable[..., Any], Callable[..., Any]]


def fixed_programs(
    x: Tensor,
    *,
    p: Any,
    q: Any,
    decode: Decode,
    context: Context,
    infer: InferDict,
    score: Score | None,
) -> FixedPrograms:
    """Return a model and a guide of one latent z that draw anew and encode nothing.

    Both take, and ignore, a batch. x is decoded and scored a part of the draws at a time.

    Arguments:
        x: the data, as they are scored, of shape `[batch, *event_shape]`.
        p: the prior of z.
        q: the posterior of z.
        decode: makes the likelihood at draws of z.
        context: what the likelihood is told of the data.
        infer: what Pyro is told of the site `z`.
        score: scores a part of the draws, by default as it is.
    """

    def model(**batch: Tensor) -> Any:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", p)
            several = z.dim() == 2 + len(p.event_shape)  # in a plate of particles
            if several and "enumerate" not in infer:
                return pyro.sample("x", Decoded(decode, z, context, score=score), obs=x)
            x_given_z: Any = decode(z, context)
            return pyro.sample("x", x_given_z, obs=x)

    def guide(**batch: Tensor) -> Any:
        with pyro.plate("data", len(x)):
            return pyro.sample("z", q, infer=infer)

    return model, guide
