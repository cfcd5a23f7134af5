"""Optax's `transforms`: transformations, and what is made of transformations."""

# Written by `python -m tests.compat.stubs`.

from gradtx.combine.condition import ApplyIfFiniteState as ApplyIfFiniteState
from gradtx.combine.condition import ConditionallyMaskState as ConditionallyMaskState
from gradtx.combine.condition import ConditionallyTransformState as ConditionallyTransformState
from gradtx.combine.masked import MaskedState as MaskedState
from gradtx.combine.partition import PartitionState as PartitionState
from gradtx.compat.optax import adaptive_grad_clip as adaptive_grad_clip
from gradtx.compat.optax import apply_if_finite as apply_if_finite
from gradtx.compat.optax import clip as clip
from gradtx.compat.optax import clip_by_block_rms as clip_by_block_rms
from gradtx.compat.optax import clip_by_global_norm as clip_by_global_norm
from gradtx.compat.optax import conditionally_mask as conditionally_mask
from gradtx.compat.optax import conditionally_transform as conditionally_transform
from gradtx.compat.optax import ema as ema
from gradtx.compat.optax import flatten as flatten
from gradtx.compat.optax import keep_params_nonnegative as keep_params_nonnegative
from gradtx.compat.optax import trace as trace
from gradtx.compat.optax import zero_nans as zero_nans
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

NonNegativeParamsState = EmptyState
