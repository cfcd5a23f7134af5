"""Switches: settings that are on or off for the code that runs within a block, in its own thread or task only."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Switch:
    """A setting that is off until it is turned; its truth value is how it stands here and now."""

    def __init__(self, name: str) -> None:
        self._on: ContextVar[bool] = ContextVar(name, default=False)

    def __bool__(self) -> bool:
        return self._on.get()

    def turn(self, on: bool = True) -> None:
        """Turn it for what comes after, in this thread or task."""
        self._on.set(on)

    @contextmanager
    def turned(self, on: bool = True) -> Generator[None]:
        """Turn it within a block."""
        token = self._on.set(on)
        try:
            yield
        finally:
            self._on.reset(token)
