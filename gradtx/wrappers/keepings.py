"""How parameters of 16 bits are kept: what becomes of the part of a step that is below their spacing."""

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.codecs.blocks import How
from gradtx.core.codecs.coded import seed_of
from gradtx.core.codecs.grid import noise
from gradtx.core.fields import InnerState, RunCount
from gradtx.core.hyperparameters import KeyLike
from gradtx.core.keeping import Bits, KeepingRule, RealDType, keeping
from gradtx.core.precision import is_narrow
from gradtx.core.slots import ExactSlot, NarrowStart, copy, like
from gradtx.core.spacing import moving_as, rounded, spacing, whole, within
from gradtx.core.typing import Array, ArrayLike, DType, PyTree
from gradtx.transforms.noise import start_key
from gradtx.wrappers.evaluation import completed

DTypes = Mapping[str, DType]
"""Of what a rule sees beside the update: the parameter, `p`, and the update as it will be handed out, `given`."""


class StochasticState(NamedTuple):
    """State of `kept` with `stochastic`."""

    inner_state: InnerState  # the optimizer's
    count: RunCount  # steps taken, int32, from which random numbers are made

    def full_params(self, params: PyTree) -> PyTree:
        """The parameters in float32: there is no more of them."""
        return completed("kept", wide, params)


class KahanState(NamedTuple):
    """State of `kept` with `kahan`."""

    inner_state: InnerState  # the optimizer's
    count: RunCount  # steps taken, int32, from which random numbers are made
    compensation: ExactSlot  # what the parameter lacks; () for one of 32 bits

    def full_params(self, params: PyTree) -> PyTree:
        """The parameters with their compensation."""
        full = lambda p, rest: compensated(wide(p), wide(rest), p.dtype)
        return completed("kept", full, params, self.compensation)


class ResidualState(NamedTuple):
    """State of `kept` with `residual`."""

    inner_state: InnerState  # the optimizer's
    count: RunCount  # steps taken, int32, from which random numbers are made
    residual: ExactSlot  # what the parameter lacks, in parts of its spacing: int8 or int16; () for one of 32 bits

    def full_params(self, params: PyTree) -> PyTree:
        """The parameters with their residual."""
        return completed("kept", lambda p, rest: with_residual(wide(p), rest, p.dtype), params, self.residual)


class MasterState(NamedTuple):
    """State of `kept` with `master`."""

    inner_state: InnerState  # the optimizer's
    master: ExactSlot  # the parameter in float32; () for one of 32 bits

    def full_params(self, params: PyTree) -> PyTree:
        """The masters; a parameter that is no longer its master rounded was changed by somebody else, and counts."""
        return completed("kept", lambda p, master: master_of(wide(p), wide(master), p.dtype), params, self.master)


def wide(x: Array) -> Array:
    """A number in the dtype that maths on it runs in."""
    return precision.cast(x, precision.compute_dtype(x.dtype))


def landed(x: Array, p: Array, wanted: Array, dtypes: DTypes, direct: bool) -> tuple[Array, Array]:
    """The update to `wanted`, to which `x` is rounded, as the dtype of updates holds it; and where that leads.

    If it goes there `direct`, it is no update but the new parameter.
    """
    if direct:
        return moving_as(wanted, x), wanted
    step = wanted - p
    if is_narrow(dtypes["given"]):
        step = rounded(step, dtypes["given"])
    return moving_as(step, x - p), rounded(p + step, dtypes["p"])


def uniform(count: Array, p: Array, seed: Any = 0.0) -> Array:
    """Noise in [0, 1) for each number of a parameter, by the step, the place and the number itself."""
    salt = jax.lax.bitcast_convert_type(p, jnp.uint32)
    step = cast(Array, seed_of(count, "kept"))
    return noise(p.shape, step + jnp.asarray(seed, jnp.float32).astype(jnp.uint32), salt)


