"""A model's shapes before there is memory for it, and files that are read with care."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import FAMILIES, NETWORKS, PAIRS, small_vae

from pyrovae.config import read, to_tree
from pyrovae.files import own_file, read_whole, require_within
from pyrovae.models import Model
from pyrovae.networks import MLP
from pyrovae.outline import outline


def shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def outlined(model: Model) -> None:
    before = torch.random.get_rng_state()
    state = outline(to_tree(model))
    assert state is not None
    assert shapes(state) == shapes(model.state_dict())
    assert all(value.is_meta for value in state.values())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("prior", "posterior"), PAIRS)
def test_the_outline_of_every_pair_of_parts_is_the_state_of_the_model(
    prior: str, posterior: str
) -> None:
    outlined(small_vae(prior=prior, posterior=posterior))


@pytest.mark.parametrize("likelihood", FAMILIES)
def test_the_outline_of_every_likelihood(likelihood: str) -> None:
    outlined(small_vae(likelihood=likelihood))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_outline_of_every_network(network: str) -> None:
    made = NETWORKS[network].make()
    outlined(small_vae(encoder=made, decoder=made))


class Own(MLP):
    """A network of one's own."""


def test_what_others_wrote_is_not_made_twice() -> None:
    assert outline(to_tree(small_vae(encoder=Own((3,))))) is None


def test_more_weights_than_memory_are_refused_without_taking_any() -> None:
    tree = to_tree(small_vae())
    tree["init_args"]["encoder"]["init_args"]["hidden"] = [10**6, 10**6]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ValueError, match=r"^model: its weights take 3,7\d\d\.\d GiB, and this machine"
    ):
        outline(tree)
    unit = 1 if sys.platform == "darwin" else 2**10
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 2**27


def test_only_files_of_the_folder_itself_are_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "secret").write_text("secret")
    (folder / "file").write_text("text")
    (folder / "inside").symlink_to("file")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    for through in (folder, tmp_path / "link"):
        assert own_file(through, "file").read_text() == "text"
        assert own_file(through, "inside").read_text() == "text"
        for name in ("outside", "up"):
            with pytest.raises(ValueError, match="is a link that leads elsewhere"):
                own_file(through, name)
        for name in ("pipe", "loop", "."):
            with pytest.raises((OSError, ValueError)):
                own_file(through, name)
        with pytest.raises(FileNotFoundError, match="holds no missing"):
            own_file(through, "missing")
    require_within(folder / "not there yet", folder)


def test_a_file_is_read_only_where_it_is_one_and_small_enough(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(ValueError, match="has 5 bytes, and 4 are the most"):
        read_whole(tmp_path / "file", most=4)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="no file that could be read"):
            read_whole(path, most=4)
        with pytest.raises(OSError, match=r"no file that could be read|is a folder"):
            read(path)
