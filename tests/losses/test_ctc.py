"""CTC: what no row can know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from gradtx import losses
from tests.losses.alignments import ctc, one
from tests.losses.rows import ABSENT, FRAMES, SKIPPED, WORDS

both = jax.jit(jax.value_and_grad(lambda *xs, **options: jnp.sum(losses.ctc_loss(*xs, **options))))


def test_forward_probabilities_are_those_of_beginnings():
    """After each frame: of labels read so far, as the alignments of these frames alone add up to."""
    _, blank, emit = losses.ctc_loss_with_forward_probs(FRAMES, 0 * SKIPPED, WORDS, 0 * ABSENT)
    assert blank.shape == (4, 3, 3) and emit.shape == (4, 3, 2)
    for frames, (logits, word) in enumerate(zip(FRAMES, WORDS, strict=True), 1):
        for n in range(3):
            read = -one(logits[:frames], np.zeros(frames), word[:n], np.zeros(n))
            at = frames - 1
            got = np.logaddexp(blank[at, at, n], emit[at, at, n - 1] if n else -np.inf)
            np.testing.assert_allclose(got, max(read, -1e5), rtol=1e-4)


def test_the_last_frame_holds_the_likelihoods():
    loss, blank, emit = losses.ctc_loss_with_forward_probs(FRAMES, SKIPPED, WORDS, ABSENT)
    np.testing.assert_allclose(-blank[-1][np.arange(3), [2, 2, 1]], loss, rtol=1e-6)
    np.testing.assert_allclose(blank[-1, 0, 0], special.log_softmax(FRAMES[0], -1)[:, 0].sum(), rtol=1e-5)
    np.testing.assert_array_equal(losses.ctc_loss(FRAMES, SKIPPED, WORDS, ABSENT), loss)
    # The last frame of the last sequence is skipped.
    np.testing.assert_array_equal(emit[-1, 2], emit[-2, 2])


def test_skipped_frames_and_absent_labels_may_hold_anything():
    logits = np.asarray(FRAMES, np.float32)
    spoiled = np.where(SKIPPED[..., None] == 1, np.nan, logits).astype(np.float32)
    wanted, wanted_grads = both(logits, SKIPPED, WORDS, ABSENT)
    value, grads = both(spoiled, SKIPPED, np.where(ABSENT == 1, 99, WORDS), ABSENT)
    np.testing.assert_array_equal(value, wanted)
    np.testing.assert_array_equal(grads, wanted_grads)
    np.testing.assert_array_equal(grads[SKIPPED == 1], 0)
    np.testing.assert_array_equal(both(logits, SKIPPED == 1, WORDS, ABSENT.astype(np.float32))[0], wanted)


def test_another_blank():
    turned = np.roll(FRAMES, -1, -1)  # class 0 goes last
    wanted = losses.ctc_loss(FRAMES, SKIPPED, WORDS, ABSENT)
    np.testing.assert_allclose(losses.ctc_loss(turned, SKIPPED, WORDS - 1, ABSENT, blank_id=2), wanted, rtol=1e-6)


def test_labels_without_alignment_cost_log_epsilon():
    skipped = np.array([[0, 1, 1, 1]] * 3)  # one frame for two labels
    value, grads = both(FRAMES, skipped, WORDS, 0 * ABSENT)
    np.testing.assert_allclose(value, 3e5, rtol=1e-3)
    assert np.all(np.isfinite(grads))
    impossible = jnp.asarray(FRAMES, jnp.float32).at[:, 1, :2].set(-jnp.inf)  # in frame 1 all are at class 2
    value, grads = both(impossible, 0 * SKIPPED, np.ones((3, 2), int), 0 * ABSENT)
    np.testing.assert_allclose(value, 3e5, rtol=1e-3)
    assert np.all(np.isfinite(grads))
    loss = losses.ctc_loss(FRAMES, skipped, WORDS, 0 * ABSENT, log_epsilon=-1e3)
    np.testing.assert_allclose(loss, 1e3, rtol=1e-2)


def test_classes_of_logit_minus_infinity():
    """A class that never is, another that is not in frame 1, and a blank that is not in frame 0."""
    logits = jnp.asarray(FRAMES, jnp.float32).at[:, :, 2].set(-jnp.inf).at[:, 1, 1].set(-jnp.inf)
    logits = logits.at[:, 0, 0].set(-jnp.inf)
    labels = np.array([[1, 1]] * 3)
    value, grads = both(logits, 0 * SKIPPED, labels, 0 * ABSENT)
    np.testing.assert_allclose(value, np.sum(ctc(np.asarray(logits), 0 * SKIPPED, labels, 0 * ABSENT)), rtol=1e-5)
    assert np.all(np.isfinite(grads))


def test_no_labels_and_no_frames():
    nothing = np.zeros((3, 0), int)
    wanted = -special.log_softmax(FRAMES, -1)[..., 0].sum(-1)
    np.testing.assert_allclose(losses.ctc_loss(FRAMES, 0 * SKIPPED, nothing, nothing), wanted, rtol=1e-5)
    np.testing.assert_array_equal(losses.ctc_loss(FRAMES[:, :0], nothing, nothing, nothing), np.zeros(3))


ERRORS = {
    "frames": ((FRAMES, SKIPPED[:, :3], WORDS, ABSENT), ValueError, r"got \(3, 4, 3\) and \(3, 3\)"),
    "rank": ((FRAMES[0], SKIPPED[0], WORDS, ABSENT), ValueError, r"got \(4, 3\) and \(4,\)"),
    "labels": ((FRAMES, SKIPPED, WORDS, ABSENT[:, :1]), ValueError, r"got \(3, 2\) and \(3, 1\)"),
    "batch": ((FRAMES, SKIPPED, WORDS[:2], ABSENT[:2]), ValueError, r"got \(2, 2\) and \(2, 2\), for logits of shape"),
    "floats": ((FRAMES, SKIPPED, WORDS / 2, ABSENT), TypeError, "labels must be integers, got float32"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    inputs, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        losses.ctc_loss(*inputs)
