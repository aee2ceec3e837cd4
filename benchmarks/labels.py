"""The cost of an unlabelled step of the semi-supervised model, against the plain one and by hand.

The semi-supervised model sums over all classes of a label that is not known, so its decoder runs
once for each; what the classifier and the first layer of the encoder make of x is made once. Both
models have the same networks of one hidden layer, Bernoulli pixels and Adam; the classifier has the
encoder's hidden layer. A step is one forward, backward and update on a batch that lies ready in
memory. All ways run in turns in one process.

- plain, plain compiled: a step of `VAE`, as the loop of `fit` takes it.
- summed, summed compiled: a step of `SemiSupervisedVAE` on a batch without labels.
- drawn, drawn compiled: the same with inference="relaxed", which draws a label.
- by hand, by hand compiled: the sum over classes in PyTorch alone, which shares the same work.

The memory is that of what a step keeps for its backward pass, in tensors of the recorded graph.

    python benchmarks/labels.py [--repeats ROUNDS] [--quick]
"""

import argparse
from collections.abc import Callable
from itertools import cycle

import torch
from _timing import alternate, ratios, table
from _ways import RATE, Sizes, Step, has_mnist, left_as_found, mnist_bits, our_vae
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from pyrovae.likelihoods import Bernoulli, Categorical
from pyrovae.models import Model, Pair, SemiSupervisedVAE
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO
from pyrovae.posteriors import MeanFieldNormal
from pyrovae.priors import StandardNormal
from pyrovae.scopes import validation
from pyrovae.training.compiled import CompiledLoss
from pyrovae.training.guard import Guard
from pyrovae.training.losses import Loss

CLASSES = 10
TINY = Sizes(pixels=20, hidden=16, latent=4, batch=64)
COMPARED = [
    ("summed", "plain"),
    ("summed compiled", "plain compiled"),
    ("summed", "by hand"),
    ("summed compiled", "by hand compiled"),
    ("drawn", "plain"),
    ("drawn compiled", "plain compiled"),
]


def semi_supervised(sizes: Sizes, *, inference: str = "enumerated") -> SemiSupervisedVAE:
    """Return the model of labels with the networks of the plain one."""
    return SemiSupervisedVAE(
        prior=StandardNormal(sizes.latent),
        likelihood=Bernoulli((sizes.pixels,)),
        posterior=MeanFieldNormal(),
        encoder=MLP((sizes.hidden,)),
        decoder=MLP((sizes.hidden,)),
        target=Categorical((), levels=CLASSES),
        classifier=MLP((sizes.hidden,)),
        inference=inference,  # type: ignore[arg-type]  # one of the names that it knows
    )


def stepping(model: Model, *, compiled: bool) -> Step:
    """Return a step on a model as the loop of `fit` takes it."""
    pair = Pair(model)
    loss_of = Loss(ELBO(), pair)
    parameters = list(loss_of.parameters())
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)
    guard = Guard(parameters, pair.buffers(), optimizer, torch.device("cpu"))
    steps = iter(range(2**31))
    recorded = CompiledLoss(loss_of, precision="32-true") if compiled else None

    def step(x: Tensor) -> object:
        if recorded is None:
            with validation(enabled=False):
                loss = loss_of({"x": x})
            for parameter in parameters:
                parameter.grad = None
            (loss / len(x)).backward()
        else:
            loss = recorded.step({"x": x}, divisor=len(x))
        loss_of.set_step(next(steps))
        guard.begin()
        guard.step(loss)
        return loss

    return step


