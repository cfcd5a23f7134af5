"""The pair behind a transformation, and the one place where somebody else's is made to fit."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import jax

from gradtx.core import border, checks, gate, precision, restart
from gradtx.core.arguments import shown
from gradtx.core.codecs.coded import is_coded, opened
from gradtx.core.extras import asked_by, with_extra
from gradtx.core.slots import slots_of
from gradtx.core.typing import Extra, PyTree
from gradtx.core.varying import vary_as_all


class Pair(NamedTuple):
    """The plain pair behind a transformation; its update takes extra arguments.

    Updates come and go in their compute dtypes: whoever calls `GradientTransformation.update` has them widened and
    rounded there. What a pair says of itself is checked at each call, see `core/gate.py`.
    """

    init: Callable[..., Any]
    update: Callable[..., Any]
    takes: gate.Takes | None = None  # which leaves
    state: type[Any] | None = None  # the type of its state
    starts: checks.Starts = MappingProxyType({})  # of its fields that are no number, nor a slot like the parameter
    through: Any = None  # the transformation whose state this is, and whose updates these are
    free: Any = None  # `update`, its updates lying anywhere: for who adds them to the parameters at once
    lands: Any = None  # as `update`, with the new parameters in place of updates: for who would add them at once
    theirs: bool = False  # whether its functions are a user's or another library's, or call such
    asked: frozenset[str] | None = None  # the extra arguments that the update looks at; None where it may be any

    def asked_of(self, extra: Extra) -> Extra:
        """Those of the extra arguments of `update` that are looked at."""
        return extra if self.asked is None else {name: x for name, x in extra.items() if name in self.asked}

    def fitted(self, name: str, *, narrow: bool) -> "Pair":
        """What runs: all that the pair says of itself is checked, and what it makes has the dtypes of what it is given.

        Args:
            name: the transformation's, for errors.
            narrow: for somebody else's, whether it sees updates in the dtypes in which they were given, whatever they
                have become in between: another library's code may make its state in these, and expect them.
        """
        asking = self._replace(asked=asked_by(self.update))
        return (held(asking, name, narrow=narrow) if self.theirs else asking)._checked(name)

    def _checked(self, name: str) -> "Pair":
        update = with_extra(self.update)
        if self.state is None and self.takes in (None, "anything"):
            return self._replace(update=update)
        slots = {} if self.state is None else slots_of(self.state)
        types: dict[Any, Any] = {}  # of the starts, once they are known

        def checked(run: Any, updates: PyTree, state: Any, params: PyTree, extra: Extra) -> tuple[PyTree, Any]:
            if self.state is not None:
                checks.check_state(name, self.state, state)
            # As a rule does, it sees slots wide, and they stay as they were kept.
            seen = {k: border.seen(mark, getattr(state, k), updates) for k, mark in slots.items()}
            wide = state._replace(**seen) if slots else state
            gate.check_update(name, self.takes, self.state, self.starts, types, updates, wide, params)
            result, new = run(updates, wide, params, **extra)
            if slots:
                closed = partial(border.closed, count=partial(restart.steps_of, new))
                kept = {k: closed(mark, getattr(new, k), getattr(state, k), name=k) for k, mark in slots.items()}
                new = new._replace(**kept)
            return result, new

        def checking(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
            result, new = checked(update, updates, state, params, extra)
            return border.rounded(result, updates), new

        def landing(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
            return checked(self.lands, updates, state, params, extra)

        return self._replace(update=checking, lands=landing if self.lands else None)


def held(pair: Pair, name: str, *, narrow: bool) -> Pair:
    """Somebody else's pair, held to our promise: updates and state keep their dtypes."""
    update = with_extra(pair.update)

    def init(params: PyTree) -> Any:
        return vary_as_all(pair.init(params), params)

    def kept(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        given = border.as_given(updates) if narrow else updates
        plain = opened(state)
        with border.noted({}) if narrow else nullcontext():
            result = update(given, plain, params, **extra)
        if not isinstance(result, tuple | list) or len(cast("tuple[Any, ...]", result)) != 2:
            raise TypeError(f"{name}: update must give (updates, state), got {shown(result)}")
        new, new_state = result
        if jax.tree.structure(new_state) == jax.tree.structure(plain):
            new_state = jax.tree.map(_keep_dtype, new_state, state)
        return border.rounded(new, updates), new_state

    return pair._replace(init=init, update=kept)


def _keep_dtype(x: Any, like: Any) -> Any:
    if is_coded(like):
        return like.again(x)
    same = not hasattr(like, "dtype") or not hasattr(x, "dtype") or x.dtype == like.dtype
    return x if same else precision.cast(x, like.dtype)
