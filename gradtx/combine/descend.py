"""From a direction to an optimizer: weight decay and the learning rate, in one place for all of them."""

from typing import Any

from gradtx.combine.chain import chain
from gradtx.core import checks
from gradtx.core.hyperparameters import NonNegative
from gradtx.core.leafwise import leafwise
from gradtx.core.states import EmptyState
from gradtx.core.transformation import GradientTransformation, Inner, Pair, ours, transformation
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.transforms.decay import DecayKind, decay_links
from gradtx.transforms.scale import scale, scale_by_lr


def descend(direction: Inner, learning_rate: NonNegative, weight_decay: DecayKind = None) -> GradientTransformation:
    """Follow a direction downhill: theta <- theta - eta u, with weight decay where its kind puts it.

    The chain of the direction, `scale_by_lr` and what the decay adds; `optimizer` makes a named one of it.

    Args:
        direction: a transformation without a learning rate, such as `scale_by_adam()`.
        learning_rate: eta >= 0, a number or a schedule.
        weight_decay: None; a strength or schedule, which means `decoupled`; or `coupled(strength, mask)`,
            `decoupled(strength, mask)`, `independent(strength, peak, mask)`.

    State: a tuple, of the direction's state, the learning rate's, and the decay's where it stands in the chain.

    Returns:
        The `chain`.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    return chain(*before, direction, *between, scale_by_lr(learning_rate), *after)


def beside_rule(g: Array, *, decayed: Array, learning_rate: ArrayLike) -> Array:
    """u = g - learning_rate (decayed + g), decayed = -g with decay added."""
    return g - learning_rate * (decayed + g)


@transformation(degree=1)
def decay_beside(decay: Inner, learning_rate: NonNegative) -> Pair:
    """Add to a finished step what `decay` would add to its direction, times the learning rate.

    Args:
        decay: a transformation such as `add_decayed_weights`.
        learning_rate: eta >= 0, a number or a schedule.

    State: a pair, of `decay` and of the schedule.
    """
    inner, turn = ours(decay), scale(-1)
    add = leafwise(beside_rule, beside=("decayed",), learning_rate=learning_rate).named("decay_beside")

    def init(params: PyTree) -> tuple[Any, Any]:
        return inner.init(params), add.init(params)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        decay_state, add_state = checks.check_tuple("decay_beside", 2, state)
        direction, _ = turn.within(updates, EmptyState())
        decayed, inner_state = inner.within(direction, decay_state, params, **extra)
        updates, add_state = add.update(updates, add_state, decayed=decayed)
        return updates, (inner_state, add_state)

    return Pair(init, update, "numbers")


def descend_by(step: Inner, learning_rate: NonNegative, weight_decay: DecayKind = None) -> GradientTransformation:
    """Add weight decay, of any kind, to a transformation that has its learning rate inside and gives finished steps.

    Args:
        step: the transformation.
        learning_rate: the same eta >= 0, which the decay is multiplied by where its kind says so.
        weight_decay: as in `descend`.

    State: a tuple, of the step's state, and the decay's where it stands in the chain.

    Returns:
        The `chain`.
    """
    before, between, after = decay_links(weight_decay, learning_rate)
    beside = (decay_beside(chain(*between), learning_rate),) if between else ()
    return chain(*before, step, *beside, *after)
