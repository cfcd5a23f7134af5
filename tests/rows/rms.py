"""Rows: root mean squares."""

import gradtx
from tests.oracles import rms
from tests.rows import Row

ROWS = [
    Row(gradtx.scale_by_rss(0.1, 1e-7), rms.adagrad),
    Row(gradtx.scale_by_rss(0.0, 1e-7, eps_in_sqrt=False), rms.adagrad, label="course"),
    Row(gradtx.scale_by_rms(0.9, 1e-8), rms.rms),
    Row(gradtx.scale_by_rms(0.9, 1e-8, eps_in_sqrt=False, initial_scale=0.2), rms.rms, label="outside"),
    Row(gradtx.scale_by_rms(0.9, 1e-6, centered=True), rms.rms, label="centered"),
    Row(gradtx.scale_by_rms(0.9, 1e-6, bias_correction=True), rms.rms, label="debiased"),
    Row(gradtx.scale_by_rms(0.9, 0.1, centered=True, bias_correction=True), rms.rms, label="centered-debiased"),
    Row(gradtx.adagrad(0.1), rms.adagrad_optimizer),
    Row(gradtx.rmsprop(0.1, 0.8, momentum=0.9), rms.rmsprop),
]
