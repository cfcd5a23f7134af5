"""Rows: adaptive methods beside Adam."""

import gradtx
from tests.oracles import adaptive
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_adadelta(0.8, 1e-5), adaptive.adadelta),
    Row(gradtx.adadelta(0.5, weight_decay=0.1), adaptive.adadelta_optimizer),
    Row(gradtx.scale_by_belief(0.8, 0.99, 1e-8, eps_root=1e-10), adaptive.belief),
    Row(gradtx.scale_by_belief(0.8, 0.99, nesterov=True), adaptive.belief, label="nesterov"),
    Row(gradtx.adabelief(0.01, weight_decay=0.1), adaptive.adabelief),
    Row(gradtx.scale_by_acprop(0.8, 0.99, 1e-8, eps_root=1e-10), adaptive.acprop),
    Row(gradtx.acprop(0.01, weight_decay=0.1), adaptive.acprop_optimizer),
    Row(gradtx.scale_by_yogi(0.8, 0.9, 1e-4, eps_root=1e-6), adaptive.yogi),
    Row(gradtx.scale_by_yogi(0.8, 0.9, initial_mu=0.0, bias_correction=False), adaptive.yogi, label="paper"),
    Row(gradtx.yogi(0.01), adaptive.yogi_optimizer),
    Row(gradtx.scale_by_radam(0.8, 0.95, 1e-6, eps_root=1e-4), adaptive.radam),
    Row(gradtx.scale_by_radam(0.8, 0.99, threshold=4.5, nesterov=True), adaptive.radam, label="nesterov"),
    Row(gradtx.radam(0.01), adaptive.radam_optimizer),
    Row(gradtx.scale_by_adan(0.9, 0.8, 0.95, 1e-6, eps_root=1e-4), adaptive.adan),
    Row(gradtx.adan(0.01, weight_decay=0.1), adaptive.adan_optimizer),
    Row(gradtx.adan(0.01, weight_decay=gradtx.proximal(0.5)), adaptive.adan_proximal, label="proximal"),
    Row(gradtx.add_proximal_decay(0.5, 0.02), adaptive.proximal, complex="pairs"),
    Row(gradtx.scale_by_novograd(0.8, 0.4, 1e-6, eps_root=1e-2), adaptive.novograd),
    Row(gradtx.scale_by_novograd(0.8, 0.4, weight_decay=0.1), adaptive.novograd, label="decayed"),
    Row(gradtx.novograd(0.01, weight_decay=0.1), adaptive.novograd_optimizer),
    Row(gradtx.novograd(0.01, weight_decay=gradtx.decoupled(0.1)), adaptive.novograd_decoupled, label="decoupled"),
    Row(gradtx.scale_by_rprop(0.01, 0.4, 1.3, 1e-3, 0.02), adaptive.rprop, complex="refused"),
    Row(gradtx.rprop(0.01, weight_decay=0.02), adaptive.rprop_optimizer, complex="refused"),
]
