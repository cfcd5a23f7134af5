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
from gradtx.compat.optax.alias import optimizers
from gradtx.compat.optax.names import show
from gradtx.compat.optax.transforms.spelled import made
from gradtx.core.peers import introduce

show(
    __name__,
    """
base: EmptyState GradientTransformation GradientTransformationExtraArgs MaskOrFn OptState Params ScalarOrSchedule
    Schedule TransformInitFn TransformUpdateExtraArgsFn TransformUpdateFn Updates identity init_empty_state set_to_zero
    stateless stateless_with_tree_map with_extra_args_support
combine: chain freeze masked multi_transform named_chain partition selective_transform
inject: inject_hyperparams inject_stateful_hyperparams
linesearch: scale_by_backtracking_linesearch scale_by_zoom_linesearch value_and_grad_from_state
losses: convex_kl_divergence cosine_distance cosine_similarity ctc_loss ctc_loss_with_forward_probs
    generalized_kl_divergence hinge_loss huber_loss kl_divergence l2_loss log_cosh ntxent safe_softmax_cross_entropy
    sigmoid_binary_cross_entropy sigmoid_focal_loss smooth_labels softmax_cross_entropy
    softmax_cross_entropy_with_integer_labels squared_error
microbatching: microbatch
schedules: WrappedSchedule constant_schedule cosine_decay_schedule cosine_onecycle_schedule exponential_decay
    join_schedules linear_onecycle_schedule linear_schedule piecewise_constant_schedule piecewise_interpolate_schedule
    polynomial_schedule sgdr_schedule warmup_constant_schedule warmup_cosine_decay_schedule
    warmup_exponential_decay_schedule
states: AdaptiveGradClipState AddDecayedWeightsState AddNoiseState ApplyEvery ApplyIfFiniteState ClipByGlobalNormState
    ClipState ConditionallyMaskState ConditionallyTransformState EmaState FactoredState InjectHyperparamsState
    InjectStatefulHyperparamsState LookaheadParams LookaheadState MaskedNode MaskedState MonitorState MultiStepsState
    MultiTransformState NonNegativeParamsState PartitionState ScaleByAdaDeltaState ScaleByAdamState ScaleByAdanState
    ScaleByAmsgradState ScaleByBacktrackingLinesearchState ScaleByBeliefState ScaleByLBFGSState ScaleByLionState
    ScaleByNovogradState ScaleByRStdDevState ScaleByRmsState ScaleByRpropState ScaleByRssState ScaleBySM3State
    ScaleByScheduleState ScaleByTrustRatioState ScaleByZoomLinesearchState ScaleState ShouldSkipUpdateFunction
    SnapshotState TraceState ZeroNansState ZoomLinesearchInfo
update: apply_updates global_norm incremental_update periodic_update
wrappers: MultiSteps conditionally_mask conditionally_transform lookahead measure_with_ema monitor skip_large_updates
    skip_not_finite snapshot
alias: fromage optimistic_adam polyak_sgd
transforms.links: add_decayed_weights add_noise apply_every per_example_global_norm_clip per_example_layer_norm_clip
    scale_by_learning_rate zero_nans
gradtx.linalg: inverse_root.matrix_inverse_pth_root nnls.nnls power_iteration.power_iteration
gradtx.numerics: multi_normal safe_increment safe_norm safe_root_mean_squares scale_gradient
transforms.directions: scale_by_distance_over_gradients scale_by_factored_rms scale_by_lbfgs
    scale_by_lion scale_by_polyak scale_by_rprop scale_by_sm3
""",
)
globals().update(made | optimizers)

__version__ = "0.2.8"
"""The version of Optax whose programs run."""

for _name in ("bias_correction", "update_infinity_moment", "update_moment", "update_moment_per_elem_norm"):
    globals()[_name] = getattr(tree, _name)
tree_map_params = tree.map_params
safe_int32_increment = globals()["safe_increment"]

importlib.import_module(f"{__name__}._src")  # it has aliases of all names here
introduce()

_MOVED = ("DifferentiallyPrivateAggregateState", "differentially_private_aggregate", "dpsgd")


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        warnings.warn(f"optax.{name} is deprecated, use optax.contrib.{name}", DeprecationWarning, stacklevel=2)
        return getattr(contrib, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
