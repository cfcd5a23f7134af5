"""Yogi: Adam whose second moment moves by bounded steps."""

from gradtx.combine.optimizer import optimizer
from gradtx.core.averages import debias, ema, finite_abs_sq, sign, sqrt
from gradtx.core.hyperparameters import Decay, NonNegative, NonNegativeNumber
from gradtx.core.lifted import lifted
from gradtx.core.typing import Array, ArrayLike
from gradtx.optimizers.adam import ScaleByAdamState
from gradtx.transforms.decay import DecayKind


def yogi_rule(
    g: Array, s: ScaleByAdamState, *, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, eps_root: ArrayLike,
    bias_correction: bool,
) -> tuple[Array, ScaleByAdamState]:  # fmt: skip
    """u = m / (sqrt(v + eps_root) + eps), v moved towards |g|^2 by (1 - b2) |g|^2."""
    mu = ema(s.mu, g, b1)
    nu = s.nu - (1 - b2) * sign(s.nu - finite_abs_sq(g)) * finite_abs_sq(g)
    m, v = (debias(mu, b1, s.count), debias(nu, b2, s.count)) if bias_correction else (mu, nu)
    return m / (sqrt(v + eps_root) + eps), s._replace(mu=mu, nu=nu)


@lifted(yogi_rule, ScaleByAdamState, degree=0)
def scale_by_yogi(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-3, *, eps_root: NonNegative = 0.0,
    initial_accumulator_value: NonNegativeNumber = 1e-6, initial_mu: NonNegativeNumber = 1e-6,
    bias_correction: bool = True,
):  # fmt: skip
    """Divide the averaged gradient by a root-mean-square that cannot fall quickly.

    Per leaf, at step t = 1, 2, ...:

        mu <- b1 mu + (1 - b1) g
        nu <- nu - (1 - b2) sign(nu - |g|^2) |g|^2
        u  <- (mu / (1 - b1^t)) / (sqrt(nu / (1 - b2^t) + eps_root) + eps)

    Args:
        b2: in [0, 1); nu moves by the share 1 - b2 of |g|^2.
        initial_accumulator_value: nu at the start, >= 0.
        initial_mu: mu at the start, >= 0; as in Optax. The paper and TensorFlow start at 0.
        bias_correction: whether to divide by 1 - b1^t and 1 - b2^t, as TensorFlow and Optax do; the paper does not.

    Source: Zaheer et al. 2018 (NeurIPS), Algorithm 2.
    """
    return {"mu": initial_mu, "nu": initial_accumulator_value}


@optimizer(scale_by_yogi)
def yogi(
    learning_rate: NonNegative, b1: Decay = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-3, *,
    eps_root: NonNegative = 0.0, initial_accumulator_value: NonNegativeNumber = 1e-6,
    initial_mu: NonNegativeNumber = 1e-6, bias_correction: bool = True, weight_decay: DecayKind = None,
):  # fmt: skip
    """Yogi: theta <- theta - eta m / (sqrt(v) + eps), v moving by bounded steps."""
