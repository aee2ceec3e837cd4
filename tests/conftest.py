"""What holds for every test and doctest: a fixed seed, an empty store, settings left alone."""

from collections.abc import Iterator
from typing import Any

import pyro
import pytest
import torch
from forks import Forks

SEED = 20


def global_settings() -> dict[str, Any]:
    """Return the process-wide settings that no test, and no call of the package, may change."""
    return {
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.get_default_device()": torch.get_default_device(),
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.is_inference_mode_enabled()": torch.is_inference_mode_enabled(),
        "torch.is_autocast_enabled('cpu')": torch.is_autocast_enabled("cpu"),
        "torch.get_float32_matmul_precision()": torch.get_float32_matmul_precision(),
        "torch.are_deterministic_algorithms_enabled()": (
            torch.are_deterministic_algorithms_enabled()
        ),
        "torch's Distribution._validate_args": torch.distributions.Distribution._validate_args,
        "active Pyro handlers": tuple(pyro.poutine.runtime._PYRO_STACK),
    } | {f"pyro.settings '{name}'": value for name, value in pyro.settings.get().items()}


def restore(settings: dict[str, Any]) -> None:
    """Put the settings back, so that one offender does not fail the tests that follow it."""
    torch.set_default_dtype(settings["torch.get_default_dtype()"])
    torch.set_default_device(settings["torch.get_default_device()"])
    torch.set_num_threads(settings["torch.get_num_threads()"])
    torch.set_grad_enabled(settings["torch.is_grad_enabled()"])
    torch.set_autocast_enabled("cpu", settings["torch.is_autocast_enabled('cpu')"])
    torch.set_float32_matmul_precision(settings["torch.get_float32_matmul_precision()"])
    torch.use_deterministic_algorithms(settings["torch.are_deterministic_algorithms_enabled()"])
    pyro.poutine.runtime._PYRO_STACK[:] = settings["active Pyro handlers"]
    for name in pyro.settings.get():
        pyro.settings.set(**{name: settings[f"pyro.settings '{name}'"]})
    torch.distributions.Distribution.set_default_validate_args(
        settings["torch's Distribution._validate_args"]
    )


class EveryTest:
    """Fixtures used by every test, wherever it stands.

    They are a plugin and not plain functions of this file, because those would reach the tests
    beside it but not the doctests of the package.
    """

    @pytest.fixture(autouse=True)
    def fresh_start(self) -> Iterator[None]:
        """Seed every generator, empty Pyro's store and switch all validation on."""
        pyro.enable_validation(True)
        pyro.clear_param_store()
        pyro.set_rng_seed(SEED)
        yield
        pyro.clear_param_store()

    @pytest.fixture(autouse=True)
    def unchanged_settings(self, fresh_start: None) -> Iterator[None]:
        """Fail a test that leaves a process-wide setting other than it found it."""
        before = global_settings()
        yield
        after = global_settings()
        changed = [
            f"{name}: {before[name]} -> {after[name]}"
            for name in before
            if before[name] != after[name]
        ]
        if changed:
            restore(before)
            pytest.fail("the test changed global settings: " + "; ".join(changed), pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures of `EveryTest` known to the whole session."""
    config.pluginmanager.register(EveryTest(), "pyrovae-every-test")


@pytest.fixture
def float64(unchanged_settings: None) -> Iterator[torch.dtype]:
    """Let one test compute in double precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Begin commands as processes of their own."""
    made = Forks()
    yield made
    made.close()
