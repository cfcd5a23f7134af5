"""Losses: gradtx's own under Optax's path."""

# Written by `python -m tests.compat.stubs`.

from gradtx.losses.cross_entropy import poly_loss_cross_entropy as poly_loss_cross_entropy
from gradtx.losses.cross_entropy import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from gradtx.losses.cross_entropy import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from gradtx.losses.cross_entropy import sigmoid_focal_loss as sigmoid_focal_loss
from gradtx.losses.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from gradtx.losses.cross_entropy import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from gradtx.losses.ctc import ctc_loss as ctc_loss
from gradtx.losses.ctc import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from gradtx.losses.divergence import kl_divergence as kl_divergence
from gradtx.losses.divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from gradtx.losses.fenchel_young import make_fenchel_young_loss as make_fenchel_young_loss
from gradtx.losses.margin import hinge_loss as hinge_loss
from gradtx.losses.margin import multiclass_hinge_loss as multiclass_hinge_loss
from gradtx.losses.margin import multiclass_perceptron_loss as multiclass_perceptron_loss
from gradtx.losses.margin import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from gradtx.losses.margin import perceptron_loss as perceptron_loss
from gradtx.losses.margin import sparsemax_loss as sparsemax_loss
from gradtx.losses.ranking import ranking_softmax_loss as ranking_softmax_loss
from gradtx.losses.regression import huber_loss as huber_loss
from gradtx.losses.regression import l2_loss as l2_loss
from gradtx.losses.regression import log_cosh as log_cosh
from gradtx.losses.regression import squared_error as squared_error
from gradtx.losses.segmentation import binary_dice_loss as binary_dice_loss
from gradtx.losses.segmentation import dice_loss as dice_loss
from gradtx.losses.segmentation import multiclass_generalized_dice_loss as multiclass_generalized_dice_loss
from gradtx.losses.similarity import cosine_distance as cosine_distance
from gradtx.losses.similarity import cosine_similarity as cosine_similarity
from gradtx.losses.similarity import ntxent as ntxent
from gradtx.losses.similarity import triplet_margin_loss as triplet_margin_loss
from gradtx.losses.smoothing import smooth_labels as smooth_labels
import jax

def convex_kl_divergence(
    log_predictions: jax.Array, targets: jax.Array, axis: int | tuple[int, ...] | None = -1,
    where: jax.Array | None = None
) -> jax.Array:
    """Deprecated: `generalized_kl_divergence`."""
