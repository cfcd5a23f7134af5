"""Gradient transformations: pure `(init, update)` pairs that are also values."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, ParamSpec, TypeAlias, cast, overload

import jax
import jax.numpy as jnp

from gradtx.core import border, gate
from gradtx.core.arguments import Accept, shown
from gradtx.core.at_once import at_once, calling
from gradtx.core.degree import Degree
from gradtx.core.eager import outside
from gradtx.core.functions import IsFunction
from gradtx.core.leafwise import Leafwise
from gradtx.core.one_pass import as_one_pass, is_one_pass
from gradtx.core.pair import Pair
from gradtx.core.peers import Apparent
from gradtx.core.states import EmptyState
from gradtx.core.typing import Extra, PyTree, TransformationLike
from gradtx.core.values import Value, maker
from gradtx.core.varying import vary_like
from gradtx.core.walk import declared

P = ParamSpec("P")


class GradientTransformation(Value, Apparent):
    """A pure pair `init(params) -> state`, `update(updates, state, params) -> (updates, state)`, as a value.

    It unpacks as the pair, and it is a pytree whose leaves are its hyperparameters, so it can be printed, compared,
    hashed, passed to `jax.jit`, stacked by `jax.vmap` and differentiated by `jax.grad`.

    Built by a maker such as `adam`, or from two functions: `GradientTransformation(init, update)`. The functions of
    a pair are static: numbers they close over are not hyperparameters. See `transformation` for those.
    """

    def __new__(cls, init: Callable[..., Any], update: Callable[..., Any]) -> "GradientTransformation":
        """Make a transformation of two functions; `update` may take extra keyword arguments."""
        return _pair(init, update)

    def init(self, params: PyTree) -> Any:
        """The state before the first step.

        Args:
            params: the parameters, or `jax.ShapeDtypeStruct`s of them.

        Returns:
            The state, a pytree; no buffer of `params` is in it.
        """
        tx = self.made_as()
        pair = tx.build()
        if isinstance(pair, Leafwise) or (isinstance(pair, Pair) and pair.takes):
            params = gate.numbers_as_arrays(tx.name, "params", params)
            if isinstance(pair, Pair):
                gate.check_init(tx.name, pair.takes, params)
        with jax.named_scope(self.name):
            return pair.init(params)

    def update(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """One step.

        Args:
            updates: gradients, or what the transformation before made of them.
            state: the state from `init` or from the step before.
            params: the current parameters, where the transformation needs them.
            **extra: what some transformations need besides (`value=loss`); the others ignore it.

        Returns:
            The new updates, of the shapes and dtypes of `updates`, and the new state, of the types of `state`.
        """
        operands = (updates, state, params, self._looked_at(extra))
        if not any(map(callable, operands[3].values())):  # a function to call is likely made for this step alone
            with calling(step_of, self, operands, _update_eagerly) as call:
                return call(*operands)
        return step_of(self, *operands)

    def within(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """One step as a part of another transformation's: updates are in their compute dtypes, and stay so."""
        extra = self._looked_at(extra)
        if any(map(callable, extra.values())):
            return inner_step_of(self, updates, state, params, extra)
        return at_once(inner_step_of, self, updates, state, params, extra)

    @property
    def inside(self) -> Leafwise | Pair:
        """The pair that it is, as it runs within a trace and within another transformation."""
        return self.steps_as().build()

    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots in its state, whatever they are in."""

        def init(params: PyTree) -> Any:  # the method itself would be hashed with its value, and the numbers read
            return self.init(params)

        state = jax.eval_shape(init, jax.ShapeDtypeStruct((2, 2), jnp.float32))
        return tuple(dict.fromkeys(name for _, name, _, _ in declared(state)))

    def made_as(self) -> "GradientTransformation":
        """What its body makes, where that is another value, and so on: a chain, for an optimizer; else itself."""
        tx = self
        while isinstance(inner := tx.build(), GradientTransformation):
            tx = inner
        return tx

    def steps_as(self) -> "GradientTransformation":
        """What has the same `update`, and the same state but for how it is kept: that in `stored`, else `made_as`."""
        tx = self.made_as()
        pair = tx.build()
        return pair.through.steps_as() if isinstance(pair, Pair) and pair.through is not None else tx

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """Unpack as the pair: `init, update = tx`."""
        return iter((self.init, self.update))

    def _looked_at(self, extra: Extra) -> Extra:
        """The extra arguments that an eager call must be given, where that is known."""
        return self.inside.asked_of(extra) if extra and outside() else extra

    def _build(self) -> Any:
        pair = super()._build()
        if isinstance(pair, GradientTransformation):
            return pair
        if isinstance(pair, Leafwise):
            return pair.named(self.name)
        if not isinstance(pair, Pair):
            pair = Pair(pair.init, pair.update, theirs=True)
        return pair.fitted(self.name, narrow=is_foreign(self))


def step_of(tx: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: Extra) -> Any:
    """`tx.update(updates, state, params, **extra)` as it is within a trace, and what every update passes once.

    Numbers become arrays, updates are widened as they come and rounded as they go; errors name what `tx` is made as.
    """
    inside = tx.steps_as()
    name, pair = inside.name, inside.build()
    updates = gate.numbers_as_arrays(name, "updates", updates)
    params = gate.numbers_as_arrays(name, "params", params)
    state = gate.numbers_as_arrays(name, "state", state)
    with jax.named_scope(tx.name), border.crossed(updates) as wide:
        new, new_state = pair.update(wide, state, params, **extra)
        return new if wide is updates else border.rounded(new, updates), vary_like(new_state, state)


def inner_step_of(tx: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: Extra) -> Any:
    """`tx.within(updates, state, params, **extra)` as it is within a trace."""
    with jax.named_scope(tx.name):
        updates, new = tx.inside.update(updates, state, params, **extra)
        return updates, vary_like(new, state)


def _update_eagerly(
    remade: Callable[[Any], GradientTransformation], numbers: Any, updates: PyTree, state: Any, params: PyTree,
    extra: Extra,
) -> Any:  # fmt: skip
    """The update as one primitive, as `gradtx.step` is: an eager call is a program of its own."""
    step, operands = partial(step_of, remade(numbers), extra=extra), (updates, state, params)
    if not is_one_pass(operands):
        return step(*operands)
    return as_one_pass(jax.make_jaxpr(step, return_shape=True)(*operands), operands, in_place=False)


@overload
def transformation(body: Callable[P, TransformationLike]) -> Callable[P, GradientTransformation]: ...


@overload
def transformation(
    *, degree: Degree
) -> Callable[[Callable[P, TransformationLike]], Callable[P, GradientTransformation]]: ...


def transformation(body: Any = None, *, degree: Degree = None) -> Any:
    """Turn a function of hyperparameters into a maker of gradient transformations.

    The body returns what `leafwise` or `chain` returns, or any `(init, update)` pair. Arguments that are numbers,
    arrays, schedules or transformations become leaves of the value; all else is static. An annotation such as
    `gradtx.Decay` also gives the range that is checked at construction; `int`, `bool` and `str` mark static ones.

        @gradtx.transformation
        def scale(step_size: gradtx.Real):
            return gradtx.leafwise(lambda g, *, step_size: step_size * g, step_size=step_size)

    Args:
        body: the function.
        degree: what `@gradtx.transformation(degree=1)` declares, for whoever asks what became of a factor such as
            `reduce_on_plateau` in a chain: 1 where the updates are linear in those given, so that it passes; 0 where
            a positive factor cancels, as in Adam; None where that is not known.
    """

    def make(body: Callable[..., TransformationLike]) -> Any:
        made = maker(GradientTransformation, body)
        made.degree = degree
        return made

    return make if body is None else make(body)


InitFunction: TypeAlias = Annotated[Callable[..., Any], IsFunction("(params) -> state", least=1)]
"""The `init` of a pair."""

UpdateFunction: TypeAlias = Annotated[
    Callable[..., Any], IsFunction("(updates, state, params, ...) -> (updates, state)", least=3)
]
"""The `update` of a pair."""


@partial(maker, GradientTransformation, name="GradientTransformation")
def _pair(init: InitFunction, update: UpdateFunction) -> TransformationLike:
    """A transformation of two functions."""
    return Pair(init, update, theirs=True)


@partial(maker, GradientTransformation, name="as_transformation")
def _foreign(pair: TransformationLike) -> TransformationLike:
    """A transformation from another library."""
    return pair


_pair.opaque = _foreign.opaque = True
_PAIR, _FOREIGN = _pair, _foreign  # their names in pickles of the first release


def is_foreign(tx: GradientTransformation) -> bool:
    """Whether `tx` wraps a pair of another library."""
    return tx.maker is _foreign


def keeps_nothing(tx: Any) -> bool:
    """Whether `tx` is a rule of ours without a state."""
    pair = tx.steps_as().build() if isinstance(tx, GradientTransformation) else tx
    return isinstance(pair, Leafwise) and pair.state is EmptyState and not pair.follows_schedule


def takes_examples(tx: GradientTransformation) -> bool:
    """Whether `tx`, or a link of it, takes the gradients of single examples and gives one of the parameters' shape."""
    tx = tx.steps_as()
    links, pair = tx.arguments.get("links"), tx.build()
    if isinstance(links, tuple):
        return any(takes_examples(link) for link in cast("tuple[GradientTransformation, ...]", links))
    return isinstance(pair, Pair) and pair.takes == "examples"


def as_transformation(pair: Any) -> GradientTransformation:
    """A gradient transformation from any object with `init` and `update`, or from a pair of functions.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(pair, GradientTransformation):
        return pair
    if (
        isinstance(pair, TransformationLike)
        and not isinstance(pair, type)
        and callable(pair.init)
        and callable(pair.update)
    ):
        return _foreign(pair)
    if isinstance(pair, tuple) and len(pair) == 2 and all(map(callable, pair)):
        return _pair(*pair)
    raise TypeError(f"wanted a gradient transformation (an object with init and update), got {shown(pair)}")


class IsTransformation(Accept):
    """A gradient transformation, ours or another library's."""

    wanted = "a gradient transformation (an object with init and update)"

    def convert(self, where: str, name: str, x: Any) -> GradientTransformation:
        return as_transformation(x)


Inner: TypeAlias = Annotated[TransformationLike, IsTransformation()]
"""An argument that is a transformation, ours or another library's; inside the body it is ours."""


def ours(inner: TransformationLike) -> GradientTransformation:
    """What an argument that is declared `Inner` is inside a maker's body: made one of ours where it was given."""
    return cast(GradientTransformation, inner)
