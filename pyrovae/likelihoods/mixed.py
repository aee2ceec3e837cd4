"""One likelihood for each group of columns, for tables of mixed types."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import Joined
from pyrovae.heads import Head
from pyrovae.likelihoods.likelihood import Likelihood, Shape


class Mixed(Likelihood):
    r"""Groups of elements, each with a likelihood of its own: `p(x | z) = prod_j p_j(x_j | z)`.

    The groups follow one another along the first dimension of the event, as the columns of a table.

    References:
        Nazabal, Olmos, Ghahramani and Valera, 2020, arXiv:1807.03653.

    Arguments:
        parts: the likelihoods, in the order of the columns; each states by its event shape how many
            it takes.

    Raises:
        TypeError: a part is no likelihood.
        ValueError: there is no part, or their event shapes differ beyond the first dimension.

    Example:
        >>> from pyrovae.likelihoods import Bernoulli, Normal
        >>> mixed = Mixed((Normal((2,), scale="element"), Bernoulli((1,))))
        >>> mixed.event_shape, mixed.head.out_shape(mixed.event_shape)
        ((3,), (3,))
        >>> mixed(torch.zeros(5, 3), Context()).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    blank: Tensor

    def __init__(self, parts: Sequence[Likelihood] = ()) -> None:
        super().__init__()
        self.parts = tuple(parts) if isinstance(parts, list | tuple) else (parts,)
        _require_parts(self.parts)
        self.groups = nn.ModuleList(self.parts)
        self.fits_data = any(part.fits_data for part in self.parts)
        self._shapes = [tuple(part.event_shape) for part in self.parts]
        self._sizes = [shape[0] for shape in self._shapes]
        self.event_shape: Shape = (sum(self._sizes), *self._shapes[0][1:])
        self._heads = [
            part.head.out_shape(shape) for part, shape in zip(self.parts, self._shapes, strict=True)
        ]
        self._counts = [torch.Size(shape).numel() for shape in self._heads]
        total = sum(self._counts)
        self.head = Head(all=lambda event_shape: (total,))
        self.register_buffer("blank", torch.zeros(self.event_shape), persistent=False)

    @property
    def fill(self) -> Tensor:  # type: ignore[override]
        """What stands in for missing entries of x: in each group what its likelihood says."""
        pieces = self.blank.split(self._sizes)
        return torch.cat([p + part.fill for p, part in zip(pieces, self.parts, strict=True)])

    def bind(self, latent_shape: Shape) -> None:
        """Tell the likelihoods; see `Likelihood`."""
        for part in self.parts:
            part.bind(latent_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return p(x | z); see `Likelihood`."""
        known, shown = self._split_if(context.observed), self._split_if(context.x)
        pieces = zip(self.parts, self._raws(raw), known, shown, strict=True)
        return Joined(
            [part(one, replace(context, observed=seen, x=x)) for part, one, seen, x in pieces]
        )

    def given(self, raw: Tensor, x: Tensor, context: Context) -> TorchDistributionMixin:
        """Return what each likelihood says of its missing entries; see `Likelihood`."""
        known = self._split_if(context.observed)
        pieces = zip(self.parts, self._raws(raw), self._split(x), known, strict=True)
        return Joined(
            [
                part.given(one, values, replace(context, observed=seen))
                for part, one, values, seen in pieces
            ]
        )

    def inputs(self, x: Tensor) -> Tensor:
        """Return each group as its likelihood wants it seen; see `Likelihood`."""
        pieces = zip(self.parts, self._split(x), strict=True)
        return torch.cat([part.inputs(piece) for part, piece in pieces], self._axis)

    def typical(self, x_given_z: TorchDistributionMixin) -> Tensor:
        """Return what each likelihood says; see `Likelihood`."""
        if not isinstance(x_given_z, Joined):
            return super().typical(x_given_z)
        pieces = zip(self.parts, x_given_z.groups, strict=True)
        return x_given_z.joined([part.typical(group) for part, group in pieces])

    def quantile(self, x_given_z: TorchDistributionMixin, probability: Tensor | float) -> Tensor:
        """Return the quantiles that each likelihood gives; see `Likelihood`."""
        if not isinstance(x_given_z, Joined):
            return super().quantile(x_given_z, probability)
        shape = torch.Size(x_given_z.batch_shape) + torch.Size(x_given_z.event_shape)
        given = torch.as_tensor(probability, dtype=torch.float64).expand(shape)
        pieces = zip(self.parts, x_given_z.groups, self._split(given), strict=True)
        return x_given_z.joined([part.quantile(group, at) for part, group, at in pieces])

    def prepare(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Begin where each likelihood does; see `Likelihood`."""
        starts = []
        known = self._split_if(batch.get("observed"))
        pieces = zip(self.parts, self._split(batch["x"]), known, self._heads, strict=True)
        for part, x, seen, shape in pieces:
            told = {key: value for key, value in batch.items() if key != "observed"}
            told["x"] = x
            if seen is not None:
                told["observed"] = seen
            start = part.prepare(told)
            starts.append((x.new_zeros(shape) if start is None else start).double().flatten())
        return torch.cat(starts)

    def coded(self) -> Tensor:
        """Return which elements are codes; see `Likelihood`."""
        return torch.cat([part.coded() for part in self.parts])

    def scorer(self, element: tuple[int, ...]) -> Likelihood:
        """Return the likelihood of a group that an element is in; see `Likelihood`."""
        first = element[0]
        for part, size in zip(self.parts, self._sizes, strict=True):
            if first < size:
                return part.scorer((first, *element[1:]))
            first -= size
        raise IndexError(f"{self!r} has no element {element}")

    def _raws(self, raw: Tensor) -> list[Tensor]:
        """Return the raw numbers of each group."""
        flat = self.head.unpack(raw, self.event_shape)["all"].split(self._counts, -1)
        return [
            one.reshape(*raw.shape[:-1], *shape)
            for one, shape in zip(flat, self._heads, strict=True)
        ]

    def _split(self, value: Tensor) -> Sequence[Tensor]:
        """Return the part of x that each group is."""
        return value.split(self._sizes, self._axis)

    def _split_if(self, value: Tensor | None) -> Sequence[Tensor | None]:
        """Return the part of a tensor that each group is, if there is one."""
        return [None] * len(self.parts) if value is None else self._split(value)

    @property
    def _axis(self) -> int:
        return -len(self.event_shape)


def _require_parts(parts: tuple[Likelihood, ...]) -> None:
    for part in parts:
        if not isinstance(part, Likelihood):
            raise TypeError(
                f"Mixed expects likelihoods, such as Mixed((Normal((2,)), Bernoulli((1,)))); "
                f"got {part!r}"
            )
    rest = {tuple(part.event_shape[1:]) for part in parts}
    if len(rest) != 1 or not all(part.event_shape for part in parts):
        raise ValueError(
            f"Mixed expects at least one likelihood, whose event shapes differ in the first "
            f"dimension alone, such as Mixed((Normal((2,)), Bernoulli((1,)))); got {parts!r}"
        )
    if len(set(map(id, parts))) < len(parts):
        raise ValueError(
            f"Mixed expects a likelihood of its own for each group, and got one twice in {parts!r}"
        )
