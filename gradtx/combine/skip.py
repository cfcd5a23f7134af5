"""Skips: which micro-steps `accumulate` leaves out, as values."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Concatenate, ParamSpec, TypeAlias, cast

import jax
import jax.numpy as jnp

from gradtx.core import tree
from gradtx.core.arguments import Accept, shown
from gradtx.core.functions import IsFunction
from gradtx.core.hyperparameters import Threshold
from gradtx.core.schedule import at_step
from gradtx.core.typing import Array, ArrayLike, PyTree
from gradtx.core.values import Value, maker, split_arguments

P = ParamSpec("P")


class Skip(Value):
    """Says whether a micro-step is left out: `skip(updates, gradient_step, params) -> (bool, info)`, as a value.

    `info` is a tree of arrays, kept in the state for whoever watches. Built by `skip_not_finite`,
    `skip_large_updates`, or from a function: `Skip(fn)`.
    """

    def __new__(cls, fn: Callable[..., tuple[Array, PyTree]]) -> "Skip":
        """Wrap a function of `(updates, gradient_step, params)`."""
        return _function(fn)

    def __call__(self, updates: PyTree, gradient_step: ArrayLike, params: PyTree = None) -> tuple[Array, PyTree]:
        """Judge one micro-step.

        Args:
            updates: its gradients.
            gradient_step: optimizer steps taken so far.
            params: the parameters, or None.

        Returns:
            Whether to leave it out, and what is to be known about it.
        """
        args, kwargs = split_arguments(self.maker, self.arguments)
        if self.maker is _function:
            judged = args[0](updates, gradient_step, params)
            if not isinstance(judged, tuple) or len(judged) != 2:
                raise TypeError(f"Skip: fn must give (bool, info), got {shown(judged)}")
            return judged
        return self.maker.body(updates, gradient_step, params, *args, **kwargs)

    def _build(self) -> None:
        """Nothing is made ahead of a call."""


def _skip(judge: Callable[Concatenate[PyTree, Array, PyTree, P], tuple[Array, PyTree]]) -> Callable[P, Skip]:
    return cast("Callable[P, Skip]", maker(Skip, judge, called_with=3))


_JUDGE = IsFunction("(updates, gradient_step, params) -> (bool, info)", least=3, most=3)


@partial(maker, Skip, name="Skip")
def _function(fn: Annotated[Callable[..., tuple[Array, PyTree]], _JUDGE]) -> None:
    """A skip from a plain function."""


_FUNCTION = _function  # its name in pickles of the first release


class IsSkip(Accept):
    """A skip, or a function such as it wraps."""

    wanted = "a function (updates, gradient_step, params) -> (bool, info)"

    def convert(self, where: str, name: str, x: Any) -> Skip:
        return x if isinstance(x, Skip) else Skip.make(_function, {"fn": _JUDGE.convert(where, name, x)})


SkipLike: TypeAlias = Annotated[Skip | Callable[..., tuple[Array, PyTree]], IsSkip()]
"""A skip, or a function of `(updates, gradient_step, params)`."""


@_skip
def skip_not_finite(updates: PyTree, gradient_step: Array, params: PyTree) -> tuple[Array, PyTree]:
    """Leave out gradients with a NaN or an infinity.

    Its info is `{"should_skip", "num_not_finite"}`, the second the number of such elements.
    """
    counts = [jnp.sum(~jnp.isfinite(x), dtype=jnp.int32) for x in jax.tree.leaves(updates)]
    bad = sum(counts, jnp.zeros((), jnp.int32))
    return bad > 0, {"should_skip": bad > 0, "num_not_finite": bad}


@_skip
def skip_large_updates(
    updates: PyTree, gradient_step: Array, params: PyTree, max_squared_norm: Threshold
) -> tuple[Array, PyTree]:
    """Leave out gradients whose squared norm, over the whole tree, is too large or a NaN.

    Its info is `{"should_skip", "norm_squared"}`.

    Args:
        updates: the gradients, given at each call.
        gradient_step: optimizer steps taken so far, given at each call.
        params: not used, given at each call.
        max_squared_norm: at least 0, the largest that is accepted; a schedule counts optimizer steps.
    """
    norm_sq = tree.norm_sq(updates)
    skip = ~(norm_sq <= jnp.asarray(at_step(max_squared_norm, gradient_step), norm_sq.dtype))
    return skip, {"should_skip": skip, "norm_squared": norm_sq}
