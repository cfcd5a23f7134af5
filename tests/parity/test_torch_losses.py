"""Against PyTorch in float64, where both have the same loss."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx import losses
from tests.losses.rows import ABSENT, FRAMES, LABELS, SIGNS, WORDS, P, Q, X, Y

torch = pytest.importorskip("torch", exc_type=ImportError)
F = torch.nn.functional

RIGHT = np.arange(4) >= np.array([[4], [4], [3]])  # frames skipped at the end only: torch has no others
LONG = np.random.default_rng(0).standard_normal((3, 30, 7))
LONG_WORDS = np.array([[1, 1, 2, 6, 6, 6, 3, 1], [2, 3, 4, 5, 6, 1, 2, 2], [5, 5, 5, 5, 5, 5, 0, 0]])
LONG_ABSENT = LONG_WORDS == 0


def torch_ctc(logits, skipped, labels, absent):
    log_p = F.log_softmax(logits, -1).transpose(0, 1)
    lengths = (torch.tensor(np.sum(~np.asarray(x, bool), -1)) for x in (skipped, absent))
    return F.ctc_loss(log_p, torch.tensor(labels), *lengths, reduction="none")


def torch_triplet(a, p, n):
    return F.triplet_margin_loss(a, p, n, margin=2.0, p=3.0, eps=0.0, reduction="none")


INDEX = torch.tensor(LABELS)
NO_PADS = np.zeros(LONG.shape[:2])

# Ours and theirs, of the arrays to differentiate.
CASES = {
    "squared_error": (losses.squared_error, lambda x, y: F.mse_loss(x, y, reduction="none"), (X, Y)),
    "huber_loss": (
        partial(losses.huber_loss, delta=0.5), lambda x, y: F.huber_loss(x, y, delta=0.5, reduction="none"), (X, Y)
    ),
    "softmax_cross_entropy": (
        losses.softmax_cross_entropy, lambda x, y: F.cross_entropy(x, y, reduction="none"), (X, P)
    ),
    "integer labels": (
        lambda x: losses.softmax_cross_entropy_with_integer_labels(x, LABELS),
        lambda x: F.cross_entropy(x, INDEX, reduction="none"),
        (X,),
    ),
    "smooth_labels": (
        lambda x: losses.softmax_cross_entropy(x, losses.smooth_labels(jnp.eye(5)[LABELS], 0.2)),
        lambda x: F.cross_entropy(x, INDEX, label_smoothing=0.2, reduction="none"),
        (X,),
    ),
    "sigmoid_binary_cross_entropy": (
        losses.sigmoid_binary_cross_entropy,
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
        (X, P),
    ),
    "kl_divergence": (losses.kl_divergence, lambda p, q: F.kl_div(p, q, reduction="none").sum(-1), (X, Q)),
    "kl_divergence_with_log_targets": (
        losses.kl_divergence_with_log_targets,
        lambda p, q: F.kl_div(p, q, reduction="none", log_target=True).sum(-1),
        (X, np.log(Q)),
    ),
    "cosine_similarity": (losses.cosine_similarity, F.cosine_similarity, (X, Y)),
    "hinge_loss": (
        lambda x: jnp.maximum(losses.hinge_loss(x, SIGNS), 0), lambda x: F.relu(1 - torch.tensor(SIGNS) * x), (X,)
    ),
    "triplet_margin_loss": (
        partial(losses.triplet_margin_loss, margin=2.0, norm_degree=3, eps=0.0), torch_triplet, (X, Y, X[::-1].copy())
    ),
    "ctc_loss": (
        lambda x: losses.ctc_loss(x, RIGHT, WORDS, ABSENT), lambda x: torch_ctc(x, RIGHT, WORDS, ABSENT), (FRAMES,)
    ),
    "long ctc_loss": (
        lambda x: losses.ctc_loss(x, NO_PADS, LONG_WORDS, LONG_ABSENT),
        lambda x: torch_ctc(x, NO_PADS, LONG_WORDS, LONG_ABSENT),
        (LONG,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equal_to_torch(case):
    ours, theirs, inputs = CASES[case]
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    wanted = theirs(*tensors)
    wanted.sum().backward()
    with jax.enable_x64(True):
        total = lambda *xs: (lambda y: (jnp.sum(y), y))(ours(*xs))
        (_, value), grads = jax.jit(jax.value_and_grad(total, tuple(range(len(inputs))), has_aux=True))(*inputs)
    np.testing.assert_allclose(value, wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    for got, tensor in zip(grads, tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-9, atol=1e-11)
