"""The root of `a + s tanh a = t`, to which planar and Sylvester maps are inverted."""

import torch
from torch import Tensor

_STEPS = 30


def sech_squared(value: Tensor) -> Tensor:
    """Return `1 - tanh^2`, the derivative of tanh, without the cancellation of that form.

    Example:
        >>> tail = sech_squared(torch.tensor(20.0)).item()
        >>> f"{tail:.4g}"
        '1.699e-17'
    """
    decayed = torch.exp(-2.0 * value.abs())
    return 4.0 * decayed / (1.0 + decayed).square()


def tanh_root(slope: Tensor, target: Tensor) -> Tensor:
    """Return a with `a + slope tanh a = target`, where slope > -1, with its gradient.

    Both sides are odd, so let the target be positive. The left side is then concave for a positive
    slope and convex for a negative one, and Newton's method, begun at the bound on the root that
    lies on the right side of it, never steps over the root. After 30 steps nothing changes
    any more for slopes from -0.999 to 1e10; the number is fixed, so that the step can be recorded.
    One more step, with the derivatives of the equation, carries the gradient.

    Arguments:
        slope: s, above -1.
        target: t, of a shape that broadcasts with it.

    Example:
        >>> a = tanh_root(torch.tensor(2.0), torch.tensor(3.0))
        >>> round((a + 2.0 * a.tanh()).item(), 6)
        3.0
    """
    with torch.no_grad():
        size, steep = target.abs(), slope > 0.0
        bounds = size - slope, size / (1.0 + slope)  # from |tanh a| < 1 and from |tanh a| < |a|
        root = torch.where(steep, torch.maximum(*bounds), torch.minimum(*bounds))
        for _ in range(_STEPS):
            root = root - (root + slope * root.tanh() - size) / (1.0 + slope * sech_squared(root))
        root = root * target.sign()
        derivative = 1.0 + slope * sech_squared(root)
    return root - (root + slope * root.tanh() - target) / derivative
