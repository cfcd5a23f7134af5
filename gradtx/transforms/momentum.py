"""Momentum: sums and averages of past updates."""

from typing import NamedTuple

from gradtx.core.averages import debias as debiased
from gradtx.core.averages import ema as average
from gradtx.core.fields import Count
from gradtx.core.hyperparameters import Decay, Fraction
from gradtx.core.lifted import lifted
from gradtx.core.slots import Slot
from gradtx.core.typing import Array, ArrayLike


class TraceState(NamedTuple):
    trace: Slot  # decayed sum of updates, v


class EmaState(NamedTuple):
    count: Count  # steps taken, int32
    ema: Slot  # running average of updates, never debiased


def momentum_rule(
    g: Array, s: TraceState, *, decay: ArrayLike, dampening: ArrayLike, nesterov: bool
) -> tuple[Array, TraceState]:
    """v <- decay v + (1 - dampening) g; u = v, or g + decay v."""
    v = decay * s.trace + (1 - dampening) * g
    u = g + decay * v if nesterov else v
    return u, TraceState(trace=v)


def ema_rule(g: Array, s: EmaState, *, decay: ArrayLike, debias: bool) -> tuple[Array, EmaState]:
    """m <- decay m + (1 - decay) g; u = m, or m / (1 - decay^t)."""
    m = average(s.ema, g, decay)
    return debiased(m, decay, s.count) if debias else m, s._replace(ema=m)


@lifted(momentum_rule, TraceState, degree=1)
def scale_by_momentum(decay: Fraction, *, dampening: Fraction = 0.0, nesterov: bool = False):
    """Accumulate updates with heavy-ball or Nesterov momentum.

    Per leaf, from v = 0:

        v <- decay v + (1 - dampening) g
        u <- v, or g + decay v with `nesterov`

    The course's velocity form (v <- alpha v - eta g; theta <- theta + v) is `chain(scale_by_lr(eta),
    scale_by_momentum(alpha))`: it differs from the other order once eta varies. With `dampening=decay` it is the
    averaged form, v <- decay v + (1 - decay) g; see also `ema`.

    Args:
        decay: in [0, 1], the share of v that stays at each step.
        dampening: in [0, 1], the share of each g that does not enter v; PyTorch leaves the first step undampened.

    Source: Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013.
    """


@lifted(ema_rule, EmaState, degree=1)
def ema(decay: Decay, debias: bool = True):
    """Replace updates by their exponential moving average.

    Per leaf, at step t = 1, 2, ...:

        m <- decay m + (1 - decay) g
        u <- m / (1 - decay^t), or m without `debias`

    Args:
        debias: whether to divide by the weight gathered so far.

    State: `EmaState(count, ema)`, one value per parameter; it is never debiased.
    """
