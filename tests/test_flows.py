"""Flows: determinants against the Jacobian, inverses, mass by quadrature, and the gap they close.

The optimisations and draws are seeded; the noise of the estimates compared is stated beside them.
"""

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from cases import CONTEXT, POSTERIORS, PRIORS, bound, randomized, small_vae
from torch import Tensor, nn
from torch.distributions import Distribution

import pyrovae
from pyrovae.config import to_tree
from pyrovae.context import Context
from pyrovae.distributions import (
    OUTPUTS,
    Affine,
    Autoregressive,
    Conditioner,
    FlowNormal,
    Inverted,
    Planar,
    Sylvester,
)
from pyrovae.distributions.autoregressive import zuko_transforms
from pyrovae.distributions.tanh_root import tanh_root
from pyrovae.likelihoods import Normal
from pyrovae.models import VAE
from pyrovae.networks import MLP
from pyrovae.objectives import ELBO, IWAE
from pyrovae.outline import outline
from pyrovae.posteriors import (
    FullRankNormal,
    InverseAutoregressiveFlow,
    MeanFieldNormal,
    PlanarFlow,
    SplineFlow,
    SylvesterFlow,
)
from pyrovae.priors import FlowPrior, StandardNormal, VampPrior
from pyrovae.training.arguments import flattened
from pyrovae.training.recording import record
from pyrovae.training.slots import Slots

pytestmark = pytest.mark.usefixtures("float64")

FLOWS = [name for name in POSTERIORS if "Flow" in name]
PRIOR_FLOWS = [name for name in PRIORS if "Flow" in name]


def conditioner(dim: int, kind: str, *, hidden: Any = (6,), context: int = 0, **given: Any) -> Any:
    return randomized(Conditioner(dim, OUTPUTS[kind], hidden=hidden, context=context, **given))


def bijections(dim: int) -> dict[str, Any]:
    """Every map, with parameters away from zero and from each other."""
    torch.manual_seed(dim)
    upper = [torch.randn(dim, dim).tanh().triu() for _ in range(4)]
    vectors = torch.randn(min(dim, 3) if dim > 1 else 0, dim)
    maps: dict[str, Any] = {
        "affine": Affine(torch.randn(dim), torch.rand(dim) + 0.1),
        "planar": Planar(2.0 * torch.randn(dim), 2.0 * torch.randn(dim), torch.randn(())),
        "planar bound": Planar(-9.0 * torch.ones(dim), torch.ones(dim), torch.tensor(0.3)),
        "planar shift": Planar(torch.randn(dim), torch.zeros(dim), torch.tensor(0.3)),
        "Sylvester": Sylvester(upper[0], upper[1], torch.randn(dim), vectors),
        "triangular": Sylvester(
            upper[2], upper[3], torch.randn(dim), torch.zeros(0, dim), reverse=True
        ),
    }
    for kind in OUTPUTS:
        maps[kind + " linear"] = Autoregressive(conditioner(dim, kind, hidden=()), kind=kind)
        maps[kind + " coupling"] = Autoregressive(conditioner(dim, kind, groups=2), kind=kind)
        network = conditioner(dim, kind, hidden=(7, 5), context=3, reverse=True)
        maps[kind + " deep"] = Autoregressive(network, torch.randn(3), kind=kind)
        maps[kind + " inverted"] = Inverted(maps[kind + " coupling"])
    return maps


NAMES = list(bijections(2))


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_log_determinants_equal_the_jacobian_and_inverses_invert(name: str, dim: int) -> None:
    made = bijections(dim)[name]
    for x in 2.0 * torch.randn(5, dim):
        y, log_det = made.forward(x)
        jacobian = torch.autograd.functional.jacobian(lambda v: made.forward(v)[0], x)
        torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian)[1], rtol=0, atol=1e-11)
        back, log_det_back = made.inverse(y)
        torch.testing.assert_close(back, x, rtol=0, atol=1e-8)
        torch.testing.assert_close(log_det_back, log_det, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["planar", "Sylvester", "triangular"])
