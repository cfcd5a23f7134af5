"""Schedule-free learning: an average of the iterates in place of a schedule's decay."""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax.numpy as jnp

from gradtx.combine.around import around
from gradtx.combine.descend import descend
from gradtx.combine.optimizer import optimizer
from gradtx.core import precision
from gradtx.core.arguments import Interval
from gradtx.core.averages import safe_divide
from gradtx.core.degree import of
from gradtx.core.fields import Count, History, InnerState, Scalar
from gradtx.core.hyperparameters import Decay, Hyperparameter, NonNegative, PositiveNumber
from gradtx.core.leafwise import leafwise
from gradtx.core.schedule import as_schedule, at_step, schedule
from gradtx.core.slots import CopySlot, ExactSlot, NarrowStart, copy
from gradtx.core.transformation import GradientTransformation, Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, Numbers, PyTree
from gradtx.optimizers.radam import average_length, rectification
from gradtx.optimizers.rms import scale_by_rms
from gradtx.transforms.decay import DecayKind
from gradtx.transforms.scale import identity
from gradtx.wrappers.evaluation import from_slots

Interpolation: TypeAlias = Annotated[Hyperparameter, Interval("(0, 1]", schedule=as_schedule)]
"""A number in (0, 1], or a schedule."""


class ScheduleFreeState(NamedTuple):
    b1: Scalar  # the one that the parameters were last made with
    weight_sum: History  # of the iterates averaged so far
    step_count: Count  # steps taken, int32
    max_lr: Scalar  # the largest learning rate so far
    base_optimizer_state: InnerState
    z: CopySlot  # the base optimizer's iterates, a tree like the parameters
    x: ExactSlot  # their average, for leaves narrower than float32; () for the others

    def evaluation_params(self, params: PyTree) -> PyTree:
        """The average x."""
        formula = lambda y, z, x: average_of(y, z, x, precision.number_in(self.b1, z.real.dtype))
        return from_slots("schedule_free", formula, params, self.z, self.x)


def average_of(y: Array, z: Array, x: Any, b1: ArrayLike) -> Array:
    """x where it is kept, else from y = (1 - b1) z + b1 x."""
    return z + (y - z) / b1 if isinstance(x, tuple) else x


def schedule_free_rule(
    u: Array, s: ScheduleFreeState, p: Array, *, new_b1: ArrayLike, old_b1: Array, share: Array
) -> tuple[Array, ScheduleFreeState]:
    """z <- z + u; x <- (1 - c) x + c z; the parameters become y = (1 - b1) z + b1 x."""
    z = s.z + u
    x = average_of(p, s.z, s.x, old_b1)
    x = x + share * (z - x)
    y = (1 - new_b1) * z + new_b1 * x
    return y - p, s._replace(z=z, x=() if isinstance(s.x, tuple) else x)


def weighing(
    state: ScheduleFreeState, learning_rate: ArrayLike, interpolation: ArrayLike, weight_lr_power: ArrayLike,
    weight_step_power: ArrayLike,
) -> Numbers:  # fmt: skip
    """The share c of this step's z in the average: its weight max_lr^power t^step_power over the sum of weights."""
    t = precision.cast(state.step_count + 1, state.max_lr.dtype)
    max_lr = jnp.maximum(state.max_lr, learning_rate)
    weight = max_lr**weight_lr_power * t**weight_step_power
    weight_sum = state.weight_sum + weight
    share = safe_divide(weight, weight_sum)
    b1: Numbers = {"b1": interpolation, "new_b1": interpolation, "old_b1": state.b1}
    return {"max_lr": max_lr, "weight_sum": weight_sum, "share": share} | b1


@transformation(degree=of("base_optimizer"))
def schedule_free(
    base_optimizer: Inner, learning_rate: NonNegative, b1: Interpolation = 0.9, weight_lr_power: NonNegative = 2.0, *,
    weight_step_power: NonNegative = 0.0,
) -> Pair:  # fmt: skip
    """Train at a point between an optimizer's iterates and their average, and evaluate at the average.

    The parameters are y, where gradients are taken; `evaluation_params` gives x. At step t = 1, 2, ..., with u the
    base's update:

        z <- z + u
        c <- w_t / (w_1 + ... + w_t), w_t = max(learning_rate so far)^weight_lr_power t^weight_step_power
        x <- (1 - c) x + c z
        y <- (1 - b1) z + b1 x

    Args:
        base_optimizer: an optimizer without momentum, b1 takes its place; its weight decay acts at y.
        learning_rate: the base's, >= 0: a number, or a warm-up that then stays.
        b1: in (0, 1], the share of x in y; 0.9, for long runs 0.95 to 0.98.
        weight_lr_power: at least 0, how little the steps of a warm-up count.
        weight_step_power: at least 0, how much more late steps count; the authors' r.

    State: `ScheduleFreeState(b1, weight_sum, step_count, max_lr, base_optimizer_state, z, x)`: the base's state and
        one value per parameter. x is worked out from y and z, but kept, in float32, for 16-bit parameters, whose
        rounding would stop the average.

    Source: Defazio et al. 2024, arXiv:2405.15682.
    """
    base = ours(base_optimizer)
    averaging = leafwise(
        schedule_free_rule, ScheduleFreeState, reduce=weighing, learning_rate=learning_rate, interpolation=b1,
        weight_lr_power=weight_lr_power, weight_step_power=weight_step_power, b1=at_step(b1, 0),
        x=NarrowStart(copy()),
    )  # fmt: skip
    return around(base, averaging.named("schedule_free"))


