"""gradtx under Optax's spelling: `import gradtx.compat.optax as optax` runs a program written for Optax 0.2.8."""

import importlib
import warnings
from typing import Any

from gradtx.compat.optax import assignment as assignment
from gradtx.compat.optax import contrib as contrib
from gradtx.compat.optax import experimental as experimental
from gradtx.compat.optax import losses as losses
from gradtx.compat.optax import microbatching as microbatching
from gradtx.compat.optax import perturbations as perturbations
from gradtx.compat.optax import projections as projections
from gradtx.compat.optax import schedules as schedules
from gradtx.compat.optax import second_order as second_order
from gradtx.compat.optax import transforms as transforms
from gradtx.compat.optax import tree as tree
from gradtx.compat.optax import tree_utils as tree_utils
from gradtx.compat.optax.accumulate import MultiSteps as MultiSteps
from gradtx.compat.optax.accumulate import skip_large_updates as skip_large_updates
from gradtx.compat.optax.accumulate import skip_not_finite as skip_not_finite
from gradtx.compat.optax.alias import adadelta as adadelta
from gradtx.compat.optax.alias import adafactor as adafactor
from gradtx.compat.optax.alias import adagrad as adagrad
from gradtx.compat.optax.alias import fromage as fromage
from gradtx.compat.optax.alias import lars as lars
from gradtx.compat.optax.alias import noisy_sgd as noisy_sgd
from gradtx.compat.optax.alias import optimistic_gradient_descent as optimistic_gradient_descent
from gradtx.compat.optax.alias import polyak_sgd as polyak_sgd
from gradtx.compat.optax.alias import rmsprop as rmsprop
from gradtx.compat.optax.alias import rprop as rprop
from gradtx.compat.optax.alias import sgd as sgd
from gradtx.compat.optax.alias import sign_sgd as sign_sgd
from gradtx.compat.optax.alias import signum as signum
from gradtx.compat.optax.alias import sm3 as sm3
from gradtx.compat.optax.alias_adam import adabelief as adabelief
from gradtx.compat.optax.alias_adam import adam as adam
from gradtx.compat.optax.alias_adam import adamax as adamax
from gradtx.compat.optax.alias_adam import adamaxw as adamaxw
from gradtx.compat.optax.alias_adam import adamw as adamw
from gradtx.compat.optax.alias_adam import adan as adan
from gradtx.compat.optax.alias_adam import amsgrad as amsgrad
from gradtx.compat.optax.alias_adam import lamb as lamb
from gradtx.compat.optax.alias_adam import lion as lion
from gradtx.compat.optax.alias_adam import nadam as nadam
from gradtx.compat.optax.alias_adam import nadamw as nadamw
from gradtx.compat.optax.alias_adam import novograd as novograd
from gradtx.compat.optax.alias_adam import optimistic_adam as optimistic_adam
from gradtx.compat.optax.alias_adam import optimistic_adam_v2 as optimistic_adam_v2
from gradtx.compat.optax.alias_adam import radam as radam
from gradtx.compat.optax.alias_adam import yogi as yogi
from gradtx.compat.optax.alias_lbfgs import lbfgs as lbfgs
from gradtx.compat.optax.base import EmptyState as EmptyState
from gradtx.compat.optax.base import GradientTransformation as GradientTransformation
from gradtx.compat.optax.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from gradtx.compat.optax.base import MaskOrFn as MaskOrFn
from gradtx.compat.optax.base import OptState as OptState
from gradtx.compat.optax.base import Params as Params
from gradtx.compat.optax.base import ScalarOrSchedule as ScalarOrSchedule
from gradtx.compat.optax.base import Schedule as Schedule
from gradtx.compat.optax.base import TransformInitFn as TransformInitFn
from gradtx.compat.optax.base import TransformUpdateExtraArgsFn as TransformUpdateExtraArgsFn
from gradtx.compat.optax.base import TransformUpdateFn as TransformUpdateFn
from gradtx.compat.optax.base import Updates as Updates
from gradtx.compat.optax.base import identity as identity
from gradtx.compat.optax.base import init_empty_state as init_empty_state
from gradtx.compat.optax.base import set_to_zero as set_to_zero
from gradtx.compat.optax.base import stateless as stateless
from gradtx.compat.optax.base import stateless_with_tree_map as stateless_with_tree_map
from gradtx.compat.optax.base import with_extra_args_support as with_extra_args_support
from gradtx.compat.optax.combine import chain as chain
from gradtx.compat.optax.combine import flatten as flatten
from gradtx.compat.optax.combine import freeze as freeze
from gradtx.compat.optax.combine import masked as masked
from gradtx.compat.optax.combine import multi_transform as multi_transform
from gradtx.compat.optax.combine import named_chain as named_chain
from gradtx.compat.optax.combine import partition as partition
from gradtx.compat.optax.combine import selective_transform as selective_transform
from gradtx.compat.optax.condition import apply_if_finite as apply_if_finite
from gradtx.compat.optax.condition import conditionally_mask as conditionally_mask
from gradtx.compat.optax.condition import conditionally_transform as conditionally_transform
from gradtx.compat.optax.inject import inject_hyperparams as inject_hyperparams
from gradtx.compat.optax.inject import inject_stateful_hyperparams as inject_stateful_hyperparams
from gradtx.compat.optax.linesearch import scale_by_backtracking_linesearch as scale_by_backtracking_linesearch
from gradtx.compat.optax.linesearch import scale_by_zoom_linesearch as scale_by_zoom_linesearch
from gradtx.compat.optax.linesearch import value_and_grad_from_state as value_and_grad_from_state
from gradtx.compat.optax.lookahead import lookahead as lookahead
from gradtx.compat.optax.losses import convex_kl_divergence as convex_kl_divergence
from gradtx.compat.optax.losses import cosine_distance as cosine_distance
from gradtx.compat.optax.losses import cosine_similarity as cosine_similarity
from gradtx.compat.optax.losses import ctc_loss as ctc_loss
from gradtx.compat.optax.losses import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from gradtx.compat.optax.losses import generalized_kl_divergence as generalized_kl_divergence
from gradtx.compat.optax.losses import hinge_loss as hinge_loss
from gradtx.compat.optax.losses import huber_loss as huber_loss
from gradtx.compat.optax.losses import kl_divergence as kl_divergence
from gradtx.compat.optax.losses import l2_loss as l2_loss
from gradtx.compat.optax.losses import log_cosh as log_cosh
from gradtx.compat.optax.losses import ntxent as ntxent
from gradtx.compat.optax.losses import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from gradtx.compat.optax.losses import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from gradtx.compat.optax.losses import sigmoid_focal_loss as sigmoid_focal_loss
from gradtx.compat.optax.losses import smooth_labels as smooth_labels
from gradtx.compat.optax.losses import softmax_cross_entropy as softmax_cross_entropy
from gradtx.compat.optax.losses import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from gradtx.compat.optax.losses import squared_error as squared_error
from gradtx.compat.optax.microbatching import microbatch as microbatch
from gradtx.compat.optax.monitor import measure_with_ema as measure_with_ema
from gradtx.compat.optax.monitor import monitor as monitor
from gradtx.compat.optax.monitor import snapshot as snapshot
from gradtx.compat.optax.numerics import global_norm as global_norm
from gradtx.compat.optax.numerics import matrix_inverse_pth_root as matrix_inverse_pth_root
from gradtx.compat.optax.numerics import multi_normal as multi_normal
from gradtx.compat.optax.numerics import nnls as nnls
from gradtx.compat.optax.numerics import power_iteration as power_iteration
from gradtx.compat.optax.numerics import safe_increment as safe_increment
from gradtx.compat.optax.numerics import safe_int32_increment as safe_int32_increment
from gradtx.compat.optax.numerics import safe_norm as safe_norm
from gradtx.compat.optax.numerics import safe_root_mean_squares as safe_root_mean_squares
from gradtx.compat.optax.numerics import scale_gradient as scale_gradient
from gradtx.compat.optax.schedules import WrappedSchedule as WrappedSchedule
from gradtx.compat.optax.schedules import constant_schedule as constant_schedule
from gradtx.compat.optax.schedules import cosine_decay_schedule as cosine_decay_schedule
from gradtx.compat.optax.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from gradtx.compat.optax.schedules import exponential_decay as exponential_decay
from gradtx.compat.optax.schedules import join_schedules as join_schedules
from gradtx.compat.optax.schedules import linear_onecycle_schedule as linear_onecycle_schedule
from gradtx.compat.optax.schedules import linear_schedule as linear_schedule
from gradtx.compat.optax.schedules import piecewise_constant_schedule as piecewise_constant_schedule
from gradtx.compat.optax.schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from gradtx.compat.optax.schedules import polynomial_schedule as polynomial_schedule
from gradtx.compat.optax.schedules import sgdr_schedule as sgdr_schedule
from gradtx.compat.optax.schedules import warmup_constant_schedule as warmup_constant_schedule
from gradtx.compat.optax.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from gradtx.compat.optax.schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from gradtx.compat.optax.states import AdaptiveGradClipState as AdaptiveGradClipState
from gradtx.compat.optax.states import AddDecayedWeightsState as AddDecayedWeightsState
from gradtx.compat.optax.states import AddNoiseState as AddNoiseState
from gradtx.compat.optax.states import ApplyEvery as ApplyEvery
from gradtx.compat.optax.states import ApplyIfFiniteState as ApplyIfFiniteState
from gradtx.compat.optax.states import ClipByGlobalNormState as ClipByGlobalNormState
from gradtx.compat.optax.states import ClipState as ClipState
from gradtx.compat.optax.states import ConditionallyMaskState as ConditionallyMaskState
from gradtx.compat.optax.states import ConditionallyTransformState as ConditionallyTransformState
from gradtx.compat.optax.states import EmaState as EmaState
from gradtx.compat.optax.states import FactoredState as FactoredState
from gradtx.compat.optax.states import InjectHyperparamsState as InjectHyperparamsState
from gradtx.compat.optax.states import InjectStatefulHyperparamsState as InjectStatefulHyperparamsState
from gradtx.compat.optax.states import LookaheadParams as LookaheadParams
from gradtx.compat.optax.states import LookaheadState as LookaheadState
from gradtx.compat.optax.states import MaskedNode as MaskedNode
from gradtx.compat.optax.states import MaskedState as MaskedState
from gradtx.compat.optax.states import MonitorState as MonitorState
from gradtx.compat.optax.states import MultiStepsState as MultiStepsState
from gradtx.compat.optax.states import MultiTransformState as MultiTransformState
from gradtx.compat.optax.states import NonNegativeParamsState as NonNegativeParamsState
from gradtx.compat.optax.states import PartitionState as PartitionState
from gradtx.compat.optax.states import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from gradtx.compat.optax.states import ScaleByAdamState as ScaleByAdamState
from gradtx.compat.optax.states import ScaleByAdanState as ScaleByAdanState
from gradtx.compat.optax.states import ScaleByAmsgradState as ScaleByAmsgradState
from gradtx.compat.optax.states import ScaleByBacktrackingLinesearchState as ScaleByBacktrackingLinesearchState
from gradtx.compat.optax.states import ScaleByBeliefState as ScaleByBeliefState
from gradtx.compat.optax.states import ScaleByLBFGSState as ScaleByLBFGSState
from gradtx.compat.optax.states import ScaleByLionState as ScaleByLionState
from gradtx.compat.optax.states import ScaleByNovogradState as ScaleByNovogradState
from gradtx.compat.optax.states import ScaleByRmsState as ScaleByRmsState
from gradtx.compat.optax.states import ScaleByRpropState as ScaleByRpropState
from gradtx.compat.optax.states import ScaleByRssState as ScaleByRssState
from gradtx.compat.optax.states import ScaleByRStdDevState as ScaleByRStdDevState
from gradtx.compat.optax.states import ScaleByScheduleState as ScaleByScheduleState
from gradtx.compat.optax.states import ScaleBySM3State as ScaleBySM3State
from gradtx.compat.optax.states import ScaleByTrustRatioState as ScaleByTrustRatioState
from gradtx.compat.optax.states import ScaleByZoomLinesearchState as ScaleByZoomLinesearchState
from gradtx.compat.optax.states import ScaleState as ScaleState
from gradtx.compat.optax.states import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from gradtx.compat.optax.states import SnapshotState as SnapshotState
from gradtx.compat.optax.states import TraceState as TraceState
from gradtx.compat.optax.states import ZeroNansState as ZeroNansState
from gradtx.compat.optax.states import ZoomLinesearchInfo as ZoomLinesearchInfo
from gradtx.compat.optax.transforms.accumulation import apply_every as apply_every
from gradtx.compat.optax.transforms.accumulation import ema as ema
from gradtx.compat.optax.transforms.accumulation import trace as trace
from gradtx.compat.optax.transforms.adding import add_decayed_weights as add_decayed_weights
from gradtx.compat.optax.transforms.adding import add_noise as add_noise
from gradtx.compat.optax.transforms.clipping import adaptive_grad_clip as adaptive_grad_clip
from gradtx.compat.optax.transforms.clipping import clip as clip
from gradtx.compat.optax.transforms.clipping import clip_by_block_rms as clip_by_block_rms
from gradtx.compat.optax.transforms.clipping import clip_by_global_norm as clip_by_global_norm
from gradtx.compat.optax.transforms.clipping import per_example_global_norm_clip as per_example_global_norm_clip
from gradtx.compat.optax.transforms.clipping import per_example_layer_norm_clip as per_example_layer_norm_clip
from gradtx.compat.optax.transforms.constraining import keep_params_nonnegative as keep_params_nonnegative
from gradtx.compat.optax.transforms.constraining import zero_nans as zero_nans
from gradtx.compat.optax.transforms.moments import scale_by_adam as scale_by_adam
from gradtx.compat.optax.transforms.moments import scale_by_adamax as scale_by_adamax
from gradtx.compat.optax.transforms.moments import scale_by_adan as scale_by_adan
from gradtx.compat.optax.transforms.moments import scale_by_amsgrad as scale_by_amsgrad
from gradtx.compat.optax.transforms.moments import scale_by_belief as scale_by_belief
from gradtx.compat.optax.transforms.moments import scale_by_lion as scale_by_lion
from gradtx.compat.optax.transforms.moments import scale_by_novograd as scale_by_novograd
from gradtx.compat.optax.transforms.moments import scale_by_radam as scale_by_radam
from gradtx.compat.optax.transforms.moments import scale_by_yogi as scale_by_yogi
from gradtx.compat.optax.transforms.scaling import centralize as centralize
from gradtx.compat.optax.transforms.scaling import normalize_by_update_norm as normalize_by_update_norm
from gradtx.compat.optax.transforms.scaling import scale as scale
from gradtx.compat.optax.transforms.scaling import scale_by_distance_over_gradients as scale_by_distance_over_gradients
from gradtx.compat.optax.transforms.scaling import scale_by_lbfgs as scale_by_lbfgs
from gradtx.compat.optax.transforms.scaling import scale_by_learning_rate as scale_by_learning_rate
from gradtx.compat.optax.transforms.scaling import scale_by_optimistic_gradient as scale_by_optimistic_gradient
from gradtx.compat.optax.transforms.scaling import scale_by_param_block_norm as scale_by_param_block_norm
from gradtx.compat.optax.transforms.scaling import scale_by_param_block_rms as scale_by_param_block_rms
from gradtx.compat.optax.transforms.scaling import scale_by_polyak as scale_by_polyak
from gradtx.compat.optax.transforms.scaling import scale_by_schedule as scale_by_schedule
from gradtx.compat.optax.transforms.scaling import scale_by_trust_ratio as scale_by_trust_ratio
from gradtx.compat.optax.transforms.squares import scale_by_adadelta as scale_by_adadelta
from gradtx.compat.optax.transforms.squares import scale_by_factored_rms as scale_by_factored_rms
from gradtx.compat.optax.transforms.squares import scale_by_rms as scale_by_rms
from gradtx.compat.optax.transforms.squares import scale_by_rprop as scale_by_rprop
from gradtx.compat.optax.transforms.squares import scale_by_rss as scale_by_rss
from gradtx.compat.optax.transforms.squares import scale_by_sign as scale_by_sign
from gradtx.compat.optax.transforms.squares import scale_by_sm3 as scale_by_sm3
from gradtx.compat.optax.transforms.squares import scale_by_stddev as scale_by_stddev
from gradtx.compat.optax.update import apply_updates as apply_updates
from gradtx.compat.optax.update import incremental_update as incremental_update
from gradtx.compat.optax.update import periodic_update as periodic_update
from gradtx.core.peers import introduce as _introduce

__version__ = "0.2.8"
"""The version of Optax whose programs run."""

bias_correction = tree_utils.tree_bias_correction
tree_map_params = tree_utils.tree_map_params
update_infinity_moment = tree_utils.tree_update_infinity_moment
update_moment = tree_utils.tree_update_moment
update_moment_per_elem_norm = tree_utils.tree_update_moment_per_elem_norm

importlib.import_module(f"{__name__}._src")  # it has aliases of all names here
_introduce()

_MOVED = ("DifferentiallyPrivateAggregateState", "differentially_private_aggregate", "dpsgd")


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        warnings.warn(f"optax.{name} is deprecated, use optax.contrib.{name}", DeprecationWarning, stacklevel=2)
        return getattr(contrib, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
