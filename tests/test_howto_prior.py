"""The page on adding a prior does what it says: its file, line and row are put into a copy.

In the copy the new prior is then in the list of parts, in configurations, and under the contract
tests, which pass. That the page's other blocks run is a matter of test_docs.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "howto" / "add-a-prior.md").read_text(encoding="utf-8")
PACKAGED = PAGE.partition("## In the package\n")[2]


def patched(source: str, hunks: str) -> str:
    """Apply the hunks of a diff, each at the one place where its unchanged lines stand."""
    for hunk in hunks.split("@@\n")[1:]:
        lines = hunk.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
        after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
        assert source.count(before) == 1, f"the page's diff has no one place for {before!r}"
        source = source.replace(before, after)
    return source


def test_hunks_are_put_where_their_context_stands() -> None:
    assert patched("a\nb\nc\n", "@@\n b\n+d\n@@\n-a\n+e\n") == "e\nb\nd\nc\n"
    with pytest.raises(AssertionError, match="no one place for 'x"):
        patched("a\n", "@@\n x\n+d\n")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's prior in it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("pyrovae", "tests"):
        caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=caches)
    shutil.copy(ROOT / "pyproject.toml", folder)
    file = re.search(r"The file is `([\w/]+\.py)`", PACKAGED)
    code = re.search(r"^```python\n(.*?)^```$", PACKAGED, re.MULTILINE | re.DOTALL)
    assert file, "the page names no file"
    assert code, "the page shows no file"
    assert not (folder / file[1]).exists(), "the page teaches with a prior that there is"
    (folder / file[1]).write_text(code[1], encoding="utf-8")
    diffs = re.findall(
        r"^```diff\n--- a/(\S+)\n\+\+\+ b/\1\n(.*?)^```$", PACKAGED, re.MULTILINE | re.DOTALL
    )
    assert [name for name, _ in diffs] == ["pyrovae/priors/__init__.py", "tests/cases.py"]
    for name, hunks in diffs:
        source = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(patched(source, hunks), encoding="utf-8")
    return folder


def run(copy: Path, *words: str) -> str:
    """Run Python in the copy, which alone it sees; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# One process for all of it: most of its time goes into loading torch.
WORDS = """
import sys

import pytest

from pyrovae.__main__ import main

assert main(["parts", "--room", "priors"]) == 0
assert main(["train", "--model.prior", "Logistic", "--print_config"]) == 0
sys.exit(pytest.main([
    "-q", "-p", "no:cacheprovider", "--no-cov", "--doctest-modules",
    "tests/test_cases.py", "tests/test_parts.py", "tests/test_training_pairs.py",
    "pyrovae/priors/logistic.py", "-k", "Logistic and not LogisticNormal or exported",
]))
"""


def test_it_is_a_part_under_every_contract_test(copy: Path) -> None:
    printed = run(copy, "-c", WORDS)
    assert re.search(r"^\s*Logistic\(dim=32\)$", printed, re.MULTILINE)
    assert re.search(r"class_path: pyrovae\.priors\.Logistic$", printed, re.MULTILINE)
    passed = re.search(r"(\d+) passed", printed)
    assert passed, printed
    assert int(passed[1]) >= 15, printed
