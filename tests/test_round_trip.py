"""Config round trip: what --print_config prints is the same run, and the same tree as in Python."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from PIL import Image

from pyrovae import (
    data,
    distances,
    likelihoods,
    networks,
    objectives,
    posteriors,
    priors,
    schedules,
)
from pyrovae.__main__ import main
from pyrovae.config import parse, to_tree
from pyrovae.data import Source
from pyrovae.declared import Declared

TINY = "--epochs 1 --batch_size 8 --samples 2 --report false --data bits.npz"

# For every part at least once with arguments that are not its defaults: the flags, and the object.
SPHERE = "--model.prior HypersphericalUniform --model.prior.dim 3 --model.posterior "
RELAXED = (
    "--model.prior RelaxedCategorical --model.prior.classes 3 --model.prior.temperature 0.8 "
    "--model.posterior RelaxedCategorical --model.posterior.temperature 0.6"
)
CASES: dict[str, tuple[str, Any]] = {
    "prior StandardNormal": ("--model.prior StandardNormal --model.prior.dim 3",
                             priors.StandardNormal(3)),
    "prior GaussianMixture": (
        "--model.prior GaussianMixture --model.prior.dim 3 --model.prior.components 4",
        priors.GaussianMixture(3, components=4)),
    "prior VampPrior": ("--model.prior VampPrior --model.prior.dim 3 --model.prior.components 4",
                        priors.VampPrior(3, components=4)),
    "likelihood Bernoulli": ("--model.likelihood Bernoulli", likelihoods.Bernoulli((6,))),
    "likelihood Binomial": (
        "--model.likelihood Binomial --model.likelihood.total_count 2",
        likelihoods.Binomial((6,), total_count=2)),
    "likelihood Mixed": (
        "--model.likelihood Mixed --model.likelihood.parts "
        '[{"class_path":"Normal","init_args":{"event_shape":[2]}},'
        '{"class_path":"Bernoulli","init_args":{"event_shape":[4]}}]',
        likelihoods.Mixed((likelihoods.Normal((2,)), likelihoods.Bernoulli((4,))))),
    "likelihood Standardized": (
        "--model.likelihood Standardized",
        likelihoods.Standardized(likelihoods.Normal((6,), scale="element"))),
    "likelihood Normal": ("--model.likelihood Normal --model.likelihood.scale network",
                          likelihoods.Normal((6,), scale="network")),
    "likelihood Normal, a number": ("--model.likelihood Normal --model.likelihood.scale 0.5",
                                    likelihoods.Normal((6,), scale=0.5)),
    "likelihood Normal, optimal": (
        "--model.likelihood Normal --model.likelihood.scale optimal",
        likelihoods.Normal((6,), scale="optimal")),
    "likelihood Laplace": ("--model.likelihood Laplace --model.likelihood.scale element",
                           likelihoods.Laplace((6,), scale="element")),
    "likelihood StudentT": (
        "--model.likelihood StudentT --model.likelihood.scale shared --model.likelihood.df network",
        likelihoods.StudentT((6,), scale="shared", df="network")),
    "likelihood LogNormal": (
        "--data shares.npz --model.likelihood LogNormal --model.likelihood.scale 0.5",
        likelihoods.LogNormal((6,), scale=0.5)),
    "likelihood Gamma": (
        "--data shares.npz --model.likelihood Gamma --model.likelihood.concentration network",
        likelihoods.Gamma((6,), concentration="network")),
    "likelihood Beta": (
        "--data shares.npz --model.likelihood Beta --model.likelihood.concentration 3",
        likelihoods.Beta((6,), concentration=3)),
    "likelihood Categorical": (
        "--model.likelihood Categorical --model.likelihood.levels 3",
        likelihoods.Categorical((6,), levels=3)),
    "likelihood Ordinal": (
        "--model.likelihood Ordinal --model.likelihood.levels 4 --model.likelihood.cuts shared",
        likelihoods.Ordinal((6,), levels=4, cuts="shared")),
    "likelihood Poisson": ("--model.likelihood Poisson", likelihoods.Poisson((6,))),
    "likelihood NegativeBinomial": (
        "--model.likelihood NegativeBinomial --model.likelihood.dispersion shared",
        likelihoods.NegativeBinomial((6,), dispersion="shared")),
    "likelihood NegativeBinomial, a number": (
        "--model.likelihood NegativeBinomial --model.likelihood.dispersion 0.5",
        likelihoods.NegativeBinomial((6,), dispersion=0.5)),
    "likelihood ZeroInflatedNegativeBinomial": (
        "--model.likelihood ZeroInflatedNegativeBinomial --model.likelihood.dispersion network",
        likelihoods.ZeroInflatedNegativeBinomial((6,), dispersion="network")),
    "likelihood ContinuousBernoulli": ("--model.likelihood ContinuousBernoulli",
                                       likelihoods.ContinuousBernoulli((6,))),
    "likelihood DiscretizedLogistic": (
        "--model.likelihood DiscretizedLogistic --model.likelihood.total_count 2",
        likelihoods.DiscretizedLogistic((6,), total_count=2)),
    "likelihood DiscretizedLogisticMixture": (
        "--model.likelihood DiscretizedLogisticMixture --model.likelihood.total_count 2 "
        "--model.likelihood.components 3",
        likelihoods.DiscretizedLogisticMixture((6,), total_count=2, components=3)),
    "likelihood LowRankNormal": (
        "--model.likelihood LowRankNormal --model.likelihood.rank 3",
        likelihoods.LowRankNormal((6,), rank=3)),
    "likelihood Multinomial": (
        "--model.likelihood Multinomial --model.likelihood.total 7",
        likelihoods.Multinomial((6,), total=7)),
    "posterior MeanFieldNormal": ("--model.posterior MeanFieldNormal",
                                  posteriors.MeanFieldNormal()),
    "posterior FullRankNormal": ("--model.posterior FullRankNormal", posteriors.FullRankNormal()),
    "prior Normal": ("--model.prior Normal --model.prior.dim 3", priors.Normal(3)),
    "prior Laplace": ("--model.prior Laplace --model.prior.dim 3 --model.prior.scale 0.5",
                      priors.Laplace(3, scale=0.5)),
    "prior StudentT": ("--model.prior StudentT --model.prior.dim 3 --model.prior.df 4.5",
                       priors.StudentT(3, df=4.5)),
    "prior ExemplarPrior": ("--model.prior ExemplarPrior --model.prior.dim 2 "
                            "--model.prior.exemplars 3", priors.ExemplarPrior(2, exemplars=3)),
    "prior FlowPrior": (
        "--model.prior FlowPrior --model.prior.dim 2 --model.prior.kind coupling "
        "--model.prior.layers 1 --model.prior.hidden [4]",
        priors.FlowPrior(2, kind="coupling", layers=1, hidden=(4,))),
    "prior HypersphericalUniform": (SPHERE + "PowerSpherical", priors.HypersphericalUniform(3)),
    "posterior PowerSpherical": (SPHERE + "PowerSpherical", posteriors.PowerSpherical()),
    "posterior VonMisesFisher": (SPHERE + "VonMisesFisher", posteriors.VonMisesFisher()),
    "prior Dirichlet": (
        "--model.prior Dirichlet --model.prior.dim 3 --model.prior.concentration 0.5 "
        "--model.posterior LogisticNormal", priors.Dirichlet(3, concentration=0.5)),
    "prior LogisticNormal": (
        "--model.prior LogisticNormal --model.prior.dim 3 --model.prior.concentration learned "
        "--model.posterior LogisticNormal", priors.LogisticNormal(3, concentration="learned")),
    "posterior LogisticNormal": (
        "--model.prior LogisticNormal --model.prior.dim 3 --model.posterior LogisticNormal",
        posteriors.LogisticNormal()),
    "prior Categorical": (
        "--model.prior Categorical --model.prior.classes 3 --model.prior.codes 2 "
        "--model.prior.learned true --model.posterior Categorical",
        priors.Categorical(3, codes=2, learned=True)),
    "posterior Categorical": ("--model.prior Categorical --model.posterior Categorical",
                              posteriors.Categorical()),
    "posterior StraightThroughCategorical": (
        "--model.prior Categorical --model.posterior StraightThroughCategorical "
        "--model.posterior.temperature 0.7",
        posteriors.StraightThroughCategorical(temperature=0.7)),
    "prior BernoulliCode": (
        "--model.prior BernoulliCode --model.prior.dim 3 --model.posterior BernoulliCode",
        priors.BernoulliCode(3)),
    "posterior BernoulliCode": (
        "--model.prior BernoulliCode --model.prior.dim 3 --model.posterior BernoulliCode",
        posteriors.BernoulliCode()),
    "prior RelaxedCategorical": (
        RELAXED, priors.RelaxedCategorical(3, temperature=0.8)),
    "posterior RelaxedCategorical": (RELAXED, posteriors.RelaxedCategorical(temperature=0.6)),
    "prior RelaxedBernoulli": (
        "--model.prior RelaxedBernoulli --model.prior.dim 3 --model.posterior RelaxedBernoulli",
        priors.RelaxedBernoulli(3)),
    "posterior RelaxedBernoulli": (
        "--model.prior RelaxedBernoulli --model.prior.dim 3 --model.posterior RelaxedBernoulli",
        posteriors.RelaxedBernoulli()),
    "prior SpikeAndSlab": (
        "--model.prior SpikeAndSlab --model.prior.dim 3 --model.prior.slab_share 0.2 "
        "--model.posterior SpikeAndSlab", priors.SpikeAndSlab(3, slab_share=0.2)),
    "posterior SpikeAndSlab": (
        "--model.prior SpikeAndSlab --model.prior.dim 3 --model.posterior SpikeAndSlab",
        posteriors.SpikeAndSlab()),
    "posterior IsotropicNormal": ("--model.posterior IsotropicNormal",
                                  posteriors.IsotropicNormal()),
    "posterior LowRankNormal": ("--model.posterior LowRankNormal --model.posterior.rank 1",
                                posteriors.LowRankNormal(rank=1)),
    "posterior Laplace": ("--model.posterior Laplace", posteriors.Laplace()),
    "posterior Deterministic": ("--model.posterior Deterministic --objective.beta 0",
                                posteriors.Deterministic()),
    "posterior NormalMixture": (
        "--model.posterior NormalMixture --model.posterior.components 2",
        posteriors.NormalMixture(components=2)),
    "posterior PlanarFlow": ("--model.posterior PlanarFlow --model.posterior.layers 1",
                             posteriors.PlanarFlow(layers=1)),
    "posterior SylvesterFlow": ("--model.posterior SylvesterFlow --model.posterior.layers 1",
                                posteriors.SylvesterFlow(layers=1)),
    "posterior InverseAutoregressiveFlow": (
        "--model.posterior InverseAutoregressiveFlow --model.posterior.hidden [4] "
        "--model.posterior.context 2",
        posteriors.InverseAutoregressiveFlow(hidden=(4,), context=2)),
    "posterior SplineFlow": (
        "--model.posterior SplineFlow --model.posterior.layers 1 --model.posterior.hidden [4]",
        posteriors.SplineFlow(layers=1, hidden=(4,))),
    "posterior SemiAmortized": (
        "--model.posterior SemiAmortized --model.posterior.inner FullRankNormal "
        "--model.posterior.steps 2",
        posteriors.SemiAmortized(posteriors.FullRankNormal(), steps=2)),
    "posterior PerDatum": (
        "--model.posterior PerDatum --model.posterior.inner MeanFieldNormal "
        "--model.posterior.data 30 --model.posterior.steps 2 "
        "--model.encoder none", posteriors.PerDatum(data=30, steps=2)),
    "encoder MLP": ("--model.encoder MLP --model.encoder.hidden [5,4] "
        "--model.encoder.activation elu",
                    networks.MLP((5, 4), activation="elu")),
    "encoder MLP, linear": ("--model.encoder MLP --model.encoder.hidden []", networks.MLP(())),
    "encoder GatedMLP": ("--model.encoder GatedMLP --model.encoder.hidden 5",
                         networks.GatedMLP((5,))),
    "encoder MLP, normalised": (
        "--model.encoder MLP --model.encoder.hidden [5] --model.encoder.normalization batch",
        networks.MLP((5,), normalization="batch")),
    "encoder SetEncoder": (
        "--model.encoder SetEncoder --model.encoder.width 4 --model.encoder.pooling mean "
        "--model.encoder.levels [0,2,0,2,0,0] --model.encoder.network GatedMLP "
        "--model.encoder.network.hidden [5]",
        networks.SetEncoder(4, pooling="mean", levels=(0, 2, 0, 2, 0, 0),
                            network=networks.GatedMLP((5,)))),
    "encoder Embedding": (
        "--model.encoder Embedding --model.encoder.levels [0,2,0,2,0,0] --model.encoder.width 3 "
        "--model.encoder.network MLP --model.encoder.network.hidden [5]",
        networks.Embedding((0, 2, 0, 2, 0, 0), width=3, network=networks.MLP((5,)))),
    "objective ELBO": ("--objective ELBO --objective.beta 0.5 --objective.kl sampled "
                       "--objective.particles 2 --objective.free_bits 0.1 "
                       "--objective.estimator stl",
                       objectives.ELBO(beta=0.5, kl="sampled", particles=2, free_bits=0.1,
                                       estimator="stl")),
    "objective IWAE": ("--objective IWAE --objective.particles 3 --objective.estimator dreg",
                       objectives.IWAE(particles=3, estimator="dreg")),
    "objective ReweightedWakeSleep": (
        "--objective ReweightedWakeSleep --objective.particles 3",
        objectives.ReweightedWakeSleep(particles=3)),
    "objective ELBO, a floor for three": (
        "--model.prior.dim 6 --objective.free_bits 0.1 --objective.free_bits_group 3",
        objectives.ELBO(free_bits=0.1, free_bits_group=3)),
    "objective ELBO, a floor for all": (
        "--objective.free_bits 0.1 --objective.free_bits_group site",
        objectives.ELBO(free_bits=0.1, free_bits_group="site")),
    "objective Renyi": (
        "--objective Renyi --objective.alpha -0.5 --objective.particles 3",
        objectives.Renyi(alpha=-0.5, particles=3)),
    "objective MultiplyIWAE": (
        "--objective MultiplyIWAE --objective.particles 3 --objective.groups 2",
        objectives.MultiplyIWAE(particles=3, groups=2)),
    "objective Capacity": (
        "--objective Capacity --objective.capacity Ramp --objective.capacity.end 3 "
        "--objective.capacity.steps 7 --objective.weight 5 --objective.kl sampled "
        "--objective.particles 2",
        objectives.Capacity(capacity=schedules.Ramp(end=3.0, steps=7), weight=5.0, kl="sampled",
                            particles=2)),
    "objective FactorVAE": (
        "--objective FactorVAE --objective.gamma 4 --objective.network MLP "
        "--objective.network.hidden [5,4] --objective.lr 0.01 --objective.kl sampled",
        objectives.FactorVAE(gamma=4.0, network=networks.MLP((5, 4)), lr=0.01, kl="sampled")),
    "objective Adversarial": (
        "--objective Adversarial --objective.weight 2 --objective.network GatedMLP "
        "--objective.network.hidden [5] --model.posterior Deterministic",
        objectives.Adversarial(weight=2.0, network=networks.GatedMLP((5,)))),
    "objective GECO": ("--objective GECO --objective.target -90 --objective.multiplier 0.5",
                       objectives.GECO(target=-90.0, multiplier=0.5)),
    "objective TotalCorrelation": (
        "--objective TotalCorrelation --objective.alpha 0.5 --objective.beta 4 "
        "--objective.gamma 2 --objective.sampling stratified --objective.size 60",
        objectives.TotalCorrelation(alpha=0.5, beta=4.0, gamma=2.0, sampling="stratified",
                                    size=60)),
    "objective DIP": (
        "--objective DIP --objective.kind II --objective.diagonal 2 --objective.off_diagonal 3 "
        "--objective.kl analytic",
        objectives.DIP(kind="II", diagonal=2.0, off_diagonal=3.0, kl="analytic")),
    "objective Wasserstein": (
        "--objective Wasserstein --objective.distance SlicedWasserstein "
        "--objective.distance.projections 20 --objective.distance.order 1 --objective.weight 2 "
        "--objective.particles 2 --model.posterior Deterministic",
        objectives.Wasserstein(
            distance=distances.SlicedWasserstein(projections=20, order=1.0), weight=2.0,
            particles=2)),
    "objective InfoVAE": (
        "--objective InfoVAE --objective.alpha 0.5 --objective.weight 3 --objective.gather true "
        "--objective.distance MMD --objective.distance.kernel RBF "
        "--objective.distance.kernel.scale [0.5,2]",
        objectives.InfoVAE(alpha=0.5, weight=3.0, gather=True,
                           distance=distances.MMD(kernel=distances.RBF(scale=(0.5, 2.0))))),
    "distance MMD": (
        "--objective Wasserstein --objective.distance MMD "
        "--objective.distance.kernel InverseMultiquadratic --objective.distance.kernel.scale 0.5",
        distances.MMD(kernel=distances.InverseMultiquadratic(scale=0.5))),
    "kernel RBF": (
        "--objective Wasserstein --objective.distance MMD --objective.distance.kernel RBF "
        "--objective.distance.kernel.scale 2", distances.RBF(scale=2.0)),
    "kernel InverseMultiquadratic": (
        "--objective Wasserstein --objective.distance MMD "
        "--objective.distance.kernel InverseMultiquadratic --objective.distance.kernel.scale [1,2]",
        distances.InverseMultiquadratic(scale=(1.0, 2.0))),
    "distance SlicedWasserstein": (
        "--objective Wasserstein --objective.distance SlicedWasserstein",
        distances.SlicedWasserstein()),
    "distance Energy": (
        "--objective Wasserstein --objective.distance Energy --objective.distance.projections 5",
        distances.Energy(projections=5)),
    "distance Sinkhorn": (
        "--objective InfoVAE --objective.distance Sinkhorn --objective.distance.blur 0.8 "
        "--objective.distance.iterations 12", distances.Sinkhorn(blur=0.8, iterations=12)),
    "beta Constant": ("--objective.beta Constant --objective.beta.value 0.3",
                      schedules.Constant(0.3)),
    "beta Ramp": ("--objective.beta Ramp --objective.beta.start 0.1 --objective.beta.end 0.9 "
                  "--objective.beta.steps 7 --objective.beta.delay 2",
                  schedules.Ramp(0.1, 0.9, steps=7, delay=2)),
    "beta Cosine": ("--objective.beta Cosine --objective.beta.start 0.2 --objective.beta.end 0.8 "
                    "--objective.beta.steps 7 --objective.beta.delay 1",
                    schedules.Cosine(0.2, 0.8, steps=7, delay=1)),
    "beta Cycle": ("--objective.beta Cycle --objective.beta.start 0.2 --objective.beta.end 0.8 "
                   "--objective.beta.period 6 --objective.beta.fraction 0.4",
                   schedules.Cycle(0.2, 0.8, period=6, fraction=0.4)),
    "data Arrays": ("--data bits.npz --data.valid 4 --data.test 0.2 --data.seed 3",
                    data.Arrays("bits.npz", valid=4, test=0.2, seed=3)),
    "data SparseCounts": (
        "--data words.npz --data.valid 4 --data.seed 3 --data.vocabulary words.txt",
        data.SparseCounts("words.npz", valid=4, seed=3, vocabulary="words.txt")),
    "data Table": (
        '--data rows.csv --data.columns {"c":{"binary":["n","y"]}} --data.missing [x] '
        "--data.seed 3",
        data.Table("rows.csv", columns={"a": "real", "b": "real", "c": {"binary": ["n", "y"]}},
                   missing=("x",), seed=3)),
    "data Digits": ("--data digits --data.valid 1500 --data.test 200 --data.seed 1",
                    data.Digits(valid=1500, test=200, seed=1)),
    "data MNIST": ("--data mnist --data.root . --data.binarize fixed --data.valid 8 --data.seed 2",
                   data.MNIST(root=".", binarize="fixed", valid=8, seed=2)),
    "data FashionMNIST": ("--data fashion-mnist --data.root . --data.valid 8 --data.seed 3 "
                          "--data.binarize none",
                          data.FashionMNIST(root=".", valid=8, seed=3, binarize="none")),
    "data ImageFolder": ("--data images/ --data.size 6 --data.channels 1 --data.binarize dynamic",
                         data.ImageFolder("images/", size=6, channels=1, binarize="dynamic")),
    "data TorchvisionImages": (
        "--data KMNIST --data.root . --data.size 6 --data.valid 8",
        data.TorchvisionImages("KMNIST", root=".", size=6, valid=8)),
    "data Hidden": ("--data Hidden --data.share 0.25 --data.seed 5 --data.source Arrays "
                    "--data.source.path bits.npz",
                    data.Hidden(data.Arrays("bits.npz"), share=0.25, seed=5)),
    "data Quadrants": ("--data Quadrants --data.visible 3 --data.fill -2 --data.source images/ "
                       "--data.source.size 6",
                       data.Quadrants(data.ImageFolder("images/", size=6), visible=3, fill=-2)),
    "encoder Conv": (
        "--data images/ --data.size 8 --model.encoder Conv --model.encoder.channels [3] "
        "--model.encoder.hidden 5 --model.encoder.activation elu",
        networks.Conv((3,), hidden=5, activation="elu")),
    "encoder ResNet": (
        "--data images/ --data.size 7 --model.encoder ResNet --model.encoder.channels [3] "
        "--model.encoder.blocks 2 --model.encoder.hidden 5 --model.encoder.normalization layer",
        networks.ResNet((3,), blocks=2, hidden=5, normalization="layer")),
    "decoder ResNet": (
        "--data images/ --data.size 7 --model.decoder ResNet --model.decoder.channels [3] "
        "--model.decoder.hidden 5 --model.decoder.activation elu "
        "--model.decoder.normalization batch",
        networks.ResNet((3,), hidden=5, activation="elu", normalization="batch")),
    "optimizer SGD": ("--optimizer SGD --optimizer.lr 0.01 --optimizer.momentum 0.9", None),
    "optimizer AdamW": ("--optimizer AdamW --optimizer.betas [0.8,0.9]", None),
    "scheduler StepLR": ("--scheduler StepLR --scheduler.step_size 2 --warmup 2 --clip 5", None),
    "averaged, patient": ("--ema 0.9 --patience 3 --seed 4 --precision bf16-mixed", None),
}  # fmt: skip
ROOMS = (priors, likelihoods, posteriors, networks, objectives, distances, schedules, data)


@pytest.fixture(autouse=True, scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Files for every source: arrays, images, and the format of MNIST."""
    folder = tmp_path_factory.mktemp("stage")
    generator = np.random.default_rng(0)
    np.savez(folder / "shares.npz", x=np.random.default_rng(1).uniform(0.1, 0.9, size=(30, 6)))
    np.savez(folder / "bits.npz", x=generator.integers(0, 2, size=(30, 6)).astype(np.uint8))
    words = generator.poisson(1.0, size=(30, 6))
    scipy.sparse.save_npz(folder / "words.npz", scipy.sparse.csr_matrix(words))
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in "abcdef"))
    lines = [
        f"{row[0]},{row[1]},{'ny'[number % 2]}"
        for number, row in enumerate(generator.normal(size=(30, 2)))
    ]
    (folder / "rows.csv").write_text("\n".join(["a,b,c", "x,0.5,x", *lines]))
    (folder / "images").mkdir()
    for number in range(20):
        pixels = generator.integers(0, 256, size=(8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        raw = folder / name / "raw"
        raw.mkdir(parents=True)
        for split, count in (("train", 24), ("t10k", 8)):
            for kind, sizes in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
                values = generator.integers(0, 10, size=sizes, dtype=np.uint8)
                head = bytes([0, 0, 8, len(sizes)])
                head += b"".join(size.to_bytes(4, "big") for size in sizes)
                (raw / f"{split}-{kind}-ubyte").write_bytes(head + values.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["train", *words, "--print_config"]) == 0
    return capsys.readouterr().out


def first_loss(run: Path) -> float:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["train/loss"]


def tiny(flags: str) -> list[str]:
    """The flags over settings that train in no time; a network keeps those a case names."""
    words = TINY.split()
    for part in ("encoder", "decoder"):
        if f"--model.{part} " not in flags:
            words += [f"--model.{part}.hidden", "[4]"]
    if "--model.prior" not in flags:
        words += ["--model.prior.dim", "2"]
    return [*words, *flags.split()]


def node(tree: dict[str, Any], name: str) -> Any:
    """What a case is about, in the tree of a run."""
    kind = name.split(maxsplit=1)[0]
    if kind in ("data", "objective"):
        return tree[kind]
    if kind == "distance":
        return tree["objective"]["init_args"]["distance"]
    if kind == "kernel":
        return tree["objective"]["init_args"]["distance"]["init_args"]["kernel"]
    if kind == "beta":
        return tree["objective"]["init_args"]["beta"]
    return tree["model"]["init_args"][kind]


def without_shape(tree: dict[str, Any]) -> None:
    """Take out what the data know of a likelihood, and of one within it."""
    tree["init_args"].pop("event_shape", None)
    if "likelihood" in tree["init_args"]:
        without_shape(tree["init_args"]["likelihood"])


def trained() -> list[Any]:
    """The first case of each kind, what is no part, and every third; the others are slow."""
    kinds = set()
    found = []
    for number, (name, (_, made)) in enumerate(CASES.items()):
        kind = name.split(maxsplit=1)[0]
        soon = kind not in kinds or made is None or number % 3 == 0
        kinds.add(kind)
        found.append(pytest.param(name, marks=[] if soon else [pytest.mark.slow]))
    return found


@pytest.mark.parametrize("name", CASES)
def test_printed_and_read_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, made = CASES[name]
    text = printed(capsys, *tiny(flags))
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert printed(capsys, "--config", str(file)) == text
    if made is None:
        return
    expected = to_tree(made)
    if name.startswith("likelihood"):
        without_shape(expected)
    assert node(parse(text), name) == expected


@pytest.mark.filterwarnings("ignore:poor importance weights")
@pytest.mark.filterwarnings("ignore:batch_size")
@pytest.mark.parametrize("name", trained())
def test_what_was_read_trains_the_same(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, _ = CASES[name]
    file = tmp_path / "run.yaml"
    file.write_text(printed(capsys, *tiny(flags)))
    assert main(["train", *tiny(flags), "--out", str(tmp_path / "flags")]) == 0
    assert main(["train", "--config", str(file), "--out", str(tmp_path / "file")]) == 0
    assert first_loss(tmp_path / "flags") == first_loss(tmp_path / "file")


def test_every_part_and_source_has_a_case() -> None:
    """A new part is one more row."""
    exported = {
        value.__name__
        for room in ROOMS
        for value in vars(room).values()
        if isinstance(value, type)
        and issubclass(value, Source if room is data else Declared)
        and not getattr(value, "__abstractmethods__", None)
        and value is not Declared
    }
    exported.remove("ConditionalNormal")  # which needs a model with a condition
    exported.remove("CUBO")  # which trains no model
    assert exported == {type(made).__name__ for _, made in CASES.values() if made is not None}
