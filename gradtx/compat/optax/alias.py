"""Optax's other optimizers, as chains of its transformations."""

from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from gradtx.compat.optax.base import (
    DTypeOrNone,
    GradientTransformationExtraArgs,
    MaskOrFn,
    Number,
    ScalarOrSchedule,
    expose,
    identity,
    translated,
)
from gradtx.compat.optax.combine import chain, masked
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import EmptyState
from gradtx.compat.optax.transforms.accumulation import ema, trace
from gradtx.compat.optax.transforms.adding import add_decayed_weights, add_noise
from gradtx.compat.optax.transforms.clipping import clip_by_block_rms
from gradtx.compat.optax.transforms.scaling import (
    scale,
    scale_by_learning_rate,
    scale_by_optimistic_gradient,
    scale_by_param_block_rms,
    scale_by_polyak,
    scale_by_trust_ratio,
)
from gradtx.compat.optax.transforms.squares import (
    scale_by_adadelta,
    scale_by_factored_rms,
    scale_by_rms,
    scale_by_rprop,
    scale_by_rss,
    scale_by_sign,
    scale_by_sm3,
    scale_by_stddev,
)


def sgd(
    learning_rate: ScalarOrSchedule, momentum: Number | None = None, nesterov: bool = False,
    accumulator_dtype: DTypeOrNone = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Gradient descent, with momentum or without; see `gradtx.sgd`."""
    direction = identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)
    return chain(direction, scale_by_learning_rate(learning_rate))


def noisy_sgd(
    learning_rate: ScalarOrSchedule, eta: Number = 0.01, gamma: Number = 0.55, key: jax.Array | int | None = None,
    *, seed: int | None = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Gradient descent with noise that fades; see `gradtx.noisy_sgd`."""
    return chain(add_noise(eta, gamma, key, seed=seed), scale_by_learning_rate(learning_rate))


def sign_sgd(learning_rate: ScalarOrSchedule) -> GradientTransformationExtraArgs:
    """Steps along the sign of the gradient; see `gradtx.sign_sgd`."""
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(
    learning_rate: ScalarOrSchedule, beta: Number = 0.9, accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Steps along the sign of the average gradient; see `gradtx.signum`."""
    average = ema(beta, debias=False, accumulator_dtype=accumulator_dtype)
    return chain(average, scale_by_sign(), scale_by_learning_rate(learning_rate))


def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule, alpha: Number = 1.0, beta: Number = 1.0
) -> GradientTransformationExtraArgs:
    """Optimistic gradient descent; see `gradtx.optimistic_gradient_descent`."""
    return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Number = 0.1, eps: Number = 1e-7
) -> GradientTransformationExtraArgs:
    """AdaGrad; see `gradtx.adagrad`."""
    return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


def adadelta(
    learning_rate: ScalarOrSchedule | None = None, rho: Number = 0.9, eps: Number = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0, weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adadelta with coupled weight decay; see `gradtx.adadelta`."""
    decay = add_decayed_weights(weight_decay, weight_decay_mask)
    return chain(decay, scale_by_adadelta(rho, eps), scale_by_learning_rate(learning_rate))


def rmsprop(
    learning_rate: ScalarOrSchedule, decay: Number = 0.9, eps: Number = 1e-8, initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True, centered: bool = False, momentum: Number | None = None, nesterov: bool = False,
    bias_correction: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """RMSProp; see `gradtx.rmsprop`."""
    divide = scale_by_stddev if centered else scale_by_rms
    return chain(
        divide(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        identity() if momentum is None else trace(momentum, nesterov),
    )


def adafactor(
    learning_rate: ScalarOrSchedule | None = None, min_dim_size_to_factor: int = 128, decay_rate: Number = 0.8,
    decay_offset: Number = 0, multiply_by_parameter_scale: bool = True, clipping_threshold: Number | None = 1.0,
    momentum: Number | None = None, dtype_momentum: DTypeOrNone = jnp.float32,
    weight_decay_rate: ScalarOrSchedule | None = None, eps: Number = 1e-30, factored: bool = True,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adafactor; differs from `gradtx.adafactor`: None is the rate 1, and decay is not multiplied by the rate."""
    links = [scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)]
    if clipping_threshold is not None:
        links.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        links.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        links.append(scale_by_param_block_rms())
    if momentum is not None:
        links.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        links.append(add_decayed_weights(weight_decay_rate, weight_decay_mask))
    return chain(*links, scale(-1))


def sm3(learning_rate: Number, momentum: Number = 0.9) -> GradientTransformationExtraArgs:
    """SM3; see `gradtx.sm3`."""
    return chain(scale_by_sm3(momentum), scale(-learning_rate))


def rprop(
    learning_rate: Number, eta_minus: Number = 0.5, eta_plus: Number = 1.2, min_step_size: Number = 1e-6,
    max_step_size: Number = 50.0,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Rprop; see `gradtx.rprop` and, for what Optax computes, `config`."""
    return chain(scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size), scale(-1.0))


@remembered
def fromage(learning_rate: ScalarOrSchedule, min_norm: Number = 1e-6) -> GradientTransformationExtraArgs:
    """Fromage, as a trust ratio, a rate and a decay; see `gradtx.fromage`."""
    cosine = lambda rate: 1 / (1 + rate**2) ** 0.5
    if callable(learning_rate):
        rate = lambda count: learning_rate(count) * cosine(learning_rate(count))
        decay = lambda count: cosine(learning_rate(count)) - 1
    else:
        rate, decay = learning_rate * cosine(learning_rate), cosine(learning_rate) - 1
    return chain(scale_by_trust_ratio(min_norm), scale_by_learning_rate(rate), add_decayed_weights(decay))


def lars(
    learning_rate: ScalarOrSchedule, weight_decay: ScalarOrSchedule = 0.0, weight_decay_mask: MaskOrFn = True,
    trust_coefficient: Number = 0.001, eps: Number = 0.0, trust_ratio_mask: MaskOrFn = True, momentum: Number = 0.9,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """LARS; see `gradtx.lars`."""
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )


@remembered
def polyak_sgd(
    max_learning_rate: Number = 1.0, scaling: ScalarOrSchedule = 1.0, f_min: Number = 0.0, eps: Number = 0.0,
    variant: str = "sps",
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Gradient descent with Polyak's step size; see `gradtx.polyak_sgd` and, for what Optax computes, `config`."""
    if reproduces_optax():
        return chain(sgd(scaling), scale_by_polyak(f_min, max_learning_rate, eps, variant))
    step = expose(gradtx.scale_by_polyak, f_min, max_learning_rate, eps, variant, scaling=scaling)
    down = chain(sgd(1.0), step)
    if not callable(scaling):
        return down
    nothing = EmptyState()

    def pack(state: Any) -> Any:
        return (nothing, state[1]), nothing

    def unpack(state: Any) -> Any:
        return (nothing, nothing), state[0][1]

    return translated(down, pack, unpack)
