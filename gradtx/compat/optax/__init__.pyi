"""gradtx under Optax's spelling: `import gradtx.compat.optax as optax` runs a program written for Optax 0.2.8."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from gradtx.combine.condition import ApplyIfFiniteState as ApplyIfFiniteState
from gradtx.combine.condition import ConditionallyMaskState as ConditionallyMaskState
from gradtx.combine.condition import ConditionallyTransformState as ConditionallyTransformState
from gradtx.combine.masked import MaskedState as MaskedState
from gradtx.combine.partition import PartitionState as PartitionState
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
from gradtx.compat.optax.alias import fromage as fromage
from gradtx.compat.optax.alias import optimistic_adam as optimistic_adam
from gradtx.compat.optax.alias import polyak_sgd as polyak_sgd
from gradtx.compat.optax.base import DTypeOrNone
from gradtx.compat.optax.base import GradientTransformation as GradientTransformation
from gradtx.compat.optax.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from gradtx.compat.optax.base import MaskOrFn as MaskOrFn
from gradtx.compat.optax.base import Number
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
from gradtx.compat.optax.combine import freeze as freeze
from gradtx.compat.optax.combine import masked as masked
from gradtx.compat.optax.combine import named_chain as named_chain
from gradtx.compat.optax.combine import partition as partition
from gradtx.compat.optax.combine import selective_transform as selective_transform
from gradtx.compat.optax.inject import WrappedSchedule as WrappedSchedule
from gradtx.compat.optax.inject import inject_hyperparams as inject_hyperparams
from gradtx.compat.optax.linesearch import value_and_grad_from_state as value_and_grad_from_state
from gradtx.compat.optax.losses import convex_kl_divergence as convex_kl_divergence
from gradtx.compat.optax.microbatching import microbatch as microbatch
from gradtx.compat.optax.schedules import constant_schedule as constant_schedule
from gradtx.compat.optax.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from gradtx.compat.optax.schedules import join_schedules as join_schedules
from gradtx.compat.optax.schedules import linear_onecycle_schedule as linear_onecycle_schedule
from gradtx.compat.optax.schedules import sgdr_schedule as sgdr_schedule
from gradtx.compat.optax.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from gradtx.compat.optax.schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from gradtx.compat.optax.states import LookaheadParams as LookaheadParams
from gradtx.compat.optax.states import LookaheadState as LookaheadState
from gradtx.compat.optax.states import MonitorState as MonitorState
from gradtx.compat.optax.states import MultiStepsState as MultiStepsState
from gradtx.compat.optax.states import ScaleByAdanState as ScaleByAdanState
from gradtx.compat.optax.states import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from gradtx.compat.optax.states import SnapshotState as SnapshotState
from gradtx.compat.optax.transforms.directions import scale_by_distance_over_gradients as scale_by_distance_over_gradients
from gradtx.compat.optax.transforms.links import add_decayed_weights as add_decayed_weights
from gradtx.compat.optax.transforms.links import add_noise as add_noise
from gradtx.compat.optax.transforms.links import per_example_global_norm_clip as per_example_global_norm_clip
from gradtx.compat.optax.transforms.links import per_example_layer_norm_clip as per_example_layer_norm_clip
from gradtx.compat.optax.transforms.links import scale_by_learning_rate as scale_by_learning_rate
from gradtx.compat.optax.tree_search import tree_map_params as tree_map_params
from gradtx.compat.optax.tree_utils import tree_bias_correction
from gradtx.compat.optax.tree_utils import tree_update_infinity_moment
from gradtx.compat.optax.tree_utils import tree_update_moment
from gradtx.compat.optax.tree_utils import tree_update_moment_per_elem_norm
from gradtx.compat.optax.update import apply_updates as apply_updates
from gradtx.compat.optax.update import global_norm as global_norm
from gradtx.compat.optax.update import incremental_update as incremental_update
from gradtx.compat.optax.update import periodic_update as periodic_update
from gradtx.compat.optax.wrappers import MultiSteps as MultiSteps
from gradtx.compat.optax.wrappers import measure_with_ema as measure_with_ema
from gradtx.compat.optax.wrappers import monitor as monitor
from gradtx.compat.optax.wrappers import skip_large_updates as skip_large_updates
from gradtx.compat.optax.wrappers import skip_not_finite as skip_not_finite
from gradtx.compat.optax.wrappers import snapshot as snapshot
from gradtx.core.selection import MaskedNode as MaskedNode
from gradtx.core.states import EmptyState as EmptyState
from gradtx.core.states import ScaleByScheduleState as ScaleByScheduleState
from gradtx.linalg.inverse_root import matrix_inverse_pth_root as matrix_inverse_pth_root
from gradtx.linalg.nnls import nnls as nnls
from gradtx.linalg.power_iteration import power_iteration as power_iteration
from gradtx.losses.cross_entropy import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from gradtx.losses.cross_entropy import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from gradtx.losses.cross_entropy import sigmoid_focal_loss as sigmoid_focal_loss
from gradtx.losses.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from gradtx.losses.cross_entropy import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from gradtx.losses.ctc import ctc_loss as ctc_loss
from gradtx.losses.ctc import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from gradtx.losses.divergence import generalized_kl_divergence as generalized_kl_divergence
from gradtx.losses.divergence import kl_divergence as kl_divergence
from gradtx.losses.margin import hinge_loss as hinge_loss
from gradtx.losses.regression import huber_loss as huber_loss
from gradtx.losses.regression import l2_loss as l2_loss
from gradtx.losses.regression import log_cosh as log_cosh
from gradtx.losses.regression import squared_error as squared_error
from gradtx.losses.similarity import cosine_distance as cosine_distance
from gradtx.losses.similarity import cosine_similarity as cosine_similarity
from gradtx.losses.similarity import ntxent as ntxent
from gradtx.losses.smoothing import smooth_labels as smooth_labels
from gradtx.numerics import multi_normal as multi_normal
from gradtx.numerics import safe_increment as safe_increment
from gradtx.numerics import safe_norm as safe_norm
from gradtx.numerics import safe_root_mean_squares as safe_root_mean_squares
from gradtx.numerics import scale_gradient as scale_gradient
from gradtx.optimizers.adabelief import ScaleByBeliefState as ScaleByBeliefState
from gradtx.optimizers.adadelta import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from gradtx.optimizers.adafactor import FactoredState as FactoredState
from gradtx.optimizers.adam import ScaleByAdamState as ScaleByAdamState
from gradtx.optimizers.amsgrad import ScaleByAmsgradState as ScaleByAmsgradState
from gradtx.optimizers.novograd import ScaleByNovogradState as ScaleByNovogradState
from gradtx.optimizers.rms import ScaleByRStdDevState as ScaleByRStdDevState
from gradtx.optimizers.rms import ScaleByRmsState as ScaleByRmsState
from gradtx.optimizers.rms import ScaleByRssState as ScaleByRssState
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
from typing import Any
import jax

AdaptiveGradClipState = EmptyState
AddDecayedWeightsState = EmptyState
ClipByGlobalNormState = EmptyState
ClipState = EmptyState
MultiTransformState = PartitionState
NonNegativeParamsState = EmptyState
ScaleByTrustRatioState = EmptyState
ScaleState = EmptyState
bias_correction = tree_bias_correction
inject_stateful_hyperparams = inject_hyperparams
multi_transform = partition
safe_int32_increment = safe_increment
update_infinity_moment = tree_update_infinity_moment
update_moment = tree_update_moment
update_moment_per_elem_norm = tree_update_moment_per_elem_norm

def adabelief(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16,
    eps_root: Number = 1e-16, *, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """AdaBelief; see `gradtx.adabelief`."""
def adadelta(
    learning_rate: ScalarOrSchedule | None = None, rho: Number = 0.9, eps: Number = 1e-06,
    weight_decay: ScalarOrSchedule = 0.0, weight_decay_mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Adadelta with coupled weight decay; see `gradtx.adadelta`."""
