"""What is in `optax.contrib` that Optax only spells otherwise; see `table`."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from gradtx.compat.optax import alias, base
from gradtx.compat.optax.base import Number, Pair
from gradtx.compat.optax.contrib import directions, matrices
from gradtx.compat.optax.table import chains, same
from gradtx.compat.optax.transforms.links import add_decayed_weights

InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], Number]


def optional_decay(weight_decay: Number | None = None, mask: base.MaskOrFn = None) -> Pair:
    """`add_decayed_weights`, or `identity` without a decay."""
    return base.identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)


made = same(
    "gradtx.compat.optax.contrib",
    """
normalize | | scale_to_norm rho=1.0 | Give the whole update the norm 1; zeros stay zeros.
mechanize | base_optimizer:inner! weight_decay:float eps:float s_init:float num_betas | |
    Learn the scale of an optimizer's updates; see `gradtx.mechanize`.
split_real_and_imaginary | inner:inner! | |
    Run a transformation on the real and imaginary parts of complex leaves as on two parameters.
scale_by_acprop | b1 b2 eps eps_root | |
    As `gradtx.scale_by_acprop`; Optax centres the variance at the average before the step (see `config`).
scale_by_simplified_ademamix | b1 b2 alpha:rate eps eps_root | -> ScaleBySimplifiedAdEMAMixState
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
    **alias.LINKS, **vars(directions), **vars(matrices), **made,
    "aggregate": directions.differentially_private_aggregate, "optional_decay": optional_decay,
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
        step=InitStep,
    ),
)
