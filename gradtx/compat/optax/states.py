"""States with Optax's names and fields: gradtx's own where they agree, else types of the same name."""

# pyright: reportUntypedNamedTuple=false

from collections import namedtuple
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from gradtx.combine.partition import PartitionState
from gradtx.compat.optax.base import Pair, Params, Updates, translated
from gradtx.compat.optax.names import show
from gradtx.compat.optax.remember import remembered
from gradtx.core.states import EmptyState, ScaleByScheduleState
from gradtx.optimizers import adan, ademamix

show(
    __name__,
    """
gradtx.combine: condition.ApplyIfFiniteState condition.ConditionallyMaskState condition.ConditionallyTransformState
    masked.MaskedState
gradtx.core: selection.MaskedNode
gradtx.optimizers: adabelief.ScaleByBeliefState adadelta.ScaleByAdaDeltaState adafactor.FactoredState
    adam.ScaleByAdamState amsgrad.ScaleByAmsgradState dog.ScaleByDistanceOverGradientsState
    novograd.ScaleByNovogradState rms.ScaleByRStdDevState rms.ScaleByRmsState rms.ScaleByRssState
    rprop.ScaleByRpropState sign.ScaleByLionState sm3.ScaleBySM3State
gradtx.search: backtracking.ScaleByBacktrackingLinesearchState lbfgs.ScaleByLBFGSState zoom.ScaleByZoomLinesearchState
    zoom.ZoomLinesearchInfo
gradtx.transforms: accumulate.ApplyEvery guards.ZeroNansState momentum.EmaState momentum.TraceState noise.AddNoiseState
gradtx.wrappers: inject.InjectHyperparamsState inject.InjectStatefulHyperparamsState
""",
)
EMPTY = """AdaptiveGradClipState AddDecayedWeightsState ClipByGlobalNormState ClipState NonNegativeParamsState
    NormalizeState ScaleByTrustRatioState ScaleState"""
globals().update(dict.fromkeys(EMPTY.split(), EmptyState), MultiTransformState=PartitionState)


ScaleByAdanState = namedtuple("ScaleByAdanState", "m v n g t")
ScaleByAdemamixState = namedtuple("ScaleByAdemamixState", "count count_m2 m1 m2 nu")
ScaleBySimplifiedAdEMAMixState = namedtuple("ScaleBySimplifiedAdEMAMixState", "t m n")
WrappedScheduleState = namedtuple("WrappedScheduleState", "count")
WeightDecaySchedule = namedtuple("WeightDecaySchedule", "count")  # of `add_decayed_weights` with a schedule
HutchinsonState = namedtuple("HutchinsonState", "key")
MuonState = namedtuple("MuonState", "count mu ns_coeffs")  # the last of shape (3,) or (steps, 3)
MultiStepsState = namedtuple(
    "MultiStepsState", "mini_step gradient_step inner_opt_state acc_grads skip_state", defaults=[()]
)
LookaheadState = namedtuple("LookaheadState", "fast_state steps_since_sync")
SAMState = namedtuple("SAMState", "steps_since_sync opt_state adv_state cache")
MonitorState = namedtuple("MonitorState", "measurements measure_states")
SnapshotState = namedtuple("SnapshotState", "measurement")
RENAMED = {
    ScaleByAdanState: adan.ScaleByAdanState,
    ScaleBySimplifiedAdEMAMixState: ademamix.ScaleBySimplifiedAdEMAMixState,
    WeightDecaySchedule: ScaleByScheduleState,
}
"""Optax's states that are gradtx's with other names for fields."""


@remembered
def renamed(tx: Pair, state: str) -> Pair:
    """The same with a state of Optax's type, named in `RENAMED`."""
    theirs: Any = globals()[state]
    return translated(tx, lambda own: theirs(*own), lambda given: RENAMED[theirs](*given))


class LookaheadParams(NamedTuple):
    """The two copies of the parameters that `lookahead` works on."""

    fast: Params
    slow: Params

    @classmethod
    def init_synced(cls, params: Params) -> "LookaheadParams":
        """Both copies equal to `params`, in buffers of their own."""
        return cls(fast=params, slow=jax.tree.map(jnp.copy, params))


class ShouldSkipUpdateFunction(Protocol):
    """What `MultiSteps` asks whether to leave out a gradient."""

    def __call__(self, updates: Updates, gradient_step: Any, params: Params | None) -> tuple[Any, Any]:
        """Return whether to skip, and a state of any structure that says why."""
        ...
