"""Switches: settings that are on or off for the code that runs within a block, in its own thread or task only."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_on: ContextVar[frozenset["Switch"]] = ContextVar("on", default=frozenset())


class Switch:
    """A setting that is off until it is turned; its truth value is how it stands here and now.

    Args:
        name: the variable that holds it.
        module: the name of the module of that variable.
    """

    def __init__(self, name: str, module: str) -> None:
        self._name, self.__module__ = name, module

    def __reduce__(self) -> str:
        return self._name  # pickled as the variable of that name in its module

    def __bool__(self) -> bool:
        return self in _on.get()

    def turn(self, on: bool = True) -> None:
        """Turn it for what comes after, in this thread or task."""
        _on.set(_on.get() | {self} if on else _on.get() - {self})

    @contextmanager
    def turned(self, on: bool = True) -> Generator[None]:
        """Turn it within a block."""
        before = bool(self)
        self.turn(on)
        try:
            yield
        finally:
            self.turn(before)


def settings() -> frozenset[Switch]:
    """The switches that are on here and now: what is traced under some settings is not the program for others."""
    return _on.get()
