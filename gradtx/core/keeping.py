"""How the parameter is rounded: the values that say so."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeAlias, cast

import jax.numpy as jnp

from gradtx.core.arguments import Accept, IsDType, shown
from gradtx.core.typing import DType
from gradtx.core.values import Value, maker

P = ParamSpec("P")


class KeepingRule(NamedTuple):
    """What a keeping does: a rule on the updates of an optimizer, its state, and how the fields of that start."""

    rule: Callable[..., Any]
    state: type[Any]
    named: dict[str, Any]


class Keeping(Value):
    """How parameters of 16 bits take steps below their spacing: made by `residual` and its like."""

    __slots__ = ()


class IsBits(Accept):
    """8 or 16; static."""

    dynamic = False
    wanted = "8 or 16"

    def convert(self, where: str, name: str, x: Any) -> int:
        if x not in (8, 16):
            raise ValueError(f"{where}: {name} must be {self.wanted}, got {shown(x)}")
        return int(x)


class IsRealDType(IsDType):
    """A floating-point dtype that is not complex, or None; static."""

    def convert(self, where: str, name: str, x: Any) -> Any:
        dtype = super().convert(where, name, x)
        if dtype is not None and jnp.issubdtype(dtype, jnp.complexfloating):
            raise self.refusal(where, name, x)
        return dtype


Bits = Annotated[int, IsBits()]
RealDType = Annotated[DType | None, IsRealDType()]


def keeping(body: Callable[P, KeepingRule]) -> Callable[P, Keeping]:
    """Turn a function that says how parameters are rounded into a maker of `Keeping` values."""
    return cast("Callable[P, Keeping]", maker(Keeping, body))


class IsKeeping(Accept):
    """A `Keeping`."""

    wanted = "a keeping: stochastic(), kahan(), residual() or master()"

    def convert(self, where: str, name: str, x: Any) -> Keeping:
        if not isinstance(x, Keeping):
            raise self.refusal(where, name, x)
        return x


Kept: TypeAlias = Annotated[Keeping, IsKeeping()]
"""How parameters of 16 bits are kept."""
