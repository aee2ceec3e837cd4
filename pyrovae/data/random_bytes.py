"""Random bytes at the speed of NumPy's fastest bit generator, out of torch's random state.

Torch draws by a Mersenne twister, which takes twice as long for each byte. Here it draws the seed
alone, so that what is drawn follows from torch's random state and from nothing else.
"""

from typing import Any

import numpy as np
import torch

_SEED_WORDS = 3  # SFC64 has a state of 192 bits beside its counter


class RandomBytes:
    """A stream of random bits, seeded once by 192 bits of a random state of torch.

    The generator is SFC64 of C. Doty-Humphrey's PractRand, as NumPy has it. Only its raw output is
    used, which NumPy promises to keep the same in all versions.

    Arguments:
        generator: a CPU generator to draw the seed from; None is torch's global random state.

    Example:
        >>> first, again = (RandomBytes(torch.Generator().manual_seed(3)) for _ in range(2))
        >>> bool((first.bytes(5) == again.bytes(5)).all())
        True
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        words = torch.empty(_SEED_WORDS, dtype=torch.int64)
        words.random_(-(2**63), None, generator=generator)  # all 64 bits of each word
        seed: Any = _Seed(words.numpy().view(np.uint64))  # of an interface that stubs leave out
        self._source = np.random.SFC64(seed)

    def bytes(self, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return uniform bytes, of shape `[count]`."""
        return self._source.random_raw((count + 7) // 8).view(np.uint8)[:count]

    def uniform(self, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return uniform multiples of 2^-53 in [0, 1), of shape `[count]`."""
        return (self._source.random_raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class _Seed(np.random.bit_generator.ISeedSequence):
    """Random words as a seed; they need none of the hashing that NumPy gives to small numbers."""

    def __init__(self, words: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray[Any, Any]:
        return self._words.view(dtype)[:n_words]
