"""Rows: signs, optimism, noise."""

import gradtx
from tests.oracles import sign
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_sign(), sign.sign),
    Row(gradtx.scale_by_lion(0.8, 0.95), sign.lion),
    Row(gradtx.scale_by_lion(0.8, 0.95, mode="smooth", smooth_beta=2.0), sign.lion, label="smooth"),
    Row(gradtx.scale_by_lion(0.8, 0.95, mode="refined"), sign.lion, label="refined"),
    Row(gradtx.sign_sgd(0.01, weight_decay=0.1), sign.sign_sgd),
    Row(gradtx.signum(0.01, 0.8), sign.signum),
    Row(gradtx.lion(0.01), sign.lion_optimizer),
    Row(gradtx.scale_by_optimistic_gradient(0.7, 1.3), sign.optimistic, complex="pairs"),
    Row(gradtx.optimistic_gradient_descent(0.01, 0.7, 1.3), sign.optimistic_descent, complex="pairs"),
    Row(gradtx.optimistic_adam_v2(0.01, alpha=0.7, beta=1.3), sign.optimistic_adam),
    Row(gradtx.noisy_sgd(0.01, key=3), random=True),
]