@schedule
def linear_warmup(step: Array, learning_rate: NonNegative, warmup_steps: PositiveNumber) -> Array:
    """learning_rate min(1, t / warmup_steps), t = 1 at the first step."""
    return at_step(learning_rate, step) * jnp.minimum(1, (step + 1) / warmup_steps)


@schedule
def rectified(step: Array, learning_rate: NonNegative, b2: Decay) -> Array:
    """learning_rate r, with RAdam's r; 0 while rho <= 4."""
    decay = at_step(b2, step)
    rho = average_length(decay, step + 1)
    return at_step(learning_rate, step) * jnp.where(rho > 4, rectification(decay, rho, rho > 4), 0)


@optimizer(schedule_free)
def schedule_free_sgd(
    learning_rate: NonNegative = 1.0, warmup_steps: PositiveNumber | None = None, b1: Interpolation = 0.9,
    weight_decay: DecayKind = None, weight_lr_power: NonNegative = 2.0, *, weight_step_power: NonNegative = 0.0,
) -> GradientTransformation:  # fmt: skip
    """Schedule-free SGD; see `schedule_free`.

    Args:
        learning_rate: eta >= 0.
        warmup_steps: above 0, the steps over which the learning rate grows as t / warmup_steps; None: no warm-up.
        weight_decay: None, a strength, or a kind such as `coupled(1e-4)`, at the parameters y; see `descend`.

    State: that of `schedule_free`, one value per parameter.
    """
    eta = learning_rate if warmup_steps is None else linear_warmup(learning_rate, warmup_steps)
    base = descend(identity(), eta, weight_decay)
    return schedule_free(base, eta, b1, weight_lr_power, weight_step_power=weight_step_power)


@optimizer(schedule_free, scale_by_rms)
def schedule_free_adamw(
    learning_rate: NonNegative = 0.0025, warmup_steps: PositiveNumber | None = None, b1: Interpolation = 0.9,
    b2: Decay = 0.999, eps: NonNegative = 1e-8, weight_decay: DecayKind = None, weight_lr_power: NonNegative = 2.0, *,
    weight_step_power: NonNegative = 0.0,
) -> GradientTransformation:  # fmt: skip
    """Schedule-free AdamW: the base divides by the debiased root-mean-square of the gradient; see `schedule_free`.

    Args:
        learning_rate: eta >= 0.
        warmup_steps: above 0, the steps over which the learning rate grows as t / warmup_steps; None: no warm-up.
        b2: in [0, 1), decay of the average of |g|^2.
        eps: at least 0, added outside the root.
        weight_decay: None, a strength (decoupled), or a kind, at the parameters y; see `descend`.

    State: that of `schedule_free`, two values per parameter.

    Source: Defazio et al. 2024, Algorithm 1, arXiv:2405.15682; differs: as in the authors' code, the average of |g|^2
        is debiased, where the algorithm has sqrt(1 - b2^t) in the learning rate and so in the weights.
    """
    eta = learning_rate if warmup_steps is None else linear_warmup(learning_rate, warmup_steps)
    base = descend(scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True), eta, weight_decay)
    return schedule_free(base, eta, b1, weight_lr_power, weight_step_power=weight_step_power)


@optimizer(schedule_free, scale_by_rms)
def schedule_free_radam(
    learning_rate: NonNegative = 0.0025, b1: Interpolation = 0.9, b2: Decay = 0.999, eps: NonNegative = 1e-8,
    weight_decay: DecayKind = None, weight_lr_power: NonNegative = 2.0, *, weight_step_power: NonNegative = 0.0,
) -> GradientTransformation:  # fmt: skip
    """Schedule-free RAdam: schedule-free AdamW with RAdam's factor as its warm-up, which nothing tunes.

    The rate in `schedule_free` is eta r, r as in `scale_by_radam`, 0 while rho <= 4 (the first 4 steps for b2 = 0.999).

    Args:
        learning_rate: eta >= 0.
        b2: in [0, 1), decay of the average of |g|^2; below 2/3 rho stays below 5, and below 0.6 nothing moves.
        eps: at least 0, added outside the root.
        weight_decay: None, a strength (decoupled), or a kind, at the parameters y; see `descend`.

    State: that of `schedule_free`, two values per parameter.

    Source: Defazio et al. 2024, arXiv:2405.15682, their `RAdamScheduleFree` with its silent first phase.
    """
    eta = rectified(learning_rate, b2)
    base = descend(scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True), eta, weight_decay)
    return schedule_free(base, eta, b1, weight_lr_power, weight_step_power=weight_step_power)
