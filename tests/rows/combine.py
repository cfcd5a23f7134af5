"""Rows: combinators."""

import gradtx
from tests.oracles import adam, combinators, modern, simple
from tests.rows import Row

ROWS = [
    Row(gradtx.chain(gradtx.clip_by_global_norm(0.7), gradtx.adam(0.01)), adam.clipped_adam),
    Row(gradtx.named_chain(clip=gradtx.clip_by_global_norm(0.7), adam=gradtx.adam(0.01)), adam.clipped_adam),
    Row(gradtx.masked(gradtx.adam(0.01), True), adam.plain_adam),
    Row(gradtx.masked(gradtx.adam(0.01), False), simple.identity, complex="pairs", label="none"),
    Row(gradtx.partition({"adam": gradtx.adam(0.01), "unused": gradtx.sgd(0.1)}, "adam"), adam.plain_adam),
    Row(gradtx.descend(gradtx.scale_by_adam(), 0.01, 0.1), adam.described_adam, label="descend"),
    Row(gradtx.descend_by(gradtx.scale(-0.3), 0.3, 0.1), modern.descend_by, complex="pairs", label="descend_by"),
    Row(gradtx.placed(gradtx.adam(0.01), gradtx.over("x")), adam.plain_adam),
    Row(gradtx.stored(gradtx.sgd(0.1, 0.9), trace="float32"), combinators.sgd_in_float32, complex="pairs"),
]
