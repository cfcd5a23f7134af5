"""What the compat tests run under both libraries: one row per transformation.

`build` gets the module, `gradtx.compat.optax` or `optax`, and returns the transformation. The state's layout
(test_layout.py) and the numbers over 100 steps (test_numbers.py) of each row are compared.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp


class Row(NamedTuple):
    """One transformation under both libraries."""

    name: str
    build: Callable[[Any], Any]
    rtol: float = 2e-5  # of the largest number of the leaf; Optax's bias correction is good to about 1e-5
    differs: str = ""  # why the numbers differ; then they are equal where Optax's deviations are reproduced
    numbers: bool = True  # whether test_numbers.py runs it: on per-leaf gradients, with params and `value=` given


def halving(count):
    """A learning rate that halves every 30 steps."""
    return 0.01 * 0.5 ** (count / 30)


def biases(params):
    """Which leaves have fewer than two axes."""
    return {name: p.ndim < 2 for name, p in params.items()}


MASK = {"w": True, "b": False, "s": False}

TRANSFORMS = [
    Row("scale", lambda ox: ox.scale(-0.5)),
    Row("scale_by_schedule", lambda ox: ox.scale_by_schedule(halving)),
    Row("scale_by_learning_rate", lambda ox: ox.scale_by_learning_rate(0.1, flip_sign=False)),
    Row("scale_by_learning_rate(schedule)", lambda ox: ox.scale_by_learning_rate(halving)),
    Row("scale_by_learning_rate(None)", lambda ox: ox.scale_by_learning_rate()),
    Row("scale_by_sign", lambda ox: ox.scale_by_sign()),
    Row("scale_by_trust_ratio", lambda ox: ox.scale_by_trust_ratio(1e-3, 0.1, 1e-2)),
    Row("scale_by_param_block_norm", lambda ox: ox.chain(ox.scale_by_param_block_norm(), ox.scale(-1e-2))),
    Row("scale_by_param_block_rms", lambda ox: ox.scale_by_param_block_rms()),
    Row("normalize_by_update_norm", lambda ox: ox.normalize_by_update_norm(3.0)),
    Row("centralize", lambda ox: ox.centralize()),
    Row("identity", lambda ox: ox.identity()),
    Row("set_to_zero", lambda ox: ox.set_to_zero()),
    Row("clip", lambda ox: ox.clip(0.5)),
    Row("clip_by_block_rms", lambda ox: ox.clip_by_block_rms(0.5)),
    Row("clip_by_global_norm", lambda ox: ox.clip_by_global_norm(1.0)),
    Row("adaptive_grad_clip", lambda ox: ox.adaptive_grad_clip(0.01)),
    Row("adaptive_grad_clip(axis)", lambda ox: ox.adaptive_grad_clip(0.01, axis=())),
    Row("trace", lambda ox: ox.trace(0.9)),
    Row("trace(nesterov, f32)", lambda ox: ox.trace(0.9, nesterov=True, accumulator_dtype="float32")),
    Row("ema", lambda ox: ox.ema(0.9)),
    Row("ema(bf16)", lambda ox: ox.ema(0.9, debias=False, accumulator_dtype=jnp.bfloat16), rtol=3e-2),
    Row("apply_every", lambda ox: ox.apply_every(3)),
    Row("add_noise", lambda ox: ox.add_noise(0.3, 0.55, 7)),
    Row("add_decayed_weights", lambda ox: ox.add_decayed_weights(0.1)),
    Row("add_decayed_weights(schedule)", lambda ox: ox.add_decayed_weights(halving)),
    Row("add_decayed_weights(mask)", lambda ox: ox.add_decayed_weights(0.1, MASK)),
    Row("add_decayed_weights(schedule, mask)", lambda ox: ox.add_decayed_weights(halving, biases)),
    Row("keep_params_nonnegative", lambda ox: ox.keep_params_nonnegative()),
    Row("zero_nans", lambda ox: ox.zero_nans()),
    Row("scale_by_adam", lambda ox: ox.scale_by_adam(eps_root=1e-8)),
    Row("scale_by_adam(bf16, nesterov)", lambda ox: ox.scale_by_adam(mu_dtype="bfloat16", nesterov=True), rtol=3e-2),
    Row("scale_by_amsgrad(raw)", lambda ox: ox.scale_by_amsgrad(bias_correction_mu=False, bias_correction_nu=False)),
    Row("scale_by_amsgrad(raw nu)", lambda ox: ox.scale_by_amsgrad(bias_correction_nu=False)),
    Row("scale_by_adamax", lambda ox: ox.scale_by_adamax()),
    Row("scale_by_adan", lambda ox: ox.scale_by_adan(), differs="Optax weighs by 1 - b2 where the paper has b2"),
    Row("scale_by_belief(nesterov)", lambda ox: ox.scale_by_belief(nesterov=True)),
    Row("scale_by_lion", lambda ox: ox.scale_by_lion(mode="smooth", smooth_beta=3.0)),
    Row("scale_by_lion(refined)", lambda ox: ox.scale_by_lion(mode="refined", mu_dtype="float32")),
    Row("scale_by_novograd", lambda ox: ox.scale_by_novograd(weight_decay=0.1, mu_dtype="float32")),
    Row("scale_by_radam(nesterov)", lambda ox: ox.scale_by_radam(b2=0.9, nesterov=True)),
    Row("scale_by_yogi", lambda ox: ox.scale_by_yogi(initial_accumulator_value=1e-3)),
    Row("scale_by_rss", lambda ox: ox.scale_by_rss(0.0)),
    Row("scale_by_rms", lambda ox: ox.scale_by_rms(eps_in_sqrt=False, bias_correction=True)),
    Row("scale_by_rms(initial)", lambda ox: ox.scale_by_rms(initial_scale=1.0)),
    Row("scale_by_stddev", lambda ox: ox.scale_by_stddev(eps=1e-2)),
    Row("scale_by_stddev(debiased)", lambda ox: ox.scale_by_stddev(eps=1e-2, bias_correction=True), rtol=1e-4),
    Row("scale_by_adadelta", lambda ox: ox.scale_by_adadelta()),
    Row("scale_by_sm3", lambda ox: ox.scale_by_sm3(b2=0.9)),
    Row("scale_by_rprop", lambda ox: ox.scale_by_rprop(0.1), differs="Optax makes each step one update late"),
    Row("scale_by_factored_rms", lambda ox: ox.scale_by_factored_rms(min_dim_size_to_factor=2)),
    Row("scale_by_factored_rms(fn)", lambda ox: ox.scale_by_factored_rms(decay_rate_fn=lambda i, rate: rate / (i + 2))),
    Row("scale_by_optimistic_gradient", lambda ox: ox.scale_by_optimistic_gradient(0.5, 0.3)),
    Row("scale_by_distance_over_gradients", lambda ox: ox.scale_by_distance_over_gradients(1e-2, global_scale=0.1)),
    Row("scale_by_polyak", lambda ox: ox.scale_by_polyak(0.1, 0.2, 1e-3, "sps+")),
    Row("scale_by_lbfgs", lambda ox: ox.scale_by_lbfgs(3), numbers=False),
]

OPTIMIZERS = [
    Row("adabelief", lambda ox: ox.adabelief(1e-2)),
    Row("adadelta", lambda ox: ox.adadelta(0.5, weight_decay=1e-2, weight_decay_mask=biases)),
    Row("adadelta(None)", lambda ox: ox.adadelta()),
    Row("adafactor", lambda ox: ox.adafactor(1e-2, min_dim_size_to_factor=2, momentum=0.9, weight_decay_rate=1e-3)),
    Row("adafactor(None)", lambda ox: ox.adafactor(multiply_by_parameter_scale=False, clipping_threshold=None)),
    Row("adagrad", lambda ox: ox.adagrad(0.1)),
    Row("adam", lambda ox: ox.adam(1e-2)),
    Row("adam(schedule)", lambda ox: ox.adam(halving, 0.8, 0.99, 1e-6, 1e-6, jnp.bfloat16), rtol=2e-2),
    Row("adamax", lambda ox: ox.adamax(1e-2)),
    Row("adamaxw", lambda ox: ox.adamaxw(1e-2, weight_decay=1e-2, mask=biases)),
    Row("adamw", lambda ox: ox.adamw(1e-2, weight_decay=halving, mask=biases)),
    Row("adan", lambda ox: ox.adan(1e-2, weight_decay=1e-2), differs="Optax weighs by 1 - b2 where the paper has b2"),
    Row("amsgrad", lambda ox: ox.amsgrad(1e-2)),
    Row("fromage", lambda ox: ox.fromage(1e-2)),
    Row("fromage(schedule)", lambda ox: ox.fromage(halving)),
    Row("lamb", lambda ox: ox.lamb(1e-2, weight_decay=1e-2, mask=biases)),
    Row("lars", lambda ox: ox.lars(1e-1, 1e-2, nesterov=True, trust_coefficient=0.1, eps=1e-3)),
    Row("lbfgs", lambda ox: ox.lbfgs(memory_size=3), numbers=False),
    Row("lbfgs(None)", lambda ox: ox.lbfgs(0.1, memory_size=3, linesearch=None), numbers=False),
    Row("lion", lambda ox: ox.lion(1e-2, mask=biases)),
    Row("nadam", lambda ox: ox.nadam(1e-2)),
    Row("nadamw", lambda ox: ox.nadamw(1e-2)),
    Row("noisy_sgd", lambda ox: ox.noisy_sgd(1e-2, key=3)),
    Row("novograd", lambda ox: ox.novograd(1e-2, weight_decay=1e-2)),
    Row("optimistic_adam_v2", lambda ox: ox.optimistic_adam_v2(1e-2, alpha=0.9, beta=0.5)),
    Row("optimistic_gradient_descent", lambda ox: ox.optimistic_gradient_descent(1e-2, 0.9, 0.5)),
    Row("polyak_sgd", lambda ox: ox.polyak_sgd(0.1)),
    Row("polyak_sgd(scaling)", lambda ox: ox.polyak_sgd(1.0, halving), differs="Optax scales before it takes the norm"),
    Row("radam", lambda ox: ox.radam(1e-2), rtol=1e-3),  # terms of rho cancel in Optax
    Row("rmsprop", lambda ox: ox.rmsprop(1e-2)),
    Row("rmsprop(centered)", lambda ox: ox.rmsprop(1e-2, eps=1e-2, centered=True, momentum=0.9, nesterov=True)),
    Row("rprop", lambda ox: ox.rprop(1e-2), differs="Optax makes each step one update late"),
    Row("sgd", lambda ox: ox.sgd(1e-2)),
    Row("sgd(momentum)", lambda ox: ox.sgd(halving, 0.9, True, "float32")),
    Row("sign_sgd", lambda ox: ox.sign_sgd(1e-2)),
    Row("signum", lambda ox: ox.signum(1e-2)),
    Row("sm3", lambda ox: ox.sm3(1e-1)),
    Row("yogi", lambda ox: ox.yogi(1e-2)),
]


def multi_steps(ox, **kwargs):
    """Adam after every three gradients."""
    return ox.MultiSteps(ox.adam(1e-2), 3, **kwargs).gradient_transformation()


def sharp(ox, **kwargs):
    """SAM around Adam."""
    climb = ox.chain(ox.contrib.normalize(), ox.sgd(0.05))
    return ox.contrib.sam(ox.adam(1e-2), climb, **kwargs)


COMBINATORS: list[Row] = [
    Row("masked", lambda ox: ox.masked(ox.adam(1e-2), MASK)),
    Row("masked(function)", lambda ox: ox.chain(ox.masked(ox.trace(0.9), biases), ox.scale(-0.1))),
    Row("partition", lambda ox: ox.partition({0: ox.adam(1e-2), 1: ox.sgd(halving, 0.9)}, {"w": 0, "b": 1, "s": 0})),
    Row("selective_transform", lambda ox: ox.selective_transform(ox.adam(1e-2), freeze_mask=MASK)),
    Row("freeze", lambda ox: ox.chain(ox.adam(1e-2), ox.freeze(MASK))),
    Row("named_chain", lambda ox: ox.named_chain(("scale", ox.scale_by_adam()), ("rate", ox.scale(-0.1)))),
    Row("flatten", lambda ox: ox.flatten(ox.lamb(1e-2))),
    Row("conditionally_transform", lambda ox: ox.conditionally_transform(ox.adam(1e-2), lambda step: step % 3 != 1)),
    Row("conditionally_mask", lambda ox: ox.conditionally_mask(ox.trace(0.9), lambda step: step % 3 != 1)),
    Row("apply_if_finite", lambda ox: ox.apply_if_finite(ox.adam(1e-2), 3)),
    Row("MultiSteps", multi_steps),
    Row("MultiSteps(sum)", lambda ox: multi_steps(ox, use_grad_mean=False, should_skip_update_fn=ox.skip_not_finite)),
    Row("inject_hyperparams", lambda ox: ox.inject_hyperparams(ox.adam)(halving, b1=0.8)),
    Row("inject_hyperparams(cosine)", lambda ox: ox.inject_hyperparams(ox.sgd)(ox.cosine_decay_schedule(0.1, 50))),
    Row("lookahead", lambda ox: ox.lookahead(ox.adam(1e-2), 3, 0.5), numbers=False),
    Row("snapshot", lambda ox: ox.snapshot("max", ox.tree.max), numbers=False),
    Row("monitor", lambda ox: ox.monitor({"max": ox.tree.max}), numbers=False),
    Row("backtracking", lambda ox: ox.scale_by_backtracking_linesearch(5, store_grad=True), numbers=False),
    Row("zoom", lambda ox: ox.chain(ox.sgd(0.1), ox.scale_by_zoom_linesearch(5)), numbers=False),
    Row("sam", lambda ox: ox.GradientTransformation(*sharp(ox))),
    Row("sam(4)", lambda ox: ox.GradientTransformation(*sharp(ox, sync_period=4, reset_state=False))),
    Row("sam(opaque)", lambda ox: sharp(ox, opaque_mode=True), numbers=False),
    Row("schedule_free", lambda ox: ox.contrib.schedule_free(ox.sgd(0.1), 0.1, 0.8, 1.0)),
    Row("schedule_free_sgd", lambda ox: ox.contrib.schedule_free_sgd(0.1, 10, weight_decay=1e-2), rtol=1e-4),
    Row("schedule_free_adamw", lambda ox: ox.contrib.schedule_free_adamw(0.1, 10, weight_decay=1e-2), rtol=1e-4),
    Row("mechanize", lambda ox: ox.contrib.mechanize(ox.adam(0.1)), rtol=1e-4),
    Row("reduce_on_plateau", lambda ox: ox.contrib.reduce_on_plateau(0.5, 3, 1e-2, 0.0, 2, 4, 0.1)),
    Row("split_real_and_imaginary", lambda ox: ox.contrib.split_real_and_imaginary(ox.adam(1e-2))),
]

CONTRIB: list[Row] = [
    Row("acprop", lambda ox: ox.contrib.acprop(1e-2, weight_decay=1e-2), differs="Optax centres at the last average"),
    Row("ademamix", lambda ox: ox.contrib.ademamix(halving, b3=halving, alpha=halving, mask=biases)),
    Row("ademamix(mu_dtype)", lambda ox: ox.contrib.scale_by_ademamix(mu_dtype="bfloat16"), numbers=False),
    Row("simplified_ademamix", lambda ox: ox.contrib.simplified_ademamix(1e-2, alpha=halving, weight_decay=1e-2)),
    Row("adopt", lambda ox: ox.contrib.adopt(1e-2, clip_value_fn=lambda t: 1 + halving(t), nesterov=True), rtol=1e-4),
    Row("adopt(plain)", lambda ox: ox.contrib.adopt(1e-2, use_clipping=False), rtol=1e-3),
    Row("scale_by_adopt", lambda ox: ox.contrib.scale_by_adopt(), rtol=1e-4),
    Row("cocob", lambda ox: ox.contrib.cocob(0.5, alpha=10.0, weight_decay=1e-2)),
    Row("dadapt_adamw", lambda ox: ox.contrib.dadapt_adamw(weight_decay=1e-2), rtol=1e-3),
    Row("differentially_private", lambda ox: ox.contrib.differentially_private_aggregate(1.0, 0.1, 3), numbers=False),
    Row("dog", lambda ox: ox.contrib.dog(weight_decay=1e-2, mask=biases)),
    Row("dog(distance)", lambda ox: ox.contrib.dog(halving, ("distance", 1e-2))),
    Row("dog(learning_rate)", lambda ox: ox.contrib.dog(init_step=("learning_rate", 1e-2))),
    Row("dowg", lambda ox: ox.contrib.dowg(init_estim_sq_dist=1e-2, weight_decay=1e-2)),
    Row("galore", lambda ox: ox.contrib.galore(1e-2, rank=2, update_proj_gap=7, scale=0.5, weight_decay=1e-2)),
    Row("hutchinson", lambda ox: ox.contrib.hutchinson_estimator_diag_hessian(), numbers=False),
    Row("madgrad", lambda ox: ox.contrib.madgrad(halving, weight_decay=1e-2), rtol=1e-4),
    Row("momo", lambda ox: ox.contrib.momo(0.5, adapt_lower_bound=True)),
    Row("momo(decay)", lambda ox: ox.contrib.momo(0.5, weight_decay=0.5), differs="Optax leaves the step undivided"),
    Row("momo_adam", lambda ox: ox.contrib.momo_adam(halving, lower_bound=0.1)),
    Row(
        "momo_adam(decay)",
        lambda ox: ox.contrib.momo_adam(0.1, weight_decay=0.5, adapt_lower_bound=True),
        differs="Optax leaves the step undivided",
    ),
    Row("muon", lambda ox: ox.contrib.muon(1e-2, weight_decay=1e-2)),
    Row("muon(dion)", lambda ox: ox.contrib.muon(halving, "dion", preconditioning="aol", consistent_rms=0.2)),
    Row("prodigy", lambda ox: ox.contrib.prodigy(weight_decay=1e-2), rtol=1e-3),
    Row("prodigy(warmup)", lambda ox: ox.contrib.prodigy(halving, beta3=0.9, safeguard_warmup=True), rtol=1e-3),
    Row("sophia", lambda ox: ox.contrib.sophia(1e-2), numbers=False),
]

ROWS = [*TRANSFORMS, *OPTIMIZERS, *COMBINATORS, *CONTRIB]
