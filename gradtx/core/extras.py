"""Extra arguments of `update`: whoever takes one refuses what it cannot use, by its name; nobody else looks at it."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import precision
from gradtx.core.arguments import shown
from gradtx.core.errors import check_params, describe, is_inexact
from gradtx.core.functions import is_function
from gradtx.core.typing import Extra, PyTree


def with_extra(update: Callable[..., Any]) -> Callable[..., Any]:
    """`update`, made to accept any extra keyword argument and to see only those that it takes."""
    taken = asked_by(update)
    if taken is None:
        return update

    def narrowed(updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> Any:
        return update(updates, state, params, **{k: v for k, v in extra.items() if k in taken})

    return narrowed


def asked_by(update: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the arguments that an update takes; None where it takes any."""
    try:
        parameters = inspect.signature(update).parameters.values()
    except ValueError:  # a function of another language does not tell what it takes: nothing more than it must
        parameters = ()
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else frozenset(p.name for p in parameters)


def with_asked(name: str, function: Callable[..., Any], available: Extra) -> Any:
    """The result of a function with those of the available things that it asks for; `name` is the transformation's.

    Raises:
        TypeError: it needs what is not there, which then is an extra argument of `update`.
        ValueError: it needs `params`, and there are none.
    """
    chosen: Extra = {}
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument in available:
            chosen[argument] = available[argument]
        elif parameter.default is inspect.Parameter.empty:
            raise _missing(name, argument)
        if argument == "params" and parameter.default is inspect.Parameter.empty:
            check_params(name, chosen[argument])
    return function(**chosen)


def one_number(name: str, argument: str, x: Any) -> Any:
    """`x` as a float, of its own dtype if it is an array of one; whole numbers and truth values are numbers too.

    Raises:
        TypeError: it is no number.
        ValueError: it is several.
    """
    if isinstance(x, int | float) and not isinstance(x, np.generic):
        try:
            return float(x)
        except OverflowError:
            raise ValueError(f"{name}: {argument} must be one number that a float holds, got {shown(x)}") from None
    is_array = isinstance(x, jax.Array | np.ndarray | np.generic) and not isinstance(x, np.ma.MaskedArray)
    whole = is_array and (jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == np.bool_)
    if not whole and not (is_array and is_inexact(x) and not jnp.iscomplexobj(x)):
        raise TypeError(f"{name}: {argument} must be one number, got {_told(x)}")
    if x.shape:
        raise ValueError(f"{name}: {argument} must be one number, got {_told(x)}")
    return jnp.asarray(x, jnp.result_type(float)) if whole else x


def given(name: str, argument: str, extra: Extra) -> Any:
    """An extra argument that is needed.

    Raises:
        TypeError: it is missing, or None.
    """
    if extra.get(argument) is None:
        raise _missing(name, argument)
    return extra[argument]


def function(name: str, argument: str, extra: Extra) -> Callable[..., Any]:
    """An extra argument that is needed, and is a function.

    Raises:
        TypeError: it is missing, or no function.
    """
    x = given(name, argument, extra)
    if not is_function(x):
        raise TypeError(f"{name}: {argument} must be a function, got {_told(x)}")
    return x


def wide_function(name: str, argument: str, extra: Extra) -> Callable[..., Any]:
    """The same, of a function of a user's that gives updates: they come in their compute dtypes, as from the border."""
    called = function(name, argument, extra)
    return lambda *args: precision.widen(called(*args))


def _missing(name: str, argument: str) -> TypeError:
    return TypeError(f"{name} needs {argument}: call update(updates, state, params, {argument}=...)")


def _told(x: Any) -> str:
    return describe(x) if isinstance(x, jax.Array | np.ndarray | jax.ShapeDtypeStruct) else shown(x)
