"""Optax's optimizers of the Adam family, as chains of its transformations."""

import warnings
from functools import partial

from gradtx.compat.optax.base import (
    DTypeOrNone,
    GradientTransformationExtraArgs,
    MaskOrFn,
    Number,
    ScalarOrSchedule,
)
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.transforms.adding import add_decayed_weights
from gradtx.compat.optax.transforms.moments import (
    scale_by_adam,
    scale_by_adamax,
    scale_by_adan,
    scale_by_amsgrad,
    scale_by_belief,
    scale_by_lion,
    scale_by_novograd,
    scale_by_radam,
    scale_by_yogi,
)
from gradtx.compat.optax.transforms.scaling import (
    scale_by_learning_rate,
    scale_by_optimistic_gradient,
    scale_by_trust_ratio,
)


def adam(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adam; see `gradtx.adam`."""
    direction = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
    return chain(direction, scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, weight_decay: ScalarOrSchedule = 1e-4, mask: MaskOrFn = None, *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adam with decoupled weight decay; see `gradtx.adamw`."""
    direction = scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)
    return chain(direction, add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))


nadam = partial(adam, nesterov=True)
nadamw = partial(adamw, nesterov=True)


def amsgrad(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, bias_correction_mu: bool = True, bias_correction_nu: bool = True,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adam with the largest second moment so far; see `gradtx.amsgrad`."""
    direction = scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu)
    return chain(direction, scale_by_learning_rate(learning_rate))


def adamax(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8
) -> GradientTransformationExtraArgs:
    """Adam in the infinity norm; see `gradtx.adamax`."""
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """AdaMax with decoupled weight decay; see `gradtx.adamaxw`."""
    decay = add_decayed_weights(weight_decay, mask)
    return chain(scale_by_adamax(b1, b2, eps), decay, scale_by_learning_rate(learning_rate))


def adan(
    learning_rate: ScalarOrSchedule, b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-8,
    eps_root: Number = 1e-8, weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Adan; see `gradtx.adan` and, for what Optax computes, `config`."""
    decay = add_decayed_weights(weight_decay, mask)
    return chain(scale_by_adan(b1, b2, b3, eps, eps_root), decay, scale_by_learning_rate(learning_rate))


def adabelief(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16,
    eps_root: Number = 1e-16, *, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """AdaBelief; see `gradtx.adabelief`."""
    return chain(scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov), scale_by_learning_rate(learning_rate))


def lamb(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-6, eps_root: Number = 0.0,
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """LAMB; see `gradtx.lamb`."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lion(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.99, mu_dtype: DTypeOrNone = None,
    weight_decay: ScalarOrSchedule = 1e-3, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Lion; see `gradtx.lion`."""
    decay = add_decayed_weights(weight_decay, mask)
    return chain(scale_by_lion(b1, b2, mu_dtype), decay, scale_by_learning_rate(learning_rate))


def novograd(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.25, eps: Number = 1e-6, eps_root: Number = 0.0,
    weight_decay: Number = 0.0,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """NovoGrad; see `gradtx.novograd`."""
    direction = scale_by_novograd(b1, b2, eps, eps_root, weight_decay)
    return chain(direction, scale_by_learning_rate(learning_rate))


def radam(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0,
    threshold: Number = 5.0, *, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Rectified Adam; see `gradtx.radam`."""
    direction = scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov)
    return chain(direction, scale_by_learning_rate(learning_rate))


def yogi(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-3
) -> GradientTransformationExtraArgs:
    """Yogi; see `gradtx.yogi`."""
    return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


def optimistic_adam(
    learning_rate: Number, optimism: Number | None = None, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None, *, nesterov: bool = True,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Deprecated: `optimistic_adam_v2` with `beta = optimism / learning_rate`.

    Raises:
        ValueError: for a schedule.
    """
    warnings.warn("please use `optimistic_adam_v2` instead of `optimistic_adam`", DeprecationWarning, stacklevel=2)
    if callable(learning_rate):
        raise ValueError("optimistic_adam: learning_rate must be a number; optimistic_adam_v2 takes schedules")
    beta = learning_rate if optimism is None else optimism
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(learning_rate, beta),
        scale_by_learning_rate(1.0),
    )


def optimistic_adam_v2(
    learning_rate: ScalarOrSchedule, *, alpha: Number = 1.0, beta: Number = 1.0, b1: Number = 0.9, b2: Number = 0.999,
    eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None, nesterov: bool = True,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """Optimistic Adam; see `gradtx.optimistic_adam_v2`."""
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )
