"""What keeps gradients and parameters in their place."""

from typing import Any

import gradtx
from gradtx.compat.optax.base import GradientTransformationExtraArgs, OptState, Params, Updates, expose
from gradtx.compat.optax.remember import remembered


def keep_params_nonnegative() -> GradientTransformationExtraArgs:
    """As `gradtx.keep_params_nonnegative`."""
    return expose(gradtx.keep_params_nonnegative)


@remembered
def zero_nans() -> GradientTransformationExtraArgs:
    """As `gradtx.zero_nans`, whatever state is given."""
    ours = expose(gradtx.zero_nans)

    def update(updates: Updates, state: OptState, params: Params = None, **extra_args: Any) -> tuple[Updates, OptState]:
        return ours.update(updates, ours.init(updates))

    return GradientTransformationExtraArgs(ours.init, update)
