"""Losses: gradtx's own under Optax's path."""

import warnings

from gradtx.core.typing import Array
from gradtx.losses import binary_dice_loss as binary_dice_loss
from gradtx.losses import cosine_distance as cosine_distance
from gradtx.losses import cosine_similarity as cosine_similarity
from gradtx.losses import ctc_loss as ctc_loss
from gradtx.losses import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from gradtx.losses import dice_loss as dice_loss
from gradtx.losses import generalized_kl_divergence as generalized_kl_divergence
from gradtx.losses import hinge_loss as hinge_loss
from gradtx.losses import huber_loss as huber_loss
from gradtx.losses import kl_divergence as kl_divergence
from gradtx.losses import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from gradtx.losses import l2_loss as l2_loss
from gradtx.losses import log_cosh as log_cosh
from gradtx.losses import make_fenchel_young_loss as make_fenchel_young_loss
from gradtx.losses import multiclass_generalized_dice_loss as multiclass_generalized_dice_loss
from gradtx.losses import multiclass_hinge_loss as multiclass_hinge_loss
from gradtx.losses import multiclass_perceptron_loss as multiclass_perceptron_loss
from gradtx.losses import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from gradtx.losses import ntxent as ntxent
from gradtx.losses import perceptron_loss as perceptron_loss
from gradtx.losses import poly_loss_cross_entropy as poly_loss_cross_entropy
from gradtx.losses import ranking_softmax_loss as ranking_softmax_loss
from gradtx.losses import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from gradtx.losses import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from gradtx.losses import sigmoid_focal_loss as sigmoid_focal_loss
from gradtx.losses import smooth_labels as smooth_labels
from gradtx.losses import softmax_cross_entropy as softmax_cross_entropy
from gradtx.losses import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from gradtx.losses import sparsemax_loss as sparsemax_loss
from gradtx.losses import squared_error as squared_error
from gradtx.losses import triplet_margin_loss as triplet_margin_loss


def convex_kl_divergence(
    log_predictions: Array, targets: Array, axis: int | tuple[int, ...] | None = -1, where: Array | None = None
) -> Array:
    """Deprecated: `generalized_kl_divergence`."""
    message = "optax.losses.convex_kl_divergence is deprecated, use generalized_kl_divergence"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return generalized_kl_divergence(log_predictions, targets, axis=axis, where=where)