class ByHand(nn.Module):
    """The networks of the model of labels, and its unlabelled bound summed over classes."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.classifier = nn.Sequential(
            nn.Linear(sizes.pixels, sizes.hidden), nn.Softplus(), nn.Linear(sizes.hidden, CLASSES)
        )
        self.encoder_x = nn.Linear(sizes.pixels, sizes.hidden)
        self.encoder_y = nn.Parameter(torch.randn(CLASSES, sizes.hidden) * 0.1)
        self.heads = nn.Linear(sizes.hidden, 2 * sizes.latent)
        self.decoder_z = nn.Linear(sizes.latent, sizes.hidden)
        self.decoder_y = nn.Parameter(torch.randn(CLASSES, sizes.hidden) * 0.1)
        self.pixels = nn.Linear(sizes.hidden, sizes.pixels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the negative bound, summed over the batch."""
        log_q = self.classifier(x).log_softmax(-1).T
        hidden = softplus(self.encoder_x(x) + self.encoder_y.unsqueeze(1))
        loc, raw = self.heads(hidden).chunk(2, -1)
        scale = softplus(raw) + 1e-4
        z = loc + scale * torch.randn_like(scale)
        logits = self.pixels(softplus(self.decoder_z(z) + self.decoder_y.unsqueeze(1)))
        negative = binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).sum(-1)
        kl = 0.5 * (loc.square() + scale.square() - 1.0).sum(-1) - scale.log().sum(-1)
        loss: Tensor = (log_q.exp() * (negative + kl + log_q)).sum()
        return loss


def hand_stepping(sizes: Sizes, *, compiled: bool) -> Step:
    """Return a step of the model by hand."""
    net = ByHand(sizes)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
    function: Callable[[Tensor], Tensor] = torch.compile(net) if compiled else net

    def step(x: Tensor) -> object:
        loss = function(x)
        optimizer.zero_grad(set_to_none=True)
        (loss / len(x)).backward()
        optimizer.step()
        return loss.detach()

    return step


def kept_bytes(loss_of: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, each storage once."""
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss_of(x)
    return sum(found.values())


def memory(sizes: Sizes, x: Tensor) -> str:
    """Return a line for each model on what a step keeps."""
    losses: dict[str, Callable[[Tensor], Tensor]] = {"by hand": ByHand(sizes)}
    made = {"plain": our_vae(sizes, (sizes.pixels,)), "summed": semi_supervised(sizes)}
    for name, model in made.items():
        losses[name] = ELBO()(model.model, model.guide)
    kept = {name: kept_bytes(loss_of, x) for name, loss_of in losses.items()}
    return "\n".join(
        f"  {name:<8} {count / 2**20:8.1f} MiB, {count / kept['plain']:.2f} of the plain model's"
        for name, count in kept.items()
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=10, help="rounds of steps")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats expects a number of at least 1; got {options.repeats}")
    rounds = min(options.repeats, 2) if options.quick else options.repeats
    sizes = TINY if options.quick else Sizes()
    steps = 2 if options.quick else 5
    ways: dict[str, Step] = {}
    with left_as_found():
        for compiled in (False,) if options.quick else (False, True):
            end = " compiled" if compiled else ""
            plain = our_vae(sizes, (sizes.pixels,))
            ways[f"plain{end}"] = stepping(plain, compiled=compiled)
            ways[f"summed{end}"] = stepping(semi_supervised(sizes), compiled=compiled)
            drawn = semi_supervised(sizes, inference="relaxed")
            ways[f"drawn{end}"] = stepping(drawn, compiled=compiled)
            ways[f"by hand{end}"] = hand_stepping(sizes, compiled=compiled)
        real = has_mnist() and not options.quick
        x = mnist_bits(10_240) if real else (torch.rand(10 * sizes.batch, sizes.pixels) < 0.5) * 1.0
        batches = x[: len(x) // sizes.batch * sizes.batch].split(sizes.batch)

        def block(step: Step) -> Callable[[], None]:
            given = cycle(batches)
            return lambda: [step(next(given)) for _ in range(steps)] and None

        blocks = {name: block(step) for name, step in ways.items()}
        times = alternate(blocks, rounds=rounds, per_block=steps)
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {CLASSES} classes")
        print(table(f"One step without labels, {sizes}", times))
        print(ratios(times, COMPARED))
        print(f"What a step keeps for its backward pass\n{memory(sizes, batches[0])}")


if __name__ == "__main__":
    main()