def adafactor(
    learning_rate: ScalarOrSchedule | None = None, min_dim_size_to_factor: int = 128, decay_rate: Number = 0.8,
    decay_offset: Number = 0, multiply_by_parameter_scale: bool = True, clipping_threshold: Number | None = 1.0,
    momentum: Number | None = None, dtype_momentum: DTypeOrNone = ...,
    weight_decay_rate: ScalarOrSchedule | None = None, eps: Number = 1e-30, factored: bool = True,
    weight_decay_mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Adafactor; differs from `gradtx.adafactor`: None is the rate 1, and decay is not multiplied by the rate."""
def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Number = 0.1, eps: Number = 1e-07
) -> GradientTransformationExtraArgs:
    """AdaGrad; see `gradtx.adagrad`."""
def adam(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """Adam; see `gradtx.adam`."""
def adamax(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08
) -> GradientTransformationExtraArgs:
    """Adam in the infinity norm; see `gradtx.adamax`."""
def adamaxw(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08,
    weight_decay: ScalarOrSchedule = 0.0001, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """AdaMax with decoupled weight decay; see `gradtx.adamaxw`."""
def adamw(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, weight_decay: ScalarOrSchedule = 0.0001, mask: MaskOrFn = None, *,
    nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """Adam with decoupled weight decay; see `gradtx.adamw`."""
def adan(
    learning_rate: ScalarOrSchedule, b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-08,
    eps_root: Number = 1e-08, weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Adan; see `gradtx.adan` and, for what Optax computes, `config`."""
def adaptive_grad_clip(
    clipping: Number, eps: Number = 0.001, axis: int | tuple[int, ...] | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.adaptive_grad_clip`."""
def amsgrad(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, bias_correction_mu: bool = True, bias_correction_nu: bool = True
) -> GradientTransformationExtraArgs:
    """Adam with the largest second moment so far; see `gradtx.amsgrad`."""
def apply_every(k: int = 1) -> GradientTransformationExtraArgs:
    """As `gradtx.apply_every`, with a count that starts anew every k steps."""
def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """Leave out gradients that are not finite, until there were too many in a row."""
def centralize() -> GradientTransformationExtraArgs:
    """As `gradtx.centralize`."""
def clip(max_delta: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip`."""
def clip_by_block_rms(threshold: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_block_rms`."""
def clip_by_global_norm(max_norm: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.clip_by_global_norm`."""
def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates are zero."""
def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: Callable[..., Any], forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Run a transformation at some steps; at the others updates pass through."""
def cosine_decay_schedule(
    init_value: Number, decay_steps: int, alpha: Number = 0.0, exponent: Number = 1.0
) -> Schedule:
    """Half a cosine, from a value to a fraction of it; `decay_steps` must be positive."""
def ema(decay: Number, debias: bool = True, accumulator_dtype: DTypeOrNone = None) -> GradientTransformationExtraArgs:
    """As `gradtx.ema`."""
def exponential_decay(
    init_value: Number, transition_steps: int, decay_rate: float, transition_begin: int = 0, staircase: bool = False,
    end_value: Number | None = None
) -> Schedule:
    """A value multiplied by a constant every so many steps; without such steps or such a constant it stays."""
def flatten(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Run a transformation on one vector of all parameters."""
def keep_params_nonnegative() -> GradientTransformationExtraArgs:
    """As `gradtx.keep_params_nonnegative`."""
def lamb(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-06, eps_root: Number = 0.0,
    weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """LAMB; see `gradtx.lamb`."""
def lars(
    learning_rate: ScalarOrSchedule, weight_decay: ScalarOrSchedule = 0.0, weight_decay_mask: MaskOrFn = True,
    trust_coefficient: Number = 0.001, eps: Number = 0.0, trust_ratio_mask: MaskOrFn = True, momentum: Number = 0.9,
    nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """LARS; see `gradtx.lars`."""
def lbfgs(
    learning_rate: ScalarOrSchedule | None = None, memory_size: int = 10, scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = ...
) -> GradientTransformationExtraArgs:
    """L-BFGS; see `gradtx.lbfgs` and `scale_by_lbfgs`."""
def linear_schedule(
    init_value: Number, end_value: Number, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A straight line; arguments as in `polynomial_schedule`."""
def lion(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.99, mu_dtype: DTypeOrNone = None,
    weight_decay: ScalarOrSchedule = 0.001, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """Lion; see `gradtx.lion`."""
def lookahead(
    fast_optimizer: GradientTransformation, sync_period: int, slow_step_size: float, reset_state: bool = False
) -> GradientTransformationExtraArgs:
    """Let an optimizer run ahead, then move a share of the way after it; see `gradtx.lookahead`."""
def nadam(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = True
) -> GradientTransformationExtraArgs:
    """Adam; see `gradtx.adam`."""
def nadamw(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    mu_dtype: DTypeOrNone = None, weight_decay: ScalarOrSchedule = 0.0001, mask: MaskOrFn = None, *,
    nesterov: bool = True
) -> GradientTransformationExtraArgs:
    """Adam with decoupled weight decay; see `gradtx.adamw`."""
def noisy_sgd(
    learning_rate: ScalarOrSchedule, eta: Number = 0.01, gamma: Number = 0.55, key: jax.Array | int | None = None, *,
    seed: int | None = None
) -> GradientTransformationExtraArgs:
    """Gradient descent with noise that fades; see `gradtx.noisy_sgd`."""
def normalize_by_update_norm(scale_factor: Number = 1.0, eps: Number = 1e-06) -> GradientTransformationExtraArgs:
    """As `gradtx.normalize_by_update_norm`."""
def novograd(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.25, eps: Number = 1e-06, eps_root: Number = 0.0,
    weight_decay: Number = 0.0
) -> GradientTransformationExtraArgs:
    """NovoGrad; see `gradtx.novograd`."""
def optimistic_adam_v2(
    learning_rate: ScalarOrSchedule, *, alpha: Number = 1.0, beta: Number = 1.0, b1: Number = 0.9, b2: Number = 0.999,
    eps: Number = 1e-08, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None, nesterov: bool = True
) -> GradientTransformationExtraArgs:
    """Optimistic Adam; see `gradtx.optimistic_adam_v2`."""
def optimistic_gradient_descent(
    learning_rate: ScalarOrSchedule, alpha: Number = 1.0, beta: Number = 1.0
) -> GradientTransformationExtraArgs:
    """Optimistic gradient descent; see `gradtx.optimistic_gradient_descent`."""
def piecewise_constant_schedule(init_value: Number, boundaries_and_scales: dict[int, float] | None = None) -> Schedule:
    """A value that is multiplied by a scale, which is not negative, at some steps."""
def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Number, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """As `piecewise_constant_schedule`, but reaching each new value along a line or half a cosine."""
def polynomial_schedule(
    init_value: Number, end_value: Number, power: Number, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A power of the time left; `init_value` for ever where `transition_steps` is not positive."""
def radam(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0,
    threshold: Number = 5.0, *, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """Rectified Adam; see `gradtx.radam`."""
def rmsprop(
    learning_rate: ScalarOrSchedule, decay: Number = 0.9, eps: Number = 1e-08, initial_scale: Number = 0.0,
    eps_in_sqrt: bool = True, centered: bool = False, momentum: Number | None = None, nesterov: bool = False,
    bias_correction: bool = False
) -> GradientTransformationExtraArgs:
    """RMSProp; see `gradtx.rmsprop`."""
def rprop(
    learning_rate: Number, eta_minus: Number = 0.5, eta_plus: Number = 1.2, min_step_size: Number = 1e-06,
    max_step_size: Number = 50.0
) -> GradientTransformationExtraArgs:
    """Rprop; see `gradtx.rprop` and, for what Optax computes, `config`."""
def scale(step_size: Number) -> GradientTransformationExtraArgs:
    """As `gradtx.scale`."""
def scale_by_adadelta(rho: Number = 0.9, eps: Number = 1e-06) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adadelta`."""
def scale_by_adam(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None, *,
    nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adam`."""
def scale_by_adamax(b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adamax`."""
def scale_by_adan(
    b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-08, eps_root: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adan`; Optax weighs the change of the gradient by 1 - b2 (see `config`)."""
def scale_by_amsgrad(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
    bias_correction_mu: bool = True, bias_correction_nu: bool = True
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_amsgrad`."""
def scale_by_backtracking_linesearch(
    max_backtracking_steps: int, slope_rtol: float = 0.0001, decrease_factor: float = 0.8, increase_factor: float = 1.5,
    max_learning_rate: float = 1.0, atol: float = 0.0, rtol: float = 0.0, store_grad: bool = False,
    verbose: bool = False
) -> GradientTransformationExtraArgs:
    """Scale updates by a step that lets the loss fall enough; `verbose` prints a search that fails."""
def scale_by_belief(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16, eps_root: Number = 1e-16, *, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_belief`."""
def scale_by_factored_rms(
    factored: bool = True, decay_rate: Number = 0.8, step_offset: Number = 0, min_dim_size_to_factor: int = 128,
    epsilon: Number = 1e-30, decay_rate_fn: Callable[[jax.Array, jax.Array | float], jax.Array | float] = ...
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_factored_rms`, with arrays of one zero for what is not kept."""
def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_lbfgs`, keeping every pair."""
def scale_by_lion(
    b1: Number = 0.9, b2: Number = 0.99, mu_dtype: DTypeOrNone = None, *, mode: str = 'hard', smooth_beta: Number = 1.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_lion`; the mode is looked at late."""
def scale_by_novograd(
    b1: Number = 0.9, b2: Number = 0.25, eps: Number = 1e-08, eps_root: Number = 0.0, weight_decay: Number = 0.0,
    mu_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_novograd`."""
def scale_by_optimistic_gradient(alpha: Number = 1.0, beta: Number = 1.0) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_optimistic_gradient`."""
def scale_by_param_block_norm(min_scale: Number = 0.001) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_param_block_norm`."""
def scale_by_param_block_rms(min_scale: Number = 0.001) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_param_block_rms`."""
def scale_by_polyak(
    f_min: Number = 0.0, max_learning_rate: Number = 1.0, eps: Number = 0.0, variant: str = 'sps'
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_polyak`; the variant likewise."""
def scale_by_radam(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08, eps_root: Number = 0.0, threshold: Number = 5.0, *,
    nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_radam`."""
def scale_by_rms(
    decay: Number = 0.9, eps: Number = 1e-08, initial_scale: Number = 0.0, eps_in_sqrt: bool = True,
    bias_correction: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_rms`."""
def scale_by_rprop(
    learning_rate: Number, eta_minus: Number = 0.5, eta_plus: Number = 1.2, min_step_size: Number = 1e-06,
    max_step_size: Number = 50.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_rprop`; Optax makes each step one update late (see `config`)."""
def scale_by_rss(initial_accumulator_value: Number = 0.1, eps: Number = 1e-07) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_rss`."""
def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_schedule`."""
def scale_by_sign() -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_sign`."""
def scale_by_sm3(b1: Number = 0.9, b2: Number = 1.0, eps: Number = 1e-08) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_sm3`, with a list of vectors for each leaf."""
def scale_by_stddev(
    decay: Number = 0.9, eps: Number = 1e-08, initial_scale: Number = 0.0, eps_in_sqrt: bool = True,
    bias_correction: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_rms(centered=True)`."""
def scale_by_trust_ratio(
    min_norm: Number = 0.0, trust_coefficient: Number = 1.0, eps: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_trust_ratio`."""
def scale_by_yogi(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 0.001, eps_root: Number = 0.0,
    initial_accumulator_value: Number = 1e-06
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_yogi`, both averages from one start value."""
def scale_by_zoom_linesearch(
    max_linesearch_steps: int, max_learning_rate: float | None = None, tol: float = 0.0, increase_factor: float = 2.0,
    slope_rtol: float = 0.0001, curv_rtol: float = 0.9, approx_dec_rtol: float | None = 1e-06,
    stepsize_precision: float = 1e-05, initial_guess_strategy: str = 'keep', verbose: bool = False
) -> GradientTransformationExtraArgs:
    """Scale updates by a step that satisfies the strong Wolfe conditions; `verbose` prints a search that fails."""
def sgd(
    learning_rate: ScalarOrSchedule, momentum: Number | None = None, nesterov: bool = False,
    accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Gradient descent, with momentum or without; see `gradtx.sgd`."""
def sign_sgd(learning_rate: ScalarOrSchedule) -> GradientTransformationExtraArgs:
    """Steps along the sign of the gradient; see `gradtx.sign_sgd`."""
def signum(
    learning_rate: ScalarOrSchedule, beta: Number = 0.9, accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Steps along the sign of the average gradient; see `gradtx.signum`."""
def sm3(learning_rate: Number, momentum: Number = 0.9) -> GradientTransformationExtraArgs:
    """SM3; see `gradtx.sm3`."""
def trace(
    decay: Number, nesterov: bool = False, accumulator_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_momentum`."""
def warmup_constant_schedule(init_value: Number, peak_value: Number, warmup_steps: int) -> Schedule:
    """A straight line up, then no change; `init_value` for ever where `warmup_steps` is not positive."""
def yogi(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 0.001
) -> GradientTransformationExtraArgs:
    """Yogi; see `gradtx.yogi`."""
def zero_nans() -> GradientTransformationExtraArgs:
    """As `gradtx.zero_nans`, whatever state is given."""