def test_an_inverse_carries_its_gradient(name: str) -> None:
    """That of the value, against the inverse of the Jacobian."""
    made = bijections(3)[name]
    x = torch.randn(3)
    y = made.forward(x)[0].detach()
    forward = torch.autograd.functional.jacobian(lambda v: made.forward(v)[0], x)
    backward = torch.autograd.functional.jacobian(lambda v: made.inverse(v)[0], y)
    torch.testing.assert_close(backward, torch.linalg.inv(forward), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_root_is_found_to_machine_precision(dtype: torch.dtype) -> None:
    slopes = torch.cat([-0.999 + 0.999 * torch.rand(300), 10 ** (11 * torch.rand(300) - 1)])
    slopes = torch.cat([slopes, torch.tensor([-0.999, 0.0])]).to(dtype).unsqueeze(-1)
    targets = (10 ** torch.linspace(-12, 9, 85)).to(dtype)
    targets = torch.cat([targets, -targets, torch.zeros(1, dtype=dtype)])
    roots = tanh_root(slopes, targets)
    misfit = (roots + slopes * roots.tanh() - targets).abs()
    assert (misfit <= 8 * torch.finfo(dtype).eps * (roots.abs() + targets.abs())).all()


def test_a_root_has_the_gradient_of_its_equation() -> None:
    slopes = torch.tensor([-0.9, 0.5, 30.0], requires_grad=True)
    targets = torch.tensor([0.3, -2.0, 20.0], requires_grad=True)
    assert torch.autograd.gradcheck(tanh_root, (slopes, targets))


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
@pytest.mark.parametrize(("dim", "groups"), [(1, None), (2, None), (5, None), (5, 2), (3, 2)])
@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_know_earlier_dimensions_alone(
    dim: int, groups: int | None, hidden: Any, *, reverse: bool
) -> None:
    network = conditioner(dim, "affine", hidden=hidden, context=2, groups=groups, reverse=reverse)
    context = torch.randn(2)
    jacobian = torch.autograd.functional.jacobian(
        lambda v: network(v, context).sum(-1), torch.randn(dim)
    )
    place = torch.arange(dim)
    place = place if groups is None else place // -(-dim // groups)
    place = place.flip(0) if reverse else place
    allowed = place.unsqueeze(-1) > place
    assert (jacobian[~allowed] == 0).all()
    if hidden != (6, 4):  # deep and narrow, some dimensions lose sight of others
        assert (jacobian[allowed] != 0).all()


# ------------------------------------------------------------------------------------ densities


def made_of(name: str, dim: int, batch: tuple[int, ...] = (4,)) -> tuple[Any, Tensor]:
    torch.manual_seed(dim)
    part = randomized(bound(name, dim))
    raw = 0.8 * torch.randn(*batch, *part.head.out_shape(part.event_shape))
    raw.requires_grad_()
    return part(raw, Context()), raw


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("name", FLOWS)
def test_a_kept_score_is_that_of_any_equal_value(name: str, dim: int) -> None:
    made, raw = made_of(name, dim)
    for expanded in (made, made.expand((3, 4))):
        z = expanded.rsample()
        assert z.shape == (*expanded.batch_shape, dim)
        assert expanded.log_prob(z) is expanded.log_prob(z)
        other = expanded.log_prob(z.clone())
        torch.testing.assert_close(other, expanded.log_prob(z), atol=1e-8, rtol=0)
    with torch.no_grad():
        z = made.rsample()
        assert made.log_prob(z) is made.log_prob(z)
    score = made.log_prob(z)  # drawn without a gradient, so scored anew
    (gradient,) = torch.autograd.grad(score.sum(), raw)
    assert (gradient != 0).any()


@pytest.mark.parametrize("name", FLOWS)
def test_the_gradient_of_a_foreign_score_equals_finite_differences(name: str) -> None:
    torch.manual_seed(4)
    part = randomized(bound(name, 2))
    raw = 0.8 * torch.randn(*part.head.out_shape(part.event_shape))
    z = torch.randn(2)

    def score(numbers: Tensor) -> Tensor:
        return part(numbers, Context()).log_prob(z)

    assert torch.autograd.gradcheck(score, (raw.requires_grad_(),), atol=1e-6)


def test_the_graph_of_a_draw_goes_with_its_distribution() -> None:
    """By counting references alone: a cycle would keep it until the collector runs."""
    made, raw = made_of("InverseAutoregressiveFlow", 2)
    kept = weakref.ref(made.rsample())
    gc.disable()
    try:
        del made, raw
        assert kept() is None
    finally:
        gc.enable()


def test_a_normal_of_no_maps_is_a_normal() -> None:
    loc, scale = torch.randn(3, 2), torch.rand(3, 2) + 0.5
    flow = FlowNormal(loc, scale, [])
    truth = torch.distributions.Normal(loc, scale)
    z = flow.rsample((4,))
    torch.testing.assert_close(flow.log_prob(z), truth.log_prob(z).sum(-1))
    with pytest.raises(ValueError, match="scale"):
        FlowNormal(loc, -scale, [], validate_args=True)


@pytest.mark.parametrize("name", [*PRIOR_FLOWS, *FLOWS])
def test_a_gradient_reaches_every_weight_that_is_not_masked(name: str) -> None:
    torch.manual_seed(5)
    part = randomized(bound(name, 3))
    if name in PRIORS:
        part(CONTEXT).log_prob(2.0 * torch.randn(400, 3)).sum().backward()
    else:
        raw = torch.randn(400, *part.head.out_shape(part.event_shape), requires_grad=True)
        part(raw, Context()).log_prob(2.0 * torch.randn(400, 3)).sum().backward()
    for module in part.modules():
        mask = getattr(module, "mask", None)
        for key, parameter in module.named_parameters(recurse=False):
            live = mask if mask is not None and key == "weight" else torch.tensor(True)
            assert ((parameter.grad != 0) == live).all(), (module, key)


# --------------------------------------------------------------------------- closing the gap


def linear_gaussian(posterior: Any, **given: Any) -> tuple[VAE, Tensor]:
    """z ~ N(0, I), x ~ N(W z, 0.5^2 I), the decoder fixed."""
    torch.manual_seed(0)
    weight = torch.tensor([[1.0, 0.9], [0.8, -0.1], [0.9, 1.1]])
    vae = VAE(
        prior=StandardNormal(2),
        likelihood=Normal((3,), scale=0.5),
        posterior=posterior,
        encoder=MLP(()),
        decoder=MLP(()),
    ).double()
    linear = next(m for m in vae.decoder_network.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.zero_()
    vae.decoder_network.requires_grad_(False)
    return vae, weight


def reached(vae: VAE, x: Tensor) -> float:
    """The mean ELBO of 10,000 fresh draws, after LBFGS at as many fixed ones."""
    objective = ELBO(particles=500, kl="sampled")(vae.model, vae.guide)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimizer = torch.optim.LBFGS(trained, max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        torch.manual_seed(7)
        loss = objective(x) / len(x)
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.manual_seed(8)
    with torch.no_grad():
        return -objective(x).item() / len(x)


@pytest.mark.parametrize(
    "posterior",
    [
        lambda: InverseAutoregressiveFlow(layers=1, hidden=(), context=0),
        FullRankNormal,
        MeanFieldNormal,
    ],
)
def test_one_affine_flow_closes_the_gap_of_the_mean_field(posterior: Any) -> None:
    """Where q is exact, log w is log p(x) for every draw: the estimate has no noise of its own.

    What LBFGS fits to its finite noise costs about 20 / (2 * 10,000) nats.

    The mean-field gap is `1/2 (sum_d log P_dd - log det P)`, P the posterior's precision.
    """
    vae, weight = linear_gaussian(posterior())
    torch.manual_seed(2)
    x = torch.randn(20, 2) @ weight.T + 0.5 * torch.randn(20, 3)
    covariance = weight @ weight.T + 0.25 * torch.eye(3)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3), covariance).log_prob(x).mean()
    precision = torch.eye(2) + weight.T @ weight / 0.25
    gap = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    assert gap > 0.2, "the check would see nothing"
    if isinstance(vae.posterior, MeanFieldNormal):  # 10,000 draws of log w, deviation below 1
        assert reached(vae, x) == pytest.approx((exact - gap).item(), abs=0.05)
    else:
        assert reached(vae, x) == pytest.approx(exact.item(), abs=3e-3)


# --------------------------------------------------------------------- with the rest of the house


@pytest.mark.parametrize("name", FLOWS)
def test_vamp_prior_takes_a_flow_posterior(name: str) -> None:
    """Its mixture asks for log q(z | u_k) at draws of others, and gets it with gradients."""
    torch.manual_seed(3)
    vae = small_vae(VampPrior(2, components=3), name)
    x = torch.bernoulli(torch.full((5, 1, 4, 3), 0.5))
    p = vae.prior(Context(encode=vae._encode_frozen))
    z = vae.encode(x).rsample()
    components = [vae.encode(u.unsqueeze(0)).log_prob(z) for u in vae.prior.pseudo_inputs]
    expected = torch.stack(components).logsumexp(0) - np.log(3)
    torch.testing.assert_close(p.log_prob(z), expected)
    p.log_prob(z.detach()).sum().backward()
    assert (vae.prior.pseudo_inputs.grad != 0).any()


@pytest.mark.parametrize("name", [*PRIOR_FLOWS, *FLOWS])
def test_a_recorded_step_is_the_eager_one(name: str) -> None:
    vae = small_vae(name, None) if name in PRIORS else small_vae(None, name)
    x = torch.bernoulli(torch.full((5, 1, 4, 3), 0.5))
    loss = IWAE(particles=3)(vae.model, vae.guide)
    leaves, structure = flattened((x,), {})
    slots = Slots(loss)
    recording = record(loss, slots, leaves, structure)
    torch.manual_seed(6)
    outputs = recording.graph(*slots.tensors(), x)
    torch.manual_seed(6)
    eager = loss(x)
    eager.backward()
    torch.testing.assert_close(outputs[0], eager.detach(), rtol=1e-12, atol=0)
    named = [t for t in slots.tensors() if t.requires_grad]
    gradients = recording.parted(outputs)[2]
    trained = [t for t, has in zip(slots.tensors(), recording.trained, strict=True) if has]
    assert len(trained) == len(named)
    for gradient, parameter in zip(gradients, trained, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*PRIOR_FLOWS, *FLOWS])
