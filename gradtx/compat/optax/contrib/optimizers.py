"""Optimizers of `optax.contrib` that Optax only spells otherwise; see `table`."""

from collections.abc import Callable
from typing import Any

import jax

import gradtx
from gradtx.compat.optax import alias
from gradtx.compat.optax.base import Number, Pair, expose
from gradtx.compat.optax.contrib import adaptive, matrices, parameter_free, sophia
from gradtx.compat.optax.table import chains, same
from gradtx.compat.optax.transforms.links import key_or_seed, scale_by_learning_rate


def differentially_private_aggregate(
    l2_norm_clip: Number, noise_multiplier: Number, key: jax.Array | int | None = None, *, seed: int | None = None
) -> Pair:
    """As `gradtx.differentially_private_aggregate`; `seed` is an old name of `key`."""
    return expose(gradtx.differentially_private_aggregate, l2_norm_clip, noise_multiplier, key_or_seed(key, seed))


def up(learning_rate: Any) -> Pair:
    """A rate that is no step down."""
    return scale_by_learning_rate(learning_rate, flip_sign=False)


made = same(
    "gradtx.compat.optax.contrib",
    """
dadapt_adamw | learning_rate betas>b1,b2:betas=(0.9,0.999) eps estim_lr0 weight_decay:number=0.0
prodigy | learning_rate betas>b1,b2:betas=(0.9,0.999) beta3>b3 eps estim_lr0 estim_lr_coef weight_decay:number=0.0
    safeguard_warmup | prodigy eps_of_new_d=True | As `gradtx.prodigy(eps_of_new_d=True)`.
scale_by_cocob | alpha eps
scale_by_dog | init_step>init_kind,init_step:any=('heuristic',1e-6) eps
scale_by_dowg | init_estim_sq_dist eps
scale_by_madgrad | learning_rate! momentum eps
""",
)
LINKS: dict[str, Any] = {
    **alias.LINKS, **vars(adaptive), **vars(matrices), **vars(parameter_free), **vars(sophia), **made,
    "aggregate": differentially_private_aggregate, "up": up,
}  # fmt: skip
globals().update(
    made,
    **chains(
        "gradtx.compat.optax.contrib",
        LINKS,
        """
acprop | learning_rate! b1 b2 eps eps_root weight_decay:number mask | scale_by_acprop decayed rate |
    As `gradtx.acprop`; Optax centres the variance at the average before the step (see `config`).
ademamix | learning_rate! b1 b2 b3:rate alpha:rate=5.0 eps eps_root mu_dtype weight_decay:number mask |
    scale_by_ademamix decayed rate | As `gradtx.ademamix`.
adopt | learning_rate! b1 b2 eps mu_dtype * nesterov use_clipping clip_value_fn:limit | scale_by_adopt rate |
    As `gradtx.adopt`, with the limit as a function of the step count.
cocob | learning_rate=1.0 alpha eps weight_decay:number mask | decayed up scale_by_cocob | As `gradtx.cocob`.
dog | learning_rate=1.0 init_step:step eps weight_decay:number mask | optional_decay scale_by_dog rate |
    As `gradtx.dog`; `init_step` is its kind and its size.
dowg | learning_rate=1.0 init_estim_sq_dist eps weight_decay:number mask | optional_decay scale_by_dowg rate |
    As `gradtx.dowg`.
dpsgd | learning_rate! l2_norm_clip! noise_multiplier! seed>key:int! momentum nesterov | aggregate heavy_ball rate |
    As `gradtx.dpsgd`; `seed` is its key.
galore | learning_rate! rank update_proj_gap scale:float base_optimizer:tx weight_decay:number mask
    weight_dimension_numbers:numbers | scale_by_galore decayed rate |
    As `gradtx.galore(side="larger", fix_signs=False)`; see `scale_by_galore`.
madgrad | learning_rate! momentum weight_decay:number eps | decayed scale_by_madgrad |
    As `gradtx.madgrad` with `coupled` decay.
simplified_ademamix | learning_rate! b1 b2 alpha:rate eps eps_root weight_decay:number mask |
    scale_by_simplified_ademamix decayed rate | As `gradtx.simplified_ademamix`.
sophia | learning_rate! b1 b2 eps weight_decay:number=1e-4 weight_decay_mask>mask gamma clip_threshold:optional
    update_interval hessian_diagonal_fn:tx mu_dtype verbose print_win_rate_every_n_steps |
    scale_by_sophia decayed rate |
    As `gradtx.scale_by_sophia(debias=True, delayed=True)`; `verbose` prints the share of elements not clipped.
""",
        limit=Callable[[jax.Array], Any],
        numbers=matrices.NumbersOrFn,
        step=parameter_free.InitStep,
    ),
)