def of_narrow(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule for parameters of 16 bits, in float32; the others take their updates as they are."""

    @wraps(rule)
    def apply(u: Array, s: Any, p: Array, *, dtypes: DTypes, direct: bool, **named: Any) -> Any:
        if not is_narrow(dtypes["p"]):
            return p + u if direct else u, s
        u, p = precision.cast(u, jnp.float32), precision.cast(p, jnp.float32)
        return rule(u, s, p, dtypes=dtypes, direct=direct, **named)

    return apply


@of_narrow
def stochastic_rule(
    u: Array, s: StochasticState, p: Array, *, seed: ArrayLike, dtypes: DTypes, direct: bool
) -> tuple[Array, StochasticState]:
    """theta <- theta + u, rounded up or down such that it is that on average."""
    x = p + u
    step, _ = landed(x, p, rounded(x, dtypes["p"], uniform(s.count, p, seed)), dtypes, direct)
    return step, s


@of_narrow
def kahan_rule(
    u: Array, s: KahanState, p: Array, *, dtype: Any, rounding: str, dtypes: DTypes, direct: bool
) -> tuple[Array, KahanState]:
    """x <- theta + c + u; theta <- x, rounded; c <- x - theta, rounded."""
    x = compensated(p, s.compensation, dtypes["p"]) + u
    step, new = landed(x, p, rounded(x, dtypes["p"]), dtypes, direct)
    rest, kind = x - new, dtype or dtypes["p"]
    if is_narrow(kind):
        rest = rounded(rest, kind, uniform(s.count, p) if rounding == "stochastic" else None)
    return step, s._replace(compensation=rest)


def compensated(p: Array, compensation: Array, dtype: DType) -> Array:
    """theta + c; where somebody else has changed the parameter, c is held to its spacing."""
    apart = spacing(p, dtype)
    return p + jnp.clip(compensation, -apart, apart)


@of_narrow
def residual_rule(
    u: Array, s: ResidualState, p: Array, *, rounding: str, dtypes: DTypes, direct: bool
) -> tuple[Array, ResidualState]:
    """x <- theta + r + u, in whole parts; theta <- x, rounded; r <- x - theta."""
    x = with_residual(p, s.residual, dtypes["p"]) + u
    apart, parts = spacing(x, dtypes["p"]), parts_of(s.residual)
    x = whole(x / apart * parts, uniform(s.count, p) if rounding == "stochastic" else None)
    nearest = jnp.floor(x / parts + 0.5) * apart  # so that the rest is less than half, as whole numbers of bits are
    nearest = jnp.where(jnp.isfinite(x), within(nearest, dtypes["p"]), x)
    step, new = landed(x / parts * apart, p, nearest, dtypes, direct)
    return step, s._replace(residual=jnp.clip(x - new / apart * parts, -parts / 2, parts / 2 - 1))


def parts_of(residual: Array) -> float:
    """In how many parts a residual divides the spacing of its parameter."""
    return 2.0 ** jnp.iinfo(residual.dtype).bits


def with_residual(p: Array, residual: Array, dtype: DType) -> Array:
    """theta + r, exactly."""
    rest = precision.cast(residual, p.dtype) / parts_of(residual)
    # Below a power of two numbers are half as far apart.
    towards = jnp.where(rest * p < 0, p * (1 - 2.0**-12), p)
    return p + rest * spacing(towards, dtype)


@of_narrow
def master_rule(u: Array, s: MasterState, p: Array, *, dtypes: DTypes, direct: bool) -> tuple[Array, MasterState]:
    """x <- x + u; theta <- x, rounded."""
    x = master_of(p, s.master, dtypes["p"]) + u
    wanted = rounded(x, dtypes["p"])
    step, new = landed(x, p, wanted, dtypes, direct)
    return step, s._replace(master=jnp.where(new == wanted, x, new))


def master_of(p: Array, master: Array, dtype: DType) -> Array:
    """The master, or the parameter where that is another."""
    return jnp.where(rounded(master, dtype) == p, master, p)


@keeping
def stochastic(key: KeyLike = 0) -> KeepingRule:
    """Round parameters of 16 bits up or down at random, such that they are right on average.

        theta <- theta + u, rounded to one of its neighbours, with probability 1 - distance / spacing

    Nothing more is kept. What is random depends on the key, the step, the place and the parameter alone, so that a run
    repeats, resumes and is cut over devices as any.

    Args:
        key: a seed or a random key.

    Source: Gupta et al. 2015, arXiv:1502.02551; Zamirai et al. 2020, arXiv:2010.06192.
    """
    return KeepingRule(stochastic_rule, StochasticState, {"reduce": partial(seeded, key=key)})


def seeded(key: Any) -> dict[str, Array]:
    """A number of 24 bits, which float32 holds, made of a key."""
    words = jax.random.key_data(start_key(key)).reshape(-1)
    return {"seed": (noise((), words[0] ^ words[-1] * jnp.uint32(0x9E3779B1)) * 2.0**24).astype(jnp.float32)}


@keeping
def kahan(dtype: RealDType = None, *, rounding: How = "stochastic") -> KeepingRule:
    """Keep what a parameter of 16 bits lacks in a second number of 16 bits: Kahan's compensated sum.

        x <- theta + c + u
        theta <- x, rounded;  c <- x - theta, rounded

    Args:
        dtype: of c; by default the parameter's.
        rounding: of c: `"nearest"` as in the source, which loses steps below 1/512 of c, or `"stochastic"`, at random
            such that it is right on average.

    State: one number per parameter.

    Source: Zamirai et al. 2020, Algorithm 3, arXiv:2010.06192; differs: c is rounded at random, by default.
    """
    start = NarrowStart(lambda p: like(p, dtype or p.dtype, value=0))
    return KeepingRule(kahan_rule, KahanState, {"dtype": dtype, "rounding": rounding, "compensation": start})


@keeping
def residual(bits: Bits = 8, *, rounding: How = "stochastic") -> KeepingRule:
    """Keep what a parameter of 16 bits lacks as a whole number: the part in 2^bits of its spacing.

        x <- theta + r spacing / 2^bits + u, rounded to that grid
        theta <- x, rounded;  r <- (x - theta) 2^bits / spacing

    A bfloat16 with 16 bits more is a float32, to the last bit; with 8 bits more it has 16 bits of precision.

    Args:
        bits: 8 or 16.
        rounding: of x: `"nearest"`, which loses steps below half a part, or `"stochastic"`, at random such that it is
            right on average.

    State: one whole number of 8 or 16 bits per parameter.

    Source: FlashOptim, arXiv:2602.23349; differs: 2^bits parts in place of 254 or 65,534, so that sums are exact, and
        x is rounded at random, by default.
    """
    dtype = {8: jnp.int8, 16: jnp.int16}[bits]
    start = NarrowStart(lambda p: like(p, dtype, value=0))
    return KeepingRule(residual_rule, ResidualState, {"rounding": rounding, "residual": start})


@keeping
def master() -> KeepingRule:
    """Keep a copy of parameters of 16 bits in float32, which takes the steps: they are that, rounded.

        x <- x + u;  theta <- x, rounded

    A parameter that somebody else has changed counts, and its copy begins there anew.

    State: one number of 32 bits per parameter.

    Source: Micikevicius et al. 2018, arXiv:1710.03740.
    """
    start = NarrowStart(copy())
    return KeepingRule(master_rule, MasterState, {"master": start})