def test_state_survives_a_folder_and_a_copy(name: str, tmp_path: Any) -> None:
    torch.manual_seed(8)
    vae = randomized(small_vae(name, None) if name in PRIORS else small_vae(None, name))
    x = torch.bernoulli(torch.full((5, 1, 4, 3), 0.5))
    pyrovae.save(vae, tmp_path / "model")
    planned = outline(to_tree(vae))
    assert {k: v.shape for k, v in planned.items()} == {
        k: v.shape for k, v in vae.state_dict().items()
    }
    assert not any("mask" in key for key in planned), "a file must not hold the masks"
    losses = []
    for model in (vae, pyrovae.load(tmp_path / "model"), copy.deepcopy(vae)):
        torch.manual_seed(9)
        losses.append(ELBO()(model.model, model.guide)(x).item())
    assert losses[0] == losses[1] == losses[2]


def test_zuko_leaves_the_validation_of_torch_as_it_was() -> None:
    zuko_transforms.cache_clear()
    assert Distribution._validate_args is True
    vae = small_vae(FlowPrior(2, kind="spline"), SplineFlow(layers=1))
    vae.sample(2)
    assert Distribution._validate_args is True


@pytest.mark.parametrize("name", [*PRIOR_FLOWS, *FLOWS])
def test_a_program_of_particles_uses_the_kept_score(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A posterior is never inverted by an objective, nor a prior drawn from."""
    vae = small_vae(name, None) if name in PRIORS else small_vae(None, name)
    slow = "rsample" if name in PRIORS else "inverse"
    target: Any = FlowNormal if name in PRIORS else (Planar, Sylvester, Autoregressive)

    def refused(*args: Any, **given: Any) -> Any:
        raise AssertionError("the slow direction")

    for owner in target if isinstance(target, tuple) else (target,):
        monkeypatch.setattr(owner, slow, refused)
    x = torch.bernoulli(torch.full((5, 1, 4, 3), 0.5))
    for particles in (1, 3):
        ELBO(particles=particles)(vae.model, vae.guide)(x).backward()
        pyro.infer.Trace_ELBO().loss(vae.model, vae.guide, x)
    if name not in PRIORS:
        pyrovae.evaluate(vae, {"x": x}, samples=7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PlanarFlow(layers=0), "PlanarFlow expects layers to be a positive integer; got 0"),
        (lambda: SylvesterFlow(householder=-1), "householder to be zero or a positive integer"),
        (lambda: SylvesterFlow(layers=True), "layers to be a positive integer; got True"),
        (lambda: InverseAutoregressiveFlow(hidden=(8, 0)), "hidden to be positive integers"),
        (lambda: InverseAutoregressiveFlow(context=1.5), "context to be zero or a positive"),  # type: ignore[arg-type]
        (lambda: SplineFlow(layers=10**12), "below 2\\*\\*31"),
        (lambda: FlowPrior(3, kind="radial"), "one of .*; got 'radial'"),  # type: ignore[arg-type]
        (lambda: FlowPrior(3, hidden=("a",)), "hidden to be positive integers; got"),  # type: ignore[arg-type]
        (lambda: FlowPrior(0), "FlowPrior expects dim to be a positive integer; got 0"),
    ],
)
def test_a_wrong_argument_is_named(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", FLOWS)
def test_what_is_no_vector_is_refused(name: str) -> None:
    part = POSTERIORS[name].make()
    part.event_shape = (2, 3)
    with pytest.raises(ValueError, match=r"expects a vector z; .* \(2, 3\)"):
        part.bind((4,))


@pytest.mark.parametrize("value", [1e4, -1e4])
@pytest.mark.parametrize(
    "make",
    [
        lambda: PlanarFlow(layers=8),
        lambda: SylvesterFlow(layers=8),
        lambda: InverseAutoregressiveFlow(layers=8),
        lambda: SplineFlow(layers=8),
    ],
)
def test_many_layers_stay_finite_in_single_precision(make: Any, value: float) -> None:
    part = make()
    part.event_shape = (6,)
    part.bind((4,))
    part.float()
    raw = torch.full(part.head.out_shape((6,)), value, dtype=torch.float32).requires_grad_()
    made = part(raw, Context())
    z = made.rsample()
    total = made.log_prob(z) - StandardNormal(6)(Context()).log_prob(z)
    total.backward()
    assert total.isfinite()
    assert raw.grad.isfinite().all()
