"""Rows: methods that keep less than one second moment per parameter, and what they are made of."""

import gradtx
from tests.oracles import memory
from tests.rows import Row

GROWS = {"precision": "updates are as large as the parameters that they are added to, 1e18 times over"}

ROWS = [
    Row(gradtx.clip_by_block_rms(0.7), memory.clip_by_block_rms),
    Row(gradtx.scale_by_param_block_rms(0.9), memory.param_block_rms, exempt=GROWS),
    Row(gradtx.scale_by_param_block_norm(1.5), memory.param_block_norm, exempt=GROWS),
    Row(gradtx.scale_by_factored_rms(min_dim_size_to_factor=3), memory.factored_rms),
    Row(gradtx.scale_by_factored_rms(True, 0.7, 3, 2, 1e-8, max_b2=0.8), memory.factored_rms, label="offset"),
    Row(gradtx.scale_by_factored_rms(factored=False), memory.factored_rms, label="whole"),
    Row(gradtx.adafactor(min_dim_size_to_factor=3), memory.adafactor),
    Row(gradtx.adafactor(0.01, 3, 0.7, 2, momentum=0.8, weight_decay=0.1), memory.adafactor, label="momentum"),
    Row(gradtx.adafactor(0.01, multiply_by_parameter_scale=False), memory.adafactor, label="unscaled"),
    Row(gradtx.scale_by_sm3(0.8, 1.0, 1e-6), memory.sm3),
    Row(gradtx.scale_by_sm3(0.8, 0.9), memory.sm3, label="averaged"),
    Row(gradtx.sm3(0.01, 0.8, weight_decay=0.1), memory.sm3_optimizer),
    Row(gradtx.scale_by_adam_mini(0.8, 0.9, 1e-6), memory.adam_mini),
    Row(gradtx.scale_by_adam_mini(block_axis=0), memory.adam_mini, label="first"),
    Row(gradtx.scale_by_adam_mini(block_axis=None), memory.adam_mini, label="leaf"),
    Row(gradtx.adam_mini(0.01, weight_decay=0.1), memory.adam_mini_optimizer),
]
