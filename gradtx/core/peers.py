"""What programs written for Optax and Flax may ask of our types; neither library is imported for it.

Optax's combinators hand extra arguments only to instances of `optax.GradientTransformationExtraArgs`, and programs
ask the like of transformations and states. Once a program has imported Optax,

- `Apparent` ones, our transformations, give as their `__class__` a class derived from Optax's; `isinstance` looks
  there when the type itself does not answer. That class is not derived from `tuple`, and only `isinstance` sees it:
  `type`, the registry of pytrees and pickle go by the type;
- our named tuples become subclasses of Optax's of the same name whose fields are theirs, or the first of theirs.

Once it has imported Flax, our values have a state dictionary: their leaves by name.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from gradtx.core.stacks import Packed
from gradtx.core.typing import Numbers
from gradtx.core.values import Value

_OPTAX = ("optax", "optax.contrib", "optax.schedules", "optax.experimental._aggregating")
"""The modules that Optax's public types are in."""


class Related:
    """A class that is no tuple and still becomes a subclass of Optax's of the same name."""


seen_as: dict[str, type] = {}
"""Derived classes of Optax's, by the names of those; empty before Optax is imported."""


class Apparent:
    """One whose instances look to `isinstance` like those of a class of Optax's, too."""

    __slots__ = ()
    optax_name: str = "GradientTransformationExtraArgs"

    @property
    def __class__(self) -> type:
        return seen_as.get(self.optax_name, type(self))


class _ForIsinstance(type):
    """The type of a class that stands in for one of ours where `isinstance` asks."""

    def mro(cls) -> list[type]:
        """As usual, but without `tuple`: code that tells tuples from other things finds ours to be another thing."""
        return [base for base in super().mro() if base is not tuple]


class _Waiting(MetaPathFinder):
    """Leaves the search for a module to the other finders, and does something when the module has been imported."""

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The other finders' answer, for this one module."""
        if fullname != self.name:
            return None
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec: Any = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            self._watch(spec.loader)
        return spec

    def _watch(self, loader: Any) -> None:
        """See the loader run this module once; it may load others too, as that of an archive does, or run it again."""
        run = loader.exec_module
        own = vars(loader).get("exec_module")
        if getattr(own, "waiting", None) is self:
            return

        def exec_module(module: ModuleType) -> None:
            if module.__name__ != self.name:
                return run(module)
            if own is None:
                vars(loader).pop("exec_module", None)
            else:
                loader.exec_module = own
            run(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            return self.then(module)

        vars(exec_module)["waiting"] = self
        loader.exec_module = exec_module


def when_imported(name: str, then: Callable[[ModuleType], None]) -> None:
    """Call `then` with a module now if it is imported, else as soon as it is."""
    if name in sys.modules:
        then(importlib.import_module(name))  # which waits for another thread that is importing it
    else:
        sys.meta_path.insert(0, _Waiting(name, then))


def relate_to_optax(_: ModuleType) -> None:
    """Make our types that exist by now pass for Optax's; those that do already stay as they are."""
    places = [vars(sys.modules[name]) for name in _OPTAX if name in sys.modules]
    for name in ("GradientTransformation", "GradientTransformationExtraArgs", "Aggregator"):
        for place in places:
            if name in place and name not in seen_as:
                seen_as[name] = _ForIsinstance(name, (place[name],), {"__module__": "gradtx"})
    for ours in (*_subclasses(tuple), *_subclasses(Related)):
        theirs = next((place[ours.__name__] for place in places if ours.__name__ in place), None)
        if ours.__module__.startswith("gradtx.") and isinstance(theirs, type) and _fits(ours, theirs):
            ours.__bases__ = (*(base for base in ours.__bases__ if base is not tuple), theirs)


def is_there(name: str) -> bool:
    """Whether there is a module of this name, which is not imported for that."""
    return importlib.util.find_spec(name) is not None


def introduce() -> None:
    """Make the types that exist by now known to Optax and Flax, or see to it that they will be."""
    for name, then in (("optax", relate_to_optax), ("flax.serialization", register_with_flax)):
        if name in sys.modules or not any(isinstance(f, _Waiting) and f.name == name for f in sys.meta_path):
            when_imported(name, then)


def register_with_flax(serialization: Any) -> None:
    """Give our values a state dictionary, so that `flax.serialization.to_bytes` writes their leaves by name.

    What is packed is written as the tree that it stands for.
    """
    if not serialization.is_serializable(Packed):
        to_dict = lambda x: serialization.to_state_dict(x.unpack())
        of_dict = lambda x, state: x.like(serialization.from_state_dict(x.unpack(), state))
        serialization.register_serialization_state(Packed, to_dict, of_dict)
    for kind in _subclasses(Value):
        if not serialization.is_serializable(kind):
            serialization.register_serialization_state(kind, _state_dict, _from_state_dict)


def _state_dict(value: Value) -> Numbers:
    return {name: jax.random.key_data(x) if _is_typed_key(x) else x for name, x in _named_leaves(value)}


def _from_state_dict(value: Value, state: Numbers) -> Value:
    """The value with the leaves of a state dictionary; what is static stays.

    Raises:
        ValueError: the dictionary is of another value.
    """
    wanted = dict(_named_leaves(value))
    if set(wanted) != set(state):
        raise ValueError(f"{value.name}: wanted a state dictionary with {', '.join(wanted)}, got {', '.join(state)}")
    typed = lambda x, data: jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(x))
    leaves = [typed(x, state[name]) if _is_typed_key(x) else state[name] for name, x in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(value), leaves)


def _named_leaves(value: Value) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path).lstrip("."), x) for path, x in jax.tree_util.tree_leaves_with_path(value)]


def _is_typed_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _fits(ours: type, theirs: type) -> bool:
    fields = getattr(theirs, "_fields", ())
    return not issubclass(ours, (theirs, Apparent)) and getattr(ours, "_fields", ())[: len(fields)] == fields


def _subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)
