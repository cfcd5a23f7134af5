"""Rows: momentum."""

import gradtx
from tests.oracles import momentum
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_momentum(0.9), momentum.heavy_ball, complex="pairs"),
    Row(gradtx.scale_by_momentum(0.8, nesterov=True), momentum.heavy_ball, complex="pairs", label="nesterov"),
    Row(gradtx.scale_by_momentum(0.8, dampening=0.3), momentum.heavy_ball, complex="pairs", label="dampened"),
    Row(gradtx.ema(0.9), momentum.average, complex="pairs"),
    Row(gradtx.ema(0.9, debias=False), momentum.average, complex="pairs", label="raw"),
    Row(gradtx.sgd(0.1), momentum.sgd, complex="pairs"),
    Row(gradtx.sgd(0.1, 0.9, nesterov=True), momentum.sgd, complex="pairs", label="nesterov"),
    Row(gradtx.sgd(0.1, 0.9, weight_decay=gradtx.coupled(0.1)), momentum.sgd_l2, complex="pairs", label="l2"),
]
