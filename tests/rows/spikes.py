"""Rows: adaptive clipping, spikes, guards, normalisation."""

import gradtx
from tests.oracles import simple, spikes
from tests.rows import Row

ROWS = [
    Row(gradtx.adaptive_grad_clip(0.3), spikes.adaptive_grad_clip),
    Row(gradtx.zclip(1.2, 0.8, 6.0, warmup_steps=5), spikes.zclip, complex="pairs"),
    Row(gradtx.zclip(0.6, 0.8, float("inf"), warmup_steps=2), spikes.zclip, complex="pairs", label="unlimited"),
    Row(gradtx.autoclip(30.0, history=7), spikes.autoclip, complex="pairs"),
    Row(gradtx.zero_nans(), simple.identity, complex="pairs"),
    Row(gradtx.keep_params_nonnegative(), spikes.keep_params_nonnegative, complex="refused"),
    Row(gradtx.normalize_by_update_norm(-0.3, 1e-3), spikes.normalize, complex="pairs"),
    Row(gradtx.normalize(), spikes.normalize, complex="pairs"),
    Row(gradtx.apply_every(3), spikes.apply_every, complex="pairs"),
    Row(
        gradtx.scale_by_spam(0.8, 0.9, threshold=1.5, reset_every=6, warmup_steps=2, clip_after=2),
        spikes.scale_by_spam,
    ),
    Row(
        gradtx.scale_by_spam(0.8, 0.9, reset_every=7, warmup_steps=9, debias_since_reset=True),
        spikes.scale_by_spam,
        label="restarted",
    ),
    Row(
        gradtx.scale_by_stable_spam(0.8, 0.9, norm_decay=0.6, norm_sq_decay=0.8, max_decay=0.9, reset_every=6),
        spikes.scale_by_stable_spam,
    ),
    Row(gradtx.spam(0.01, reset_every=8, weight_decay=0.1), spikes.spam),
    Row(gradtx.stable_spam(0.01), spikes.stable_spam),
]
