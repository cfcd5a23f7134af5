"""Directions from running averages of gradients and of their squares: Adam and its family."""

import gradtx
from gradtx.compat.optax.base import (
    DTypeOrNone,
    GradientTransformationExtraArgs,
    Number,
    expose,
    refused_at_update,
    translated,
)
from gradtx.compat.optax.config import reproduces_optax
from gradtx.compat.optax.remember import remembered
from gradtx.compat.optax.states import ScaleByAdanState
from gradtx.optimizers.adan import ScaleByAdanState as OurAdanState


def scale_by_adam(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
    *, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_adam`."""
    return expose(gradtx.scale_by_adam, b1, b2, eps, eps_root=eps_root, mu_dtype=mu_dtype, nesterov=nesterov)


def scale_by_amsgrad(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
    bias_correction_mu: bool = True, bias_correction_nu: bool = True,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_amsgrad`."""
    return expose(
        gradtx.scale_by_amsgrad, b1, b2, eps, eps_root=eps_root, mu_dtype=mu_dtype,
        debias_mu=bias_correction_mu, debias_nu=bias_correction_nu,
    )  # fmt: skip


def scale_by_adamax(b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adamax`."""
    return expose(gradtx.scale_by_adamax, b1, b2, eps)


@remembered
def scale_by_adan(
    b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-8, eps_root: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adan`; Optax weighs the change of the gradient by 1 - b2 (see `config`)."""
    weight = 1 - b2 if reproduces_optax() else None
    ours = expose(gradtx.scale_by_adan, b1, b2, b3, eps, eps_root=eps_root, change_weight=weight)
    return translated(ours, lambda s: ScaleByAdanState(*s), lambda s: OurAdanState(*s))


def scale_by_belief(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16, eps_root: Number = 1e-16, *, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_belief`."""
    return expose(gradtx.scale_by_belief, b1, b2, eps, eps_root=eps_root, nesterov=nesterov)


def scale_by_lion(
    b1: Number = 0.9, b2: Number = 0.99, mu_dtype: DTypeOrNone = None, *, mode: str = "hard", smooth_beta: Number = 1.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_lion`; an unknown mode is refused at the first update."""
    try:
        return expose(gradtx.scale_by_lion, b1, b2, mu_dtype=mu_dtype, mode=mode, smooth_beta=smooth_beta)
    except ValueError as error:
        return refused_at_update(scale_by_lion(b1, b2, mu_dtype), error)


def scale_by_novograd(
    b1: Number = 0.9, b2: Number = 0.25, eps: Number = 1e-8, eps_root: Number = 0.0, weight_decay: Number = 0.0,
    mu_dtype: DTypeOrNone = None,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_novograd`."""
    return expose(
        gradtx.scale_by_novograd, b1, b2, eps, eps_root=eps_root, weight_decay=weight_decay, mu_dtype=mu_dtype
    )


def scale_by_radam(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, eps_root: Number = 0.0, threshold: Number = 5.0,
    *, nesterov: bool = False,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_radam`."""
    return expose(gradtx.scale_by_radam, b1, b2, eps, eps_root=eps_root, threshold=threshold, nesterov=nesterov)


def scale_by_yogi(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-3, eps_root: Number = 0.0,
    initial_accumulator_value: Number = 1e-6,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """As `gradtx.scale_by_yogi`, both averages from one start value."""
    start = initial_accumulator_value
    return expose(
        gradtx.scale_by_yogi, b1, b2, eps, eps_root=eps_root, initial_accumulator_value=start, initial_mu=start
    )
