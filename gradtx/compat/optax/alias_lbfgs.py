"""Optax's L-BFGS, as a chain of its transformations."""

from gradtx.compat.optax.base import GradientTransformation, GradientTransformationExtraArgs, ScalarOrSchedule, identity
from gradtx.compat.optax.combine import chain
from gradtx.compat.optax.linesearch import scale_by_zoom_linesearch
from gradtx.compat.optax.transforms.scaling import scale, scale_by_lbfgs, scale_by_learning_rate

ZOOM = scale_by_zoom_linesearch(20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: ScalarOrSchedule | None = None, memory_size: int = 10, scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = ZOOM,
) -> GradientTransformationExtraArgs:  # fmt: skip
    """L-BFGS; see `gradtx.lbfgs` and `scale_by_lbfgs`."""
    down = scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate)
    search = identity() if linesearch is None else linesearch
    return chain(scale_by_lbfgs(memory_size, scale_init_precond), down, search)
