"""Rows: transforms."""

import gradtx
from tests.oracles import simple
from tests.rows import Row


@gradtx.schedule
def hyperbola(step, offset):
    """1 / (offset + step)."""
    return 1 / (offset + step)


ROWS = [
    Row(gradtx.identity(), simple.identity, complex="pairs"),
    Row(gradtx.set_to_zero(), simple.set_to_zero, complex="pairs"),
    Row(gradtx.scale(-0.3), simple.scale, complex="pairs"),
    Row(gradtx.scale_by_lr(0.3), simple.scale_by_lr, complex="pairs"),
    Row(gradtx.scale_by_schedule(hyperbola(2.0)), simple.scale_by_schedule, complex="pairs"),
    Row(gradtx.add_decayed_weights(0.1), simple.add_decayed_weights, complex="pairs"),
    Row(gradtx.add_independent_decay(0.1, 0.02, peak=0.04), simple.add_independent_decay, complex="pairs"),
    Row(gradtx.clip(0.5), simple.clip, complex="pairs"),
    Row(gradtx.clip_by_global_norm(0.7), simple.clip_by_global_norm, complex="pairs"),
    Row(gradtx.centralize(), simple.centralize, complex="pairs"),
    Row(gradtx.centralize(output_axis=-1), simple.centralize, complex="pairs", label="last"),
    Row(gradtx.add_noise(0.01, 0.55, key=3), random=True),
]
