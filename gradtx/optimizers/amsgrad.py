"""AMSGrad: Adam whose second moment never shrinks."""

from typing import Annotated, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.combine.optimizer import optimizer
from gradtx.core.arguments import OneOf
from gradtx.core.averages import abs_sq, debias, ema, sqrt
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, NonNegative
from gradtx.core.lifted import lifted
from gradtx.core.slots import PositiveSlot, Slot
from gradtx.core.typing import Array, ArrayLike
from gradtx.transforms.decay import DecayKind

MaximumOf: TypeAlias = Annotated[str, OneOf("debiased", "raw")]
"""Which second moment AMSGrad takes the largest of."""


class ScaleByAmsgradState(NamedTuple):
    count: Count  # steps taken, int32
    mu: Slot  # running average of g
    nu: PositiveSlot  # running average of |g|^2
    nu_max: PositiveSlot  # largest nu so far


def amsgrad_rule(
    g: Array, s: ScaleByAmsgradState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike,
    max_of: str, debias_mu: bool, debias_nu: bool,
) -> tuple[Array, ScaleByAmsgradState]:  # fmt: skip
    """As `adam_rule`, with the largest v so far."""
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g), b2)
    debiased = lambda nu: debias(nu, b2, s.count) if debias_nu else nu
    nu_max = jnp.maximum(s.nu_max, debiased(nu) if max_of == "debiased" else nu)
    v = nu_max if max_of == "debiased" else debiased(nu_max)
    m = debias(mu, b1, s.count) if debias_mu else mu
    return m / (sqrt(v + eps_root) + eps), s._replace(mu=mu, nu=nu, nu_max=nu_max)


@lifted(amsgrad_rule, ScaleByAmsgradState, degree=0)
def scale_by_amsgrad(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *, eps_root: NonNegative = 0.0,
    max_of: MaximumOf = "debiased", debias_mu: bool = True, debias_nu: bool = True,
):  # fmt: skip
    """Adam with the largest second moment so far, so that the step size never grows.

    Per leaf, at step t = 1, 2, ..., with mu and nu as in Adam:

        x <- max(x, nu / (1 - b2^t));  v = x                 max_of="debiased"
        x <- max(x, nu);               v = x / (1 - b2^t)    max_of="raw", as PyTorch has it
        u <- mu / (1 - b1^t) / (sqrt(v + eps_root) + eps)

    Args:
        max_of: which second moment the maximum is taken of, "debiased" or "raw" (PyTorch).
        debias_mu: whether to divide mu by 1 - b1^t.
        debias_nu: whether to divide nu or its maximum by 1 - b2^t.

    Source: Reddi, Kale & Kumar 2018, arXiv:1904.09237; the paper itself debiases neither.
    """


@optimizer(scale_by_amsgrad, debias_mu=True, debias_nu=True)
def amsgrad(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8, *,
    eps_root: NonNegative = 0.0, max_of: MaximumOf = "debiased", weight_decay: DecayKind = None,
):  # fmt: skip
    """Adam with the largest second moment so far."""
