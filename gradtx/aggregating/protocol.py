"""Aggregators: transformations that take gradients of single examples and give one update."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, ParamSpec, Protocol, cast

import jax
import jax.numpy as jnp

from gradtx.core import checks, gate
from gradtx.core.explicit import zeros_like
from gradtx.core.loops import either
from gradtx.core.transformation import (
    GradientTransformation,
    InitFunction,
    Inner,
    Pair,
    UpdateFunction,
)
from gradtx.core.typing import Array, PyTree, TransformationLike
from gradtx.core.values import maker

P = ParamSpec("P")


class AggregatorUpdateFn(Protocol):
    """What the `update` of an aggregator is: it takes updates of shape (examples, ...) and gives those of shape (...).

    An aggregator may give a pair instead, of updates and a dictionary of extra arguments for what comes after it.
    """

    def __call__(
        self, per_elt_updates: PyTree, state: Any, params: PyTree = None, **extra_args: Any
    ) -> tuple[PyTree, Any]:
        """One step."""
        ...


class Aggregator(GradientTransformation):
    """A gradient transformation whose `update` takes the gradients of single examples.

    Built by a maker such as `average_per_element_updates`, or from two functions: `Aggregator(init, update)`. `init`
    takes the parameters; `update` is an `AggregatorUpdateFn`.
    """

    def __new__(cls, init: Callable[..., Any], update: Callable[..., Any]) -> "Aggregator":
        """Make an aggregator of two functions; `update` may take extra keyword arguments."""
        return _pair(init, update)


def aggregation(body: Callable[P, TransformationLike]) -> Callable[P, Aggregator]:
    """Turn a function of hyperparameters into a maker of aggregators, as `transformation` does for transformations."""
    return cast("Callable[P, Aggregator]", maker(Aggregator, body))


@aggregation
def process(preprocessor: Inner, aggregator: Inner, postprocessor: Inner, aggregator_has_aux: bool = False) -> Pair:
    """Transform the gradients of single examples, make one update of them, transform that.

    An aggregator that gathers several micro-steps says in its state, in a field `ready`, whether it has: until then
    the updates are zeros and the postprocessor is not run.

    Args:
        preprocessor: acts on updates with an axis of examples.
        aggregator: takes that axis away.
        postprocessor: acts on updates like the parameters: an optimizer.
        aggregator_has_aux: whether the aggregator gives a pair of updates and a dictionary; that is then given to the
            postprocessor as extra arguments.

    State: a tuple of the three states.

    Returns:
        A transformation that takes the gradients of single examples, for instance from
        `jax.vmap(jax.grad(loss), (None, 0))`. Extra arguments of `update` reach all three.
    """
    parts: Any = (preprocessor, aggregator, postprocessor)
    before, middle, after = parts

    def init(params: PyTree) -> tuple[Any, Any, Any]:
        return before.init(params), middle.init(params), after.init(params)

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        before_state, middle_state, after_state = checks.check_tuple("process", 3, state)
        with gate.EXAMPLES.turned():
            updates, before_state = before.within(updates, before_state, params, **extra)
        result, middle_state = middle.within(updates, middle_state, params, **extra)
        updates, aux = result if aggregator_has_aux else (result, {})

        def step() -> tuple[PyTree, Any]:
            return after.within(updates, after_state, params, **extra, **aux)

        def wait() -> tuple[PyTree, Any]:
            return jax.tree.map(zeros_like, updates), after_state

        ready = _ready(middle_state)
        if ready is None:
            updates, after_state = step()
        else:
            updates, after_state = either(ready, step, wait)
        return updates, (before_state, middle_state, after_state)

    return Pair(init, update, "anything")


def _ready(state: Any) -> Array | None:
    """Whether all fields `ready` of a state are true; None where it has none."""
    fields = [x for path, x in jax.tree_util.tree_leaves_with_path(state) if path and _name(path[-1]) == "ready"]
    return reduce(jnp.logical_and, fields) if fields else None


def _name(key: Any) -> str | None:
    return getattr(key, "name", None)


@partial(maker, Aggregator, name="Aggregator")
def _pair(init: InitFunction, update: UpdateFunction) -> Pair:
    """An aggregator of two functions."""
    return Pair(init, update, theirs=True)


_PAIR = _pair  # its name in pickles of the first release
