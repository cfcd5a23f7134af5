"""Rows: orthogonalised and projected matrices."""

import gradtx
from tests.oracles import muon
from tests.rows import Row

TRIPLES = ((3.0, -3.2, 1.2), (1.875, -1.25, 0.375))

ROWS = [
    Row(gradtx.muon(0.02, beta=0.9, adam_b2=0.99), muon.muon),
    Row(gradtx.muon(0.02, TRIPLES, nesterov=False, consistent_rms=0.2, weight_decay=0.1), muon.muon, label="rms"),
    Row(gradtx.scale_by_muon(weight_dimension_numbers="auto"), muon.scale_by_muon),
    Row(gradtx.scale_by_galore(2, 7, 0.25), muon.scale_by_galore),
    Row(gradtx.galore(0.02, 2, 30), muon.galore),
]
