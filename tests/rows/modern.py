"""Rows: adaptive methods of recent years, wrappers and kinds of weight decay."""

import gradtx
from tests.oracles import modern
from tests.rows import Row
from tests.rows.simple import hyperbola

WARM = dict(b3=gradtx.ademamix_b3_schedule(0.8, 0.999, 12.0), alpha=gradtx.ademamix_alpha_schedule(8.0, 12.0))
ADAMC = gradtx.adam(hyperbola(50.0), weight_decay=gradtx.corrected(0.1, 0.02))

KEEPS_PARAMS = {"init": "the state has a copy of the first parameters"}

ROWS = [
    Row(gradtx.scale_by_madgrad(0.01, 0.8, 1e-5), modern.madgrad, exempt=KEEPS_PARAMS),
    Row(gradtx.madgrad(0.01, 0.8), modern.madgrad, exempt=KEEPS_PARAMS),
    Row(gradtx.madgrad(0.01, weight_decay=0.1), modern.madgrad, exempt=KEEPS_PARAMS, label="decoupled"),
    Row(
        gradtx.madgrad(0.01, weight_decay=gradtx.cautious_decay(0.1)),
        modern.madgrad_cautious,
        exempt=KEEPS_PARAMS,
        label="cautious",
    ),
    Row(gradtx.scale_by_adopt(0.8, 0.9, 1e-5), modern.adopt),
    Row(gradtx.scale_by_adopt(0.8, 0.9, nesterov=True), modern.adopt, label="nesterov"),
    Row(gradtx.scale_by_adopt(0.8, 0.9, 0.1, clip_exponent=None), modern.adopt, label="unclipped"),
    Row(gradtx.adopt(0.01, weight_decay=0.1), modern.adopt_optimizer),
    Row(gradtx.scale_by_ademamix(0.8, 0.9, 0.99, 3.0, 1e-6, eps_root=1e-8), modern.ademamix),
    Row(gradtx.ademamix(0.01, weight_decay=0.1), modern.ademamix_optimizer),
    Row(gradtx.ademamix(0.01, 0.8, weight_decay=0.1, **WARM), modern.ademamix_warmed, label="warmed"),
    Row(gradtx.scale_by_simplified_ademamix(0.9, 0.8, 2.0, 1e-6, eps_root=1e-4), modern.simplified_ademamix),
    Row(gradtx.simplified_ademamix(0.001, weight_decay=0.1), modern.simplified_optimizer),
    Row(gradtx.scale_by_laprop(0.8, 0.9, 1e-8), modern.laprop),
    Row(gradtx.laprop(0.01, weight_decay=0.1), modern.laprop_optimizer),
    Row(gradtx.scale_by_stable_adam(0.8, 0.95, 1e-3), modern.stable_adam),
    Row(gradtx.stable_adamw(0.01), modern.stable_adamw),
    Row(gradtx.scale_by_adam_atan2(0.8, 0.9, 1.1, 2.0), modern.adam_atan2),
    Row(gradtx.adam_atan2(0.01, weight_decay=0.1), modern.adam_atan2_optimizer),
    Row(gradtx.scale_by_mars(0.8, 0.9, 1e-6, 0.1, max_norm=2.0), modern.mars),
    Row(gradtx.mars(0.01, weight_decay=0.1), modern.mars_optimizer),
    Row(gradtx.grokfast(0.8, 1.5), modern.grokfast, complex="pairs"),
    Row(gradtx.grokfast_window(6, 1.5), modern.grokfast_window, complex="pairs"),
    Row(gradtx.cautious(gradtx.adam(0.01)), modern.cautious_adam),
    Row(gradtx.cautious(gradtx.adam(0.01), 0.5), modern.cautious_adam, label="share"),
    Row(gradtx.add_cautious_decay(0.1), modern.cautious_decay),
    Row(gradtx.adam(0.01, weight_decay=gradtx.cautious_decay(0.1)), modern.cautious_adamw, label="cautious"),
    Row(gradtx.add_corrected_decay(0.1, 0.02, peak=0.04), modern.corrected_decay, complex="pairs"),
    Row(ADAMC, modern.adamc, label="corrected"),
    Row(gradtx.decay_beside(gradtx.add_decayed_weights(0.1), 0.3), modern.decay_beside, complex="pairs"),
]
