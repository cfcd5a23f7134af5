"""Rows: trust ratios."""

import gradtx
from tests.oracles import trust
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_trust_ratio(trust_coefficient=0.5), trust.trust_ratio),
    Row(gradtx.scale_by_trust_ratio(2.0, 0.3, 0.1), trust.trust_ratio, label="floor"),
    Row(gradtx.lars(0.5, weight_decay=0.1), trust.lars),
    Row(gradtx.lars(0.5, 0.01, 1e-6, 0.8, nesterov=True), trust.lars, label="nesterov"),
    Row(gradtx.lamb(0.01, weight_decay=0.1), trust.lamb),
    Row(gradtx.fromage(0.05), trust.fromage),
    Row(gradtx.scale_by_fromage(0.5), trust.fromage_direction),
]
