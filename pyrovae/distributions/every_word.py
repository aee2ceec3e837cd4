"""Counting: every word of so many letters, as the values of a code in a fixed order."""

import torch
from torch import Tensor

MOST = 2**12  # values that are visited one by one; each is decoded


def every_word(letters: int, places: int, *, like: Tensor) -> Tensor:
    """Return all words as numbers of letters, of shape `[letters ** places, places]`.

    The last place changes fastest.

    Arguments:
        letters: how many letters there are, from 0 on.
        places: how many letters a word has.
        like: a tensor on the device of the result.

    Raises:
        ValueError: there are more than 4096 words.

    Example:
        >>> every_word(2, 2, like=torch.zeros(())).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    words = letters**places
    if words > MOST:
        count = f"{letters}**{places}" + (f" = {words}" if words < 10**9 else "")
        raise ValueError(
            f"a code of {count} values is too large to visit each of them (at most {MOST})"
        )
    numbers = torch.arange(words, device=like.device).unsqueeze(-1)
    powers = letters ** torch.arange(places - 1, -1, -1, device=like.device)
    return numbers.div(powers, rounding_mode="floor") % letters
