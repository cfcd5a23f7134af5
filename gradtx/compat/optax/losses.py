"""Losses: gradtx's own under Optax's path."""

import warnings

from gradtx.compat.optax.names import show
from gradtx.core.typing import Array
from gradtx.losses import generalized_kl_divergence

show(
    __name__,
    """
gradtx.losses: binary_dice_loss cosine_distance cosine_similarity ctc_loss ctc_loss_with_forward_probs dice_loss
    generalized_kl_divergence hinge_loss huber_loss kl_divergence kl_divergence_with_log_targets l2_loss log_cosh
    make_fenchel_young_loss multiclass_generalized_dice_loss multiclass_hinge_loss multiclass_perceptron_loss
    multiclass_sparsemax_loss ntxent perceptron_loss poly_loss_cross_entropy ranking_softmax_loss
    safe_softmax_cross_entropy sigmoid_binary_cross_entropy sigmoid_focal_loss smooth_labels softmax_cross_entropy
    softmax_cross_entropy_with_integer_labels sparsemax_loss squared_error triplet_margin_loss
""",
)


def convex_kl_divergence(
    log_predictions: Array, targets: Array, axis: int | tuple[int, ...] | None = -1, where: Array | None = None
) -> Array:
    """Deprecated: `generalized_kl_divergence`."""
    message = "optax.losses.convex_kl_divergence is deprecated, use generalized_kl_divergence"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return generalized_kl_divergence(log_predictions, targets, axis=axis, where=where)
