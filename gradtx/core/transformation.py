"""Gradient transformations: pure `(init, update)` pairs that are also values."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeAlias, cast, overload

import jax

from gradtx.core import checks, gate, precision
from gradtx.core.arguments import Accept, shown
from gradtx.core.degree import Degree
from gradtx.core.eager import at_once, outside
from gradtx.core.functions import IsFunction
from gradtx.core.leafwise import Leafwise
from gradtx.core.one_pass import in_one_pass
from gradtx.core.peers import Apparent
from gradtx.core.states import EmptyState
from gradtx.core.typing import PyTree, TransformationLike
from gradtx.core.values import Maker, Value, maker
from gradtx.core.varying import vary_as_all, vary_like

P = ParamSpec("P")


class Pair(NamedTuple):
    """The plain pair behind a transformation; its update takes extra arguments.

    What else it says of itself is checked before each call, see `core/gate.py`; a pair that says nothing is not.
    """

    init: Callable[..., Any]
    update: Callable[..., Any]
    takes: gate.Takes | None = None  # which leaves
    state: type[Any] | None = None  # the type of its state
    starts: checks.Starts = MappingProxyType({})  # of its fields that are no number, nor a slot like the parameter
    types: Any = None  # of these starts, once they are known
    through: Any = None  # the transformation whose state this is, and whose updates these are
    free: Any = None  # `update`, its updates lying anywhere: for who adds them to the parameters at once


class GradientTransformation(Value, Apparent):
    """A pure pair `init(params) -> state`, `update(updates, state, params) -> (updates, state)`, as a value.

    It unpacks as the pair, and it is a pytree whose leaves are its hyperparameters, so it can be printed, compared,
    hashed, passed to `jax.jit`, stacked by `jax.vmap` and differentiated by `jax.grad`.

    Built by a maker such as `adam`, or from two functions: `GradientTransformation(init, update)`. The functions of
    a pair are static: numbers they close over are not hyperparameters. See `transformation` for those.
    """

    def __new__(cls, init: Callable[..., Any], update: Callable[..., Any]) -> "GradientTransformation":
        """Make a transformation of two functions; `update` may take extra keyword arguments."""
        return _PAIR(init, update)

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
        built = self.build()
        if extra and outside():
            extra = built.asked_of(extra) if isinstance(built, Leafwise) else extra
            if any(map(callable, extra.values())):  # a function to call, likely made for this step alone
                return step_of(self, updates, state, params, extra)
        return at_once(step_of, self, updates, state, params, extra, compiled=_update_eagerly)

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

    def _build(self) -> Any:
        pair = super()._build()
        if isinstance(pair, Leafwise):
            return pair.named(self.name)
        if isinstance(pair, GradientTransformation):
            return pair
        if isinstance(pair, Pair):
            return pair._replace(update=with_extra(pair.update), types={})
        return Pair(pair.init, with_extra(pair.update))


def step_of(tx: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: dict[str, Any]) -> Any:
    """`tx.update(updates, state, params, **extra)` as it is within a trace; errors name what `tx` is made as."""
    scope, tx = tx.name, tx.steps_as()
    pair = tx.build()
    if isinstance(pair, Leafwise) or (isinstance(pair, Pair) and pair.takes):
        updates = gate.numbers_as_arrays(tx.name, "updates", updates)
        params = gate.numbers_as_arrays(tx.name, "params", params)
        if not (isinstance(pair, Pair) and pair.takes == "anything"):
            state = gate.numbers_as_arrays(tx.name, "state", state)
        if isinstance(pair, Pair):
            gate.check_update(tx.name, pair.takes, pair.state, pair.starts, pair.types, updates, state, params)
    with jax.named_scope(scope):
        result = pair.update(updates, state, params, **extra)
        if not isinstance(result, tuple | list) or len(cast("tuple[Any, ...]", result)) != 2:
            raise TypeError(f"{tx.name}: update must give (updates, state), got {shown(result)}")
        updates, new = result
        return updates, vary_like(new, state)


def _update_eagerly(
    tx: GradientTransformation, updates: PyTree, state: Any, params: PyTree, extra: dict[str, Any]
) -> Any:
    """The update as one primitive, as `gradtx.step` is: an eager call is a program of its own."""
    whole = lambda updates, state, params: step_of(tx, updates, state, params, extra)
    return in_one_pass(whole, updates, state, params, in_place=False)


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


def with_extra(update: Callable[..., Any]) -> Callable[..., Any]:
    """`update`, made to accept any extra keyword argument and to see only those that it takes."""
    try:
        parameters = inspect.signature(update).parameters.values()
    except ValueError:  # a function of another language does not tell what it takes: nothing more than it must
        parameters = ()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return update
    taken = {p.name for p in parameters}

    def narrowed(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> Any:
        return update(updates, state, params, **{k: v for k, v in extra.items() if k in taken})

    return narrowed


@dataclass(frozen=True)
class Foreign:
    """Somebody else's pair, held to our promise: updates and state keep their dtypes."""

    pair: TransformationLike

    def init(self, params: PyTree) -> Any:
        """The pair's own `init`."""
        return vary_as_all(self.pair.init(params), params)

    def update(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """The pair's own update, its results cast back to the dtypes they had."""
        new_updates, new_state = with_extra(self.pair.update)(updates, state, params, **extra)
        if jax.tree.structure(new_state) == jax.tree.structure(state):
            new_state = jax.tree.map(_keep_dtype, new_state, state)
        return precision.round_like(new_updates, updates), new_state


def _keep_dtype(x: Any, like: Any) -> Any:
    same = not hasattr(like, "dtype") or not hasattr(x, "dtype") or x.dtype == like.dtype
    return x if same else precision.cast(x, like.dtype)


InitFunction: TypeAlias = Annotated[Callable[..., Any], IsFunction("(params) -> state", least=1)]
"""The `init` of a pair."""

UpdateFunction: TypeAlias = Annotated[
    Callable[..., Any], IsFunction("(updates, state, params, ...) -> (updates, state)", least=3)
]
"""The `update` of a pair."""


def _pair(init: InitFunction, update: UpdateFunction) -> Pair:
    """A transformation of two functions."""
    return Pair(init, update)


def _foreign(pair: TransformationLike) -> Foreign:
    """A transformation from another library."""
    return Foreign(pair)


# Shown by the one name, pickled by the other.
_pair.__name__, _pair.__qualname__ = "GradientTransformation", "_PAIR"
_foreign.__name__, _foreign.__qualname__ = "as_transformation", "_FOREIGN"
_PAIR: Maker = maker(GradientTransformation, _pair)
_FOREIGN: Maker = maker(GradientTransformation, _foreign)
_PAIR.opaque = _FOREIGN.opaque = True


def is_foreign(tx: GradientTransformation) -> bool:
    """Whether `tx` wraps a pair of another library."""
    return tx.maker is _FOREIGN


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
        return _FOREIGN(pair)
    if isinstance(pair, tuple) and len(pair) == 2 and all(map(callable, pair)):
        return _PAIR(*pair)
    raise TypeError(f"wanted a gradient transformation (an object with init and update), got {shown(pair)}")


class IsTransformation(Accept):
    """A gradient transformation, ours or another library's."""

    wanted = "a gradient transformation (an object with init and update)"

    def convert(self, where: str, name: str, x: Any) -> GradientTransformation:
        return as_transformation(x)


Inner: TypeAlias = Annotated[TransformationLike, IsTransformation()]
"""An argument that is a transformation, ours or another library's; inside the body it is ours."""
