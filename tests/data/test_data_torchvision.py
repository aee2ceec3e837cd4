"""torchvision is imported although its compiled operators are missing, and only then."""

import importlib
import subprocess
import sys

import pytest

from pyrovae.data import torchvision
from pyrovae.data import torchvision_import as module

FRESH = """
import sys
import pyrovae.data
assert "torchvision" not in sys.modules, "importing the room imports torchvision"
from pyrovae.data import torchvision
first = torchvision()
assert first is torchvision() is sys.modules["torchvision"]
assert first.datasets.MNIST.__name__ == "MNIST"
import torchvision.transforms
print("sound")
"""


def test_import_in_a_fresh_process():
    ran = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "sound"


def test_import_is_idempotent():
    assert torchvision() is torchvision()


def test_operators_are_declared_once_and_half_imports_dropped(monkeypatch):
    torchvision()  # the true module, and with it the operators where they were missing
    true = sys.modules["torchvision"]
    calls = []

    def first_fails(name):
        calls.append("torchvision.half" in sys.modules)
        if len(calls) == 1:
            raise RuntimeError("operator torchvision::nms does not exist")
        return true

    kept = {name: part for name, part in sys.modules.items() if name.startswith("torchvision")}
    declared = []
    monkeypatch.setattr(module, "_declare_operators", lambda: declared.append(True))
    monkeypatch.setattr(importlib, "import_module", first_fails)
    monkeypatch.setitem(sys.modules, "torchvision.half", true)
    try:
        assert torchvision() is true
    finally:
        sys.modules.update(kept)
    assert calls == [True, False]
    assert declared == [True]


@pytest.mark.parametrize("error", [RuntimeError("no CUDA here"), ImportError("not installed")])
def test_any_other_failure_propagates(monkeypatch, error):
    def fails(name):
        raise error

    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(type(error), match=str(error)):
        torchvision()
