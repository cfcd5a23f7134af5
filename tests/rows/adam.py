"""Rows: adam."""

import gradtx
from tests.oracles import adam
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_adam(0.8, 0.99, 1e-6), adam.adam),
    Row(gradtx.scale_by_adam(0.8, 0.99, 1e-6, eps_root=1e-4, nesterov=True), adam.adam, label="nesterov"),
    Row(gradtx.scale_by_amsgrad(0.8, 0.9, 1e-6, eps_root=1e-4), adam.amsgrad),
    Row(gradtx.scale_by_amsgrad(0.8, 0.9, max_of="raw"), adam.amsgrad, label="raw"),
    Row(gradtx.scale_by_adamax(0.8, 0.9), adam.adamax),
    Row(gradtx.adam(0.01), adam.adam_optimizer),
    Row(gradtx.adamw(0.01, weight_decay=0.1), adam.adam_optimizer),
    Row(gradtx.nadam(0.01), adam.nadam_optimizer),
    Row(gradtx.nadamw(0.01, weight_decay=0.1), adam.nadam_optimizer),
    Row(gradtx.amsgrad(0.01), adam.amsgrad_optimizer),
    Row(gradtx.adamax(0.01), adam.adamax_optimizer),
    Row(gradtx.adamaxw(0.01, weight_decay=0.1), adam.adamax_optimizer),
]
