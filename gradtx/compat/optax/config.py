"""One setting: whether to repeat what Optax computes where that is not what its sources say.

By default gradtx is right there and Optax is not. To continue a run that Optax began, build the optimizer with

    with gradtx.compat.optax.config.reproducing_optax():
        tx = optax.adan(1e-3)

The setting is read when a transformation is built. It covers, and changes nothing else:

- `adan`, `scale_by_adan`: the weight 1 - b2 of the change of the gradient, not b2.
- `rprop`, `scale_by_rprop`: each step one update late, so that the first is 0.
- `adafactor(decay_offset=...)`, `scale_by_factored_rms(step_offset=...)`: NaN at steps below the offset.
- `polyak_sgd(scaling=...)`: gradients that are scaled before their norm is taken.
- `contrib.acprop`: the variance around the average of before the step, not of after it.
- `contrib.momo` and `momo_adam`: weight decay that divides the parameters but not the step.
- `second_order.fisher_diag`: the square of the batch's gradient, not the mean of the examples' squares.
"""

from contextlib import AbstractContextManager

from gradtx.core.switch import Switch

_REPRODUCE = Switch("_REPRODUCE", __name__)


def reproduce_optax(on: bool = True) -> None:
    """Repeat Optax's deviations in everything that this thread builds from now on.

    Args:
        on: False goes back to what the sources say.
    """
    _REPRODUCE.turn(on)


def reproducing_optax(on: bool = True) -> AbstractContextManager[None]:
    """Repeat Optax's deviations in what is built inside a `with` block.

    Args:
        on: False builds what the sources say, inside a program that called `reproduce_optax`.
    """
    return _REPRODUCE.turned(on)


def reproduces_optax() -> bool:
    """Whether a transformation that is built here and now repeats Optax's deviations."""
    return bool(_REPRODUCE)
