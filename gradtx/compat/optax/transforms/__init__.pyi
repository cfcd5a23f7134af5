"""Optax's `transforms`: transformations, and what is made of transformations."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from gradtx.combine.condition import ApplyIfFiniteState as ApplyIfFiniteState
from gradtx.combine.condition import ConditionallyMaskState as ConditionallyMaskState
from gradtx.combine.condition import ConditionallyTransformState as ConditionallyTransformState
from gradtx.combine.masked import MaskedState as MaskedState
from gradtx.combine.partition import PartitionState as PartitionState
from gradtx.compat.optax.base import DTypeOrNone
from gradtx.compat.optax.base import GradientTransformation
from gradtx.compat.optax.base import GradientTransformationExtraArgs
from gradtx.compat.optax.base import Number
from gradtx.compat.optax.combine import chain as chain
from gradtx.compat.optax.combine import freeze as freeze
from gradtx.compat.optax.combine import masked as masked
from gradtx.compat.optax.combine import named_chain as named_chain
from gradtx.compat.optax.combine import partition as partition
from gradtx.compat.optax.combine import selective_transform as selective_transform
from gradtx.compat.optax.states import MonitorState as MonitorState
from gradtx.compat.optax.states import MultiStepsState as MultiStepsState
from gradtx.compat.optax.states import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from gradtx.compat.optax.states import SnapshotState as SnapshotState
from gradtx.compat.optax.transforms.links import add_decayed_weights as add_decayed_weights
from gradtx.compat.optax.transforms.links import add_noise as add_noise
from gradtx.compat.optax.transforms.links import per_example_global_norm_clip as per_example_global_norm_clip
from gradtx.compat.optax.transforms.links import per_example_layer_norm_clip as per_example_layer_norm_clip
from gradtx.compat.optax.transforms.links import unitwise_clip as unitwise_clip
from gradtx.compat.optax.transforms.links import unitwise_norm as unitwise_norm
from gradtx.compat.optax.wrappers import ConditionFn as ConditionFn
from gradtx.compat.optax.wrappers import MultiSteps as MultiSteps
from gradtx.compat.optax.wrappers import measure_with_ema as measure_with_ema
from gradtx.compat.optax.wrappers import monitor as monitor
from gradtx.compat.optax.wrappers import skip_large_updates as skip_large_updates
from gradtx.compat.optax.wrappers import skip_not_finite as skip_not_finite
from gradtx.compat.optax.wrappers import snapshot as snapshot
from gradtx.core.selection import MaskedNode as MaskedNode
from gradtx.core.states import EmptyState
from gradtx.transforms.guards import ZeroNansState as ZeroNansState
from gradtx.transforms.momentum import EmaState as EmaState
from gradtx.transforms.momentum import TraceState as TraceState
from gradtx.transforms.noise import AddNoiseState as AddNoiseState
from typing import Any

NonNegativeParamsState = EmptyState

def adaptive_grad_clip(
    clipping: Number, eps: Number = 0.001, axis: int | tuple[int, ...] | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.adaptive_grad_clip`."""
def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """Leave out gradients that are not finite, until there were too many in a row."""
def clip(max_delta: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip`."""
def clip_by_block_rms(threshold: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_block_rms`."""
def clip_by_global_norm(max_norm: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_global_norm`."""
def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates are zero; as `conditionally_transform`."""
def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates pass through."""
def ema(decay: Number, debias: bool = True, accumulator_dtype: DTypeOrNone = None) -> GradientTransformationExtraArgs:
    """As `gradtx.ema`."""
def flatten(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Run a transformation on one vector of all parameters."""
def keep_params_nonnegative() -> GradientTransformationExtraArgs:
    """As `gradtx.keep_params_nonnegative`."""
def trace(
    decay: Number, nesterov: bool = False, accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_momentum`."""
def zero_nans() -> GradientTransformationExtraArgs:
    """As `gradtx.zero_nans`, whatever state is given."""
