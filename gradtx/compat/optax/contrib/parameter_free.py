"""Optimizers that find their own step size: COCOB, D-Adaptation, DoG, DoWG, MoMo, Prodigy."""

from typing import Any, Literal

import gradtx
from gradtx.compat.optax.base import (
    GradientTransformationExtraArgs,
    MaskOrFn,
    Number,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
    expose,
    identity,
)
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.transforms.adding import add_decayed_weights
from gradtx.compat.optax.transforms.scaling import scale_by_learning_rate

InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], Number]


def scale_by_cocob(alpha: Number = 100.0, eps: Number = 1e-8) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_cocob`."""
    return expose(gradtx.scale_by_cocob, alpha, eps)


def cocob(
    learning_rate: ScalarOrSchedule = 1.0, alpha: Number = 100.0, eps: Number = 1e-8, weight_decay: Number = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.cocob`."""
    factor = scale_by_learning_rate(learning_rate, flip_sign=False)
    return chain(add_decayed_weights(weight_decay, mask), factor, scale_by_cocob(alpha, eps))


def dadapt_adamw(
    learning_rate: ScalarOrSchedule = 1.0, betas: tuple[Number, Number] = (0.9, 0.999), eps: Number = 1e-8,
    estim_lr0: Number = 1e-6, weight_decay: Number = 0.0,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.dadapt_adamw`."""
    b1, b2 = betas
    return expose(gradtx.dadapt_adamw, learning_rate, b1, b2, eps, estim_lr0, weight_decay=weight_decay)


def dog(
    learning_rate: ScalarOrSchedule = 1.0, init_step: InitStep = ("heuristic", 1e-6), eps: Number = 1e-8,
    weight_decay: Number | None = None, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.dog`; `init_step` is its kind and its size."""
    kind, size = init_step
    direction = expose(gradtx.scale_by_dog, size, eps, init_kind=kind)
    return chain(_decay(weight_decay, mask), direction, scale_by_learning_rate(learning_rate))


def dowg(
    learning_rate: ScalarOrSchedule = 1.0, init_estim_sq_dist: Number | None = None, eps: Number = 1e-4,
    weight_decay: Number | None = None, mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.dowg`."""
    direction = expose(gradtx.scale_by_dowg, init_estim_sq_dist, eps)
    return chain(_decay(weight_decay, mask), direction, scale_by_learning_rate(learning_rate))


def _decay(weight_decay: Number | None, mask: MaskOrFn) -> GradientTransformationExtraArgs:
    return identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)


def momo(
    learning_rate: ScalarOrSchedule = 1.0, beta: Number = 0.9, lower_bound: Number = 0.0, weight_decay: Number = 0.0,
    adapt_lower_bound: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.momo`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    numbers = (learning_rate, beta, lower_bound, weight_decay)
    return _with_value(expose(gradtx.momo, *numbers, adapt_lower_bound, decay_step=not reproduces_optax()))


def momo_adam(
    learning_rate: ScalarOrSchedule = 1e-2, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8,
    lower_bound: Number = 0.0, weight_decay: Number = 0.0, adapt_lower_bound: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.momo_adam`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
    numbers = (learning_rate, b1, b2, eps, lower_bound, weight_decay)
    return _with_value(expose(gradtx.momo_adam, *numbers, adapt_lower_bound, decay_step=not reproduces_optax()))


@remembered
def _with_value(tx: GradientTransformationExtraArgs) -> GradientTransformationExtraArgs:
    """The same with Optax's errors: TypeError without `value`, ValueError where it is None."""

    def update(
        updates: Updates, state: OptState, params: Params = None, *, value: Number | None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if value is None:
            raise ValueError("momo: value must be the loss, got None")
        return tx.update(updates, state, params, value=value, **extra_args)

    return GradientTransformationExtraArgs(tx.init, update)


def prodigy(
    learning_rate: ScalarOrSchedule = 1.0, betas: tuple[Number, Number] = (0.9, 0.999), beta3: Number | None = None,
    eps: Number = 1e-8, estim_lr0: Number = 1e-6, estim_lr_coef: Number = 1.0, weight_decay: Number = 0.0,
    safeguard_warmup: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.prodigy(eps_of_new_d=True)`."""
    b1, b2 = betas
    return expose(
        gradtx.prodigy, learning_rate, b1, b2, beta3, eps, estim_lr0, estim_lr_coef, eps_of_new_d=True,
        safeguard_warmup=safeguard_warmup, weight_decay=weight_decay,
    )  # fmt: skip
