"""The catalogue's rows, one file per family, and what a row is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support import Extra


@dataclass(frozen=True)
class Row:
    """A transformation under test.

    tx: an instance whose hyperparameters differ from their defaults where that tests more.
    oracle: float64 NumPy, typed from the source: `(theta, grads, **hyperparameters)` to the updates of each step.
    extra: the extra arguments of `update` it needs: `(params, grads) -> dict`.
    exempt: laws it cannot obey, each with the reason. Keep this rare.
    complex: "pairs" if a complex run equals the run on (real, imaginary) pairs, "modulus" if it works with |g|^2,
        "refused" if complex leaves are an error.
    random: whether its updates depend on a random key (then there is no oracle).
    """

    tx: Any
    oracle: Callable[..., Any] | None = None
    extra: Extra | None = None
    exempt: dict[str, str] = field(default_factory=dict)
    complex: str = "modulus"
    random: bool = False
    label: str = ""

    @property
    def id(self) -> str:
        """The row's name in test reports."""
        return self.tx.name + (f"-{self.label}" if self.label else "")
