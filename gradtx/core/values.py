"""Values: pytrees of hyperparameters that print, compare and hash as the call that built them."""

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, Self, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.arguments import AS_GIVEN
from gradtx.core.cure import cure
from gradtx.core.docstring import completed, state_named, tell_whose
from gradtx.core.frozen import Frozen, fingerprint, traced
from gradtx.core.parameters import Parameter, parameters_of
from gradtx.core.typing import Arguments

T = TypeVar("T")
_set = object.__setattr__


class Maker:
    """What a decorator such as `@transformation` returns: a function of hyperparameters that makes a value of them."""

    opaque = False
    """Whether its values hold code that only runs as it stands: what others wrote may look at numbers."""

    serves_as_function = False
    """Where an argument is to be a function, a maker is one only by mistake."""

    degree: Any = None
    """How updates of its transformations follow the scale of what they are made of, see `core/degree.py`."""

    def __init__(
        self, kind: type["Value"], body: Callable[..., Any], parameters: dict[str, Parameter], name: str | None = None
    ) -> None:
        self.kind, self.body, self.parameters = kind, body, parameters
        self.__name__, self.__qualname__ = name or body.__name__, body.__qualname__
        self.__module__, self.__doc__ = body.__module__, completed(body.__doc__, parameters)
        tell_whose(getattr(body, "__globals__", {}).get(state_named(self.__doc__)), self.__name__)
        self.__signature__ = inspect.Signature([p.inspected for p in parameters.values()])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = self.kind.make(self, _bind(self, args, kwargs))
        value.build(checked=True)
        return value

    def as_given(self, *args: Any, **kwargs: Any) -> Any:
        """The value of a call whose numbers may be of any range, and whose functions are not tried."""
        with AS_GIVEN.turned():
            return self(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} maker {self.__name__}>"

    def __reduce__(self) -> str:
        return self.__qualname__


def maker(kind: type["Value"], body: Callable[..., Any], called_with: int = 0, *, name: str | None = None) -> Maker:
    """Turn `body`, whose first `called_with` arguments come later, at each call, into a maker of values of `kind`.

    It is shown by its `name`, if that is given, and found by pickle by the function's.
    """
    return Maker(kind, body, parameters_of(body, called_with), name)


