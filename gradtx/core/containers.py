"""What arguments that hold several things may be: sequences, dictionaries, axes."""

from collections.abc import Mapping
from typing import Any

import jax

from gradtx.core.arguments import Accept, is_whole_number, shown


class SequenceOf(Accept):
    """Every element of a list or tuple is accepted by one `Accept`; a list becomes a tuple."""

    def __init__(self, element: Accept) -> None:
        self.element, self.dynamic = element, element.dynamic
        self.wanted = f"a sequence, each {element.wanted}"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, list | tuple):
            raise self.refusal(where, name, x)
        return tuple(self.element(where, f"{name}[{i}]", y) for i, y in enumerate(x))


class MappingOf(Accept):
    """Every element of a mapping is accepted by one `Accept`; it becomes a dictionary, whose keys JAX can sort."""

    def __init__(self, element: Accept, keys: type = object) -> None:
        self.element, self.keys, self.dynamic = element, keys, element.dynamic
        self.wanted = f"a dictionary{' by name' if keys is str else ''}, each {element.wanted}"

    def convert(self, where: str, name: str, x: Any) -> Any:
        if not isinstance(x, Mapping) or not all(isinstance(key, self.keys) for key in x):
            raise self.refusal(where, name, x)
        found = {key: self.element(where, f"{name}[{shown(key)}]", y) for key, y in x.items()}
        jax.tree.structure(dict.fromkeys(found))  # raises where the keys cannot be sorted
        return found


class IsAxes(Accept):
    """One axis, or several different ones, at least so many; static."""

    dynamic = False
    wanted = "an axis or a sequence of axes"

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def convert(self, where: str, name: str, x: Any) -> int | tuple[int, ...]:
        axes = tuple(x) if isinstance(x, list | tuple) else (x,)
        if len(axes) < self.least or not all(map(is_whole_number, axes)) or len(set(axes)) < len(axes):
            raise self.refusal(where, name, x)
        return tuple(map(int, axes)) if isinstance(x, list | tuple) else int(x)
