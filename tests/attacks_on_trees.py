"""Attacks on trees: configurations that name what is no part, or ask for what no part takes."""

from typing import Any

from attack_tools import MODEL, RUN, TREE, Attack, both, in_model, in_yaml, run_config

PATHS: dict[str, Any] = {
    "a function of the system": "os.system",
    "a planted module": "evil_module.Evil",
    "a planted module in the package's name": "pyrovae.priors.evil_module.Evil",
    "a name that only begins like the package": "pyrovaex.priors.StandardNormal",
    "a look-alike": "pyr\u043evae.priors.StandardNormal",
    "a full-width look-alike": "pyrovae.priors.\uff33tandardNormal",
    "a path": "../../evil_module.Evil",
    "a path inside": "pyrovae.priors.../evil_module.Evil",
    "an empty word": "pyrovae..priors.StandardNormal",
    "the package": "pyrovae",
    "its top level": "pyrovae.VAE",
    "a module of another package": "pyrovae.data.torchvision_import.torchvision",
    "a class in it": "pyrovae.data.torchvision_import.torchvision.datasets.MNIST",
    "a class re-exported": "pyrovae.priors.standard_normal.Tensor",
    "a module re-exported": "pyrovae.priors.standard_normal.torch.load",
    "a function": "pyrovae.saving.load",
    "a function of a room": "pyrovae.data.load",
    "the import function": "pyrovae.config.names.import_module",
    "an abstract base": "pyrovae.priors.Prior",
    "an abstract base by its module": "pyrovae.priors.prior.Prior",
    "the root of all declared classes": "pyrovae.priors.prior.Declared",
    "a part of another room": "pyrovae.likelihoods.Bernoulli",
    "a source of data": "pyrovae.data.Arrays",
    "a private class": "pyrovae.data.mnist._MNISTFormat",
    "the builtins": "pyrovae.priors.__builtins__",
    "a loader": "pyrovae.priors.__loader__",
    "a dunder attribute": "pyrovae.priors.StandardNormal.__init__",
    "a method": "pyrovae.priors.StandardNormal.forward",
    "a global": "pyrovae.data.shorthand.NAMES",
    "white space": " pyrovae.priors.StandardNormal",
    "a line break": "pyrovae.priors.StandardNormal\n",
    "a null": "pyrovae.priors\0.StandardNormal",
    "escape codes": "\x1b[2Jpyrovae.\x1b]0;gotcha\x07",
    "a number": 3,
    "a list": ["pyrovae.priors.StandardNormal"],
    "a mapping": {"class_path": "pyrovae.priors.StandardNormal"},
    "nothing": None,
    "a long name": "pyrovae.priors." + "A" * 90_000,
}
ATTACKS = {
    f"class_path: {what}": Attack(in_model("prior", "class_path", value=value), TREE, "prior")
    for what, value in PATHS.items()
}

FUNCTIONS: dict[str, Any] = {
    "of the system": "os.system",
    "planted": "evil_module.evil",
    "of the package": "pyrovae.saving.load",
    "of a room": "pyrovae.data.load",
    "of another package": "pyrovae.data.torchvision",
    "re-exported": "pyrovae.networks.network.dataclass",
    "a class": "pyrovae.networks.MLP",
    "a number": 3,
    "nothing": None,
}
ATTACKS |= {
    f"function: {what}": Attack(in_model("encoder", value={"function": value}), TREE, "encoder")
    for what, value in FUNCTIONS.items()
}

# --------------------------------------------------------------------------------------- arguments

LONG = 90_000
SECRET = {"class_path": "pyrovae.data.Arrays", "init_args": {"path": "secret.npz"}}
ARGUMENTS: dict[str, Any] = {
    "a dunder name": {"__class__": "os.system"},
    "another dunder name": {"__init__": {"function": "os.system"}},
    "self": {"self": 3},
    "a private name": {"_binding": 3},
    "a number for a name": {3: 4},
    "a class where a number is meant": {"dim": {"class_path": "pyrovae.schedules.Ramp"}},
    "a source that would read a file": {"dim": SECRET},
    "a mapping where a number is meant": {"dim": {"a": 1}},
    "a list where a number is meant": {"dim": [2]},
    "a text where a number is meant": {"dim": "two"},
    "true": {"dim": True},
    "a fraction": {"dim": 2.5},
    "infinity": {"dim": float("inf")},
    "not a number": {"dim": float("nan")},
    "zero": {"dim": 0},
    "less than zero": {"dim": -2},
    "many digits": {"dim": 10**4000},
    "a long text": {"dim": "x" * LONG},
    "a long name": {"x" * 1000: 1},  # YAML itself takes no longer ones here
    "a long list": {"dim": [1] * 2500},
    "a list of arguments": [2],
    "a text of arguments": "dim",
}
ATTACKS |= {
    f"init_args: {what}": Attack(in_model("prior", "init_args", value=value), TREE, "prior")
    for what, value in ARGUMENTS.items()
}

PARTS: dict[str, Any] = {
    "a source of data": SECRET,
    "a model": {"class_path": "pyrovae.models.VAE", "init_args": {}},
    "a text": "pyrovae",
    "a number": 3,
    "nothing": None,
    "a list": [],
    "an empty mapping": {},
    "a function with arguments": {"function": "os.system", "init_args": {"command": "touch owned"}},
    "a function and a class": {"function": "os.system", "class_path": "pyrovae.networks.MLP"},
    "a key too many": {"class_path": "pyrovae.networks.MLP", "init_args": {}, "hidden": [2]},
}
ATTACKS |= {
    f"{place}: {what}": Attack(in_model(place, value=value), TREE)
    for place in ("prior", "likelihood", "encoder")
    for what, value in PARTS.items()
    if (place, what) != ("likelihood", "nothing")  # train takes the one that suits
}
ATTACKS["likelihood: nothing"] = Attack(in_model("likelihood", value=None), ("from_tree", "load"))