def _bind(make: Maker, args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
    try:
        bound = make.__signature__.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{make.__name__}: {error}{cure(make, args, kwargs)}") from None
    bound.apply_defaults()  # also the empty tuple or dictionary of a variadic parameter
    return {name: make.parameters[name].accept(make.__name__, argument) for name, argument in bound.arguments.items()}


class Value:
    """An immutable pytree: its leaves are hyperparameters, everything else about it is static and hashable.

    Leaves are named by path (`links[0].b1`). Two values are equal when the same maker was called with equal
    arguments; `repr` is that call. An argument is also an attribute: `gradtx.adam(1e-3).b1`.
    """

    __slots__ = ("_built", "_dynamic", "_maker", "_remembered", "_static")
    serves_as_function = False
    _built: Any
    _dynamic: Arguments
    _maker: Maker
    _remembered: Any
    _static: dict[str, Frozen]

    def __init_subclass__(cls) -> None:
        jax.tree_util.register_pytree_with_keys(cls, cls._flatten_with_keys, cls._unflatten, flatten_func=cls._flatten)

    @classmethod
    def make(cls, make: Maker, arguments: Arguments) -> Self:
        """The value of one call of a maker, its arguments checked already."""
        dynamic = {name: argument for name, argument in arguments.items() if make.parameters[name].is_dynamic(argument)}
        static = {name: Frozen(argument) for name, argument in arguments.items() if name not in dynamic}
        return cls._assemble(make, dynamic, static)

    @classmethod
    def restore(cls, make: Maker, dynamic: Arguments, static: Arguments) -> Self:
        """A value of given leaves, whatever they are, as `jax.tree.map` makes it."""
        return cls._assemble(make, dynamic, {name: Frozen(argument) for name, argument in static.items()})

    @classmethod
    def _assemble(cls, make: Maker, dynamic: Arguments, static: dict[str, Frozen]) -> Self:
        self = object.__new__(cls)
        _set(self, "_maker", make)
        _set(self, "_dynamic", dynamic)
        _set(self, "_static", static)
        _set(self, "_built", None)
        _set(self, "_remembered", None)
        return self

    def build(self, *, checked: bool = False) -> Any:
        """What the maker's body returns for these arguments, computed once; only a call has it check them."""
        if self._built is None:
            with nullcontext() if checked else AS_GIVEN.turned():
                _set(self, "_built", self._build())
        return self._built

    def remember(self, ask: Callable[[Self], T], *, anew: bool = False) -> T:
        """What `ask` says of this value, which is asked once, or `anew`; there is one such question."""
        if anew or self._remembered is None:
            _set(self, "_remembered", (ask(self),))
        return cast(tuple[T], self._remembered)[0]

    def _build(self) -> Any:
        args, kwargs = split_arguments(self._maker, self.arguments)
        return self._maker.body(*args, **kwargs)

    @property
    def arguments(self) -> Arguments:
        """The arguments of the call that makes this value, in the order of the signature."""
        static = {name: frozen.value for name, frozen in self._static.items()}
        given = self._dynamic | static
        return {name: given[name] for name in self._maker.parameters}

    @property
    def name(self) -> str:
        """The maker's name: `adam`."""
        return self._maker.__name__

    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots that a state of it has: none, but for transformations."""
        return ()

    def with_arguments(self, changes: Arguments) -> Self:
        """The value that the same maker builds with some arguments changed, validated anew."""
        args, kwargs = split_arguments(self._maker, self.arguments | changes)
        return self._maker(*args, **kwargs)

    @property
    def maker(self) -> Maker:
        """What made this value."""
        return self._maker

    @property
    def dynamic(self) -> frozenset[str]:
        """The names of the arguments that are leaves, or trees of leaves, of this value."""
        return frozenset(self._dynamic)

    # As a pytree.

    def _flatten(self) -> tuple[tuple[Any, ...], Any]:
        return tuple(self._dynamic.values()), (self._maker, tuple(self._dynamic), tuple(self._static.items()))

    def _flatten_with_keys(self) -> tuple[tuple[Any, ...], Any]:
        children, aux = self._flatten()
        keys = (jax.tree_util.GetAttrKey(name) for name in self._dynamic)
        return tuple(zip(keys, children, strict=True)), aux

    @classmethod
    def _unflatten(cls, aux: Any, children: Iterable[Any]) -> Self:
        make, names, static = aux
        return cls._assemble(make, dict(zip(names, children, strict=True)), dict(static))

    # As a value.

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self._dynamic:
                return self._dynamic[name]
            if name in self._static:
                return self._static[name].value
        raise AttributeError(f"{type(self).__name__} {self._maker.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self.name} is immutable: make another value with gradtx.replace(tx, {name}=...)")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        (mine, treedef), (theirs, other_treedef) = jax.tree.flatten(self), jax.tree.flatten(other)
        return treedef == other_treedef and all(
            a is b or (not traced(a, b) and fingerprint(a) == fingerprint(b)) for a, b in zip(mine, theirs, strict=True)
        )

    def __hash__(self) -> int:
        leaves, treedef = jax.tree.flatten(self)
        return hash((treedef, tuple(fingerprint(leaf) for leaf in leaves)))

    def __repr__(self) -> str:
        shown: list[str] = []
        for name, argument in self.arguments.items():
            parameter = self._maker.parameters[name]
            if parameter.variadic:
                shown.extend(show(a) for a in argument)
            elif parameter.named_variadic:
                shown.extend(f"{key}={show(a)}" for key, a in argument.items())
            elif not (parameter.keyword_only and parameter.is_default(argument) and not self._leaves_of(name)):
                shown.append(show(argument) if parameter.positional_only else f"{name}={show(argument)}")
        return f"{self.name}({', '.join(shown)})"

    def _leaves_of(self, name: str) -> list[Any]:
        """The hyperparameters in one argument: those act at their default, too."""
        return jax.tree.leaves(self._dynamic.get(name))

    # Copies: a value that a call could have made is copied as that call, which is checked where it is made again. Any
    # other tree of its kind, such as a gradient, whose leaves have any sign, is copied as a tree, and is not checked.

    def __reduce__(self) -> tuple[Any, ...]:
        if self._could_be_made():
            return _remake, (type(self), self._maker, self.arguments)
        static = {name: frozen.value for name, frozen in self._static.items()}
        return _restore, (type(self), self._maker, self._dynamic, static)

    def _could_be_made(self) -> bool:
        try:
            return bool(_remake(type(self), self._maker, self.arguments) == self)
        except (TypeError, ValueError):
            return False

    def __copy__(self) -> Self:
        return self  # nothing of it can be changed

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        leaves, treedef = jax.tree.flatten(self)
        return treedef.unflatten([copy.deepcopy(leaf, memo) for leaf in leaves])


def _remake(kind: type[Value], make: Maker, arguments: Arguments) -> Value:
    """A value from a pickle of the call that makes it: every argument is checked as in that call."""
    checked = {name: make.parameters[name].accept(make.__name__, argument) for name, argument in arguments.items()}
    return kind.make(make, checked)


def _restore(kind: type[Value], make: Maker, dynamic: Arguments, static: Arguments) -> Value:
    """A tree of a value's kind from a pickle, with whatever leaves it has: a gradient with respect to a value."""
    return kind.restore(make, dynamic, static)


def split_arguments(make: Maker, arguments: Arguments) -> tuple[list[Any], Arguments]:
    """Arguments by name as positional and keyword arguments of the body."""
    args: list[Any] = []
    kwargs: Arguments = {}
    for name, argument in arguments.items():
        parameter = make.parameters[name]
        if parameter.variadic:
            args.extend(argument)
        elif parameter.named_variadic:
            kwargs.update(argument)
        elif parameter.keyword_only:
            kwargs[name] = argument
        else:
            args.append(argument)
    return args, kwargs


def show(x: Any) -> str:
    """A static argument or hyperparameter as source that evaluates to it, given `jax`, `jnp` and `gradtx`'s names."""
    if isinstance(x, dict):
        items: Iterator[str] = (f"{show(k)}: {show(v)}" for k, v in x.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(x, list):
        return f"[{', '.join(map(show, x))}]"
    if type(x) is tuple:
        return f"({', '.join(map(show, x))}{',' * (len(x) == 1)})"
    if isinstance(x, float) and not np.isfinite(x):
        return f"float('{float(x)}')"
    if isinstance(x, np.dtype):
        return repr(x.name)
    if traced(x):
        return f"<{jax.typeof(x)}>"
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        impl = str(jax.random.key_impl(x))
        named = f", impl={impl!r}" if impl != cast(Any, jax.config).jax_default_prng_impl else ""
        return f"jax.random.wrap_key_data({show(jax.random.key_data(x))}{named})"
    if isinstance(x, jax.Array | np.ndarray | np.generic) and not isinstance(x, float):
        x = np.asarray(x)
        return f"jnp.array({x.tolist()}, dtype={x.dtype.name!r})"
    if callable(x) and not isinstance(x, Value) and hasattr(x, "__name__"):
        return x.__name__
    return repr(x)
