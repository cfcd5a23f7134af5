"""States with Optax's names and fields: gradtx's own where they agree, else types of the same name."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from gradtx.combine.partition import PartitionState
from gradtx.compat.optax.base import Params, Updates
from gradtx.compat.optax.names import show
from gradtx.core.states import EmptyState

__getattr__ = show(
    __name__,
    """
gradtx.combine: condition.ApplyIfFiniteState condition.ConditionallyMaskState condition.ConditionallyTransformState
    masked.MaskedState
gradtx.core: states.ScaleByScheduleState selection.MaskedNode
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


class WeightDecaySchedule(NamedTuple):
    """State of `add_decayed_weights` with a schedule."""

    count: Any


class ScaleByAdanState(NamedTuple):
    """State of `scale_by_adan`."""

    m: Updates
    v: Updates
    n: Updates
    g: Updates
    t: Any


class LookaheadParams(NamedTuple):
    """The two copies of the parameters that `lookahead` works on."""

    fast: Params
    slow: Params

    @classmethod
    def init_synced(cls, params: Params) -> "LookaheadParams":
        """Both copies equal to `params`, in buffers of their own."""
        return cls(fast=params, slow=jax.tree.map(jnp.copy, params))


class LookaheadState(NamedTuple):
    """State of `lookahead`."""

    fast_state: Any
    steps_since_sync: Any


class MultiStepsState(NamedTuple):
    """State of `MultiSteps`."""

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any
    skip_state: Any = ()


class MonitorState(NamedTuple):
    """State of `monitor`."""

    measurements: dict[str, Any]
    measure_states: dict[str, Any]


class SnapshotState(NamedTuple):
    """State of `snapshot`."""

    measurement: dict[str, Any]


class ShouldSkipUpdateFunction(Protocol):
    """What `MultiSteps` asks whether to leave out a gradient."""

    def __call__(self, updates: Updates, gradient_step: Any, params: Params | None) -> tuple[Any, Any]:
        """Return whether to skip, and a state of any structure that says why."""
        ...