# -------------------------------------------------------------------------------------------- size

MIXTURE = {
    "class_path": "pyrovae.priors.GaussianMixture",
    "init_args": {"dim": 2, "components": 10**9},
}
VAMP = {"class_path": "pyrovae.priors.VampPrior", "init_args": {"dim": 2, "components": 10**8}}
FULL = {"class_path": "pyrovae.posteriors.FullRankNormal"}
HIDDEN = ("encoder", "init_args", "hidden")
SIZES = {
    "a trillion weights": in_model(*HIDDEN, value=[10**6, 10**6]),
    "twelve gigabytes of weights": in_model(*HIDDEN, value=[55_000, 55_000]),
    "two gigabytes": in_model(*HIDDEN, value=[22_000, 22_000]),
    "four gigabytes in one layer": in_model("decoder", "init_args", "hidden", value=[10**8]),
    "many layers": in_model(*HIDDEN, value=[1] * 2500),
    "dimensions without end": in_model("prior", "init_args", "dim", value=10**10),
    "more dimensions than numbers": in_model("prior", "init_args", "dim", value=10**30),
    "dimensions": in_model("prior", "init_args", "dim", value=2 * 10**8),
    "a mixture": in_model("prior", value=MIXTURE),
    "pseudo-inputs": in_model("prior", value=VAMP),
    "a covariance of few dimensions": in_model("posterior", value=FULL),
    "a covariance of many dimensions": both(
        in_model("posterior", value=FULL), in_model("prior", "init_args", "dim", value=30_000)
    ),
    "enormous images": in_model("likelihood", "init_args", "event_shape", value=[3, 10**5, 10**5]),
    "thousands of dimensions": in_model("likelihood", "init_args", "event_shape", value=[1] * 2500),
}
ATTACKS |= {f"size: {what}": Attack(damage, MODEL) for what, damage in SIZES.items()}
TO_TRAIN = {
    "a trillion weights": [10**6, 10**6],
    "more than this machine holds": [10**5] * 20,
    "many layers that do not fit one another": [1] * 2500 + ["x"],
}
ATTACKS |= {
    f"to train: {what}": Attack(in_model(*HIDDEN, value=value), ("config", "resume"))
    for what, value in TO_TRAIN.items()
}

# ---------------------------------------------------------------------------------------- settings

SCHEDULER = "torch.optim.lr_scheduler"
PLANTED = {"class_path": "evil_module.Evil"}
SETTINGS: dict[str, tuple[tuple[str, ...], Any]] = {
    "an optimiser of the system": (("optimizer", "class_path"), "os.system"),
    "a planted optimiser": (("optimizer", "class_path"), "evil_module.Evil"),
    "one planted in torch's name": (("optimizer", "class_path"), "torch.optim.evil_module.Evil"),
    "what loads pickles": (("optimizer", "class_path"), "torch.load"),
    "a class of torch that is none": (("optimizer", "class_path"), "torch.nn.Linear"),
    "the abstract optimiser": (("optimizer", "class_path"), "torch.optim.Optimizer"),
    "a module of torch.optim": (("optimizer", "class_path"), f"{SCHEDULER}.os.system"),
    "a rate that is a function": (("optimizer", "init_args", "lr"), {"function": "os.system"}),
    "a rate that is a class": (("optimizer", "init_args", "lr"), PLANTED),
    "a rate that is a text": (("optimizer", "init_args", "lr"), "os.system"),
    "parameters given": (("optimizer", "init_args", "params"), [1]),
    "a scheduler of the system": (("scheduler",), {"class_path": "os.system"}),
    "a planted scheduler": (("scheduler",), PLANTED),
    "a planted schedule": (("objective", "init_args", "beta"), PLANTED),
    "an objective of the system": (("objective", "class_path"), "os.system"),
    "a function for a schedule": (("objective", "init_args", "beta"), {"function": "os.system"}),
    "data of the system": (("data", "class_path"), "os.system"),
    "data that are a prior": (("data",), {"class_path": "pyrovae.priors.StandardNormal"}),
    "data that are a function": (("data",), {"function": "evil_module.evil"}),
    "data that are a list": (("data",), ["Digits"]),
    "data that never end": (("data", "init_args", "path"), "/dev/zero"),
    "a model that is a list": (("model",), []),
    "an unknown setting": (("allow",), ["evil_module"]),
    "a private setting": (("__class__",), "evil_module.Evil"),
    "epochs that are a text": (("epochs",), "os.system"),
    "epochs below one": (("epochs",), 0),
    "a batch that is a mapping": (("batch_size",), {"a": 1}),
    "a device that is a path": (("device",), "../../evil"),
    "a precision of its own": (("precision",), "evil"),
    "a seed beyond all": (("seed",), 10**40),
    "samples below one": (("samples",), -1),
}
SETTINGS |= {
    f"a scheduler that calls {what}": (
        ("scheduler",),
        {"class_path": f"{SCHEDULER}.LambdaLR", "init_args": {"lr_lambda": value}},
    )
    for what, value in {
        "a function": {"function": "os.system"},
        "a class": PLANTED,
        "a name": "os.system",
    }.items()
}
BY = {"epochs": ("config",), "data": RUN}  # --resume has epochs of its own
ATTACKS |= {
    f"settings: {what}": Attack(
        in_yaml(run_config, *keys, value=value), BY.get(keys[0], ("config", "resume"))
    )
    for what, (keys, value) in SETTINGS.items()
}
