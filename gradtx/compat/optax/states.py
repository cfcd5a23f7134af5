"""States with Optax's names and fields: gradtx's own where they agree, else types of the same name."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from gradtx.combine.condition import ApplyIfFiniteState as ApplyIfFiniteState
from gradtx.combine.condition import ConditionallyMaskState as ConditionallyMaskState
from gradtx.combine.condition import ConditionallyTransformState as ConditionallyTransformState
from gradtx.combine.masked import MaskedState as MaskedState
from gradtx.combine.partition import PartitionState as PartitionState
from gradtx.compat.optax.base import Params, Updates
from gradtx.core.leafwise import EmptyState as EmptyState
from gradtx.core.leafwise import ScaleByScheduleState as ScaleByScheduleState
from gradtx.core.selection import MaskedNode as MaskedNode
from gradtx.optimizers.adabelief import ScaleByBeliefState as ScaleByBeliefState
from gradtx.optimizers.adadelta import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from gradtx.optimizers.adafactor import FactoredState as FactoredState
from gradtx.optimizers.adam import ScaleByAdamState as ScaleByAdamState
from gradtx.optimizers.amsgrad import ScaleByAmsgradState as ScaleByAmsgradState
from gradtx.optimizers.dog import ScaleByDistanceOverGradientsState as ScaleByDistanceOverGradientsState
from gradtx.optimizers.novograd import ScaleByNovogradState as ScaleByNovogradState
from gradtx.optimizers.rms import ScaleByRmsState as ScaleByRmsState
from gradtx.optimizers.rms import ScaleByRssState as ScaleByRssState
from gradtx.optimizers.rms import ScaleByRStdDevState as ScaleByRStdDevState
from gradtx.optimizers.rprop import ScaleByRpropState as ScaleByRpropState
from gradtx.optimizers.sign import ScaleByLionState as ScaleByLionState
from gradtx.optimizers.sm3 import ScaleBySM3State as ScaleBySM3State
from gradtx.search.backtracking import ScaleByBacktrackingLinesearchState as ScaleByBacktrackingLinesearchState
from gradtx.search.lbfgs import ScaleByLBFGSState as ScaleByLBFGSState
from gradtx.search.zoom import ScaleByZoomLinesearchState as ScaleByZoomLinesearchState
from gradtx.search.zoom import ZoomLinesearchInfo as ZoomLinesearchInfo
from gradtx.transforms.accumulate import ApplyEvery as ApplyEvery
from gradtx.transforms.guards import ZeroNansState as ZeroNansState
from gradtx.transforms.momentum import EmaState as EmaState
from gradtx.transforms.momentum import TraceState as TraceState
from gradtx.transforms.noise import AddNoiseState as AddNoiseState
from gradtx.wrappers.inject import InjectHyperparamsState as InjectHyperparamsState
from gradtx.wrappers.inject import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState

AdaptiveGradClipState = EmptyState
AddDecayedWeightsState = EmptyState
ClipByGlobalNormState = EmptyState
ClipState = EmptyState
NonNegativeParamsState = EmptyState
NormalizeState = EmptyState
ScaleByTrustRatioState = EmptyState
ScaleState = EmptyState
MultiTransformState = PartitionState


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
