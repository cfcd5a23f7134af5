"""Links that Optax only spells otherwise; see `table`."""

from gradtx.compat.optax.table import same

made = same(
    "gradtx.compat.optax",
    """
adaptive_grad_clip           | clipping! eps axis:axes
apply_if_finite              | inner:inner! max_consecutive_errors:int! | |
    Leave out gradients that are not finite, until there were too many in a row.
centralize                   |
clip                         | max_delta!
clip_by_block_rms            | threshold!
clip_by_global_norm          | max_norm!
ema                          | decay! debias accumulator_dtype@ema
flatten                      | inner:inner! | | Run a transformation on one vector of all parameters.
keep_params_nonnegative      |
normalize_by_update_norm     | scale_factor eps
scale                        | step_size!
scale_by_adadelta            | rho eps
scale_by_adam                | b1 b2 eps eps_root mu_dtype@mu * nesterov
scale_by_adamax              | b1 b2 eps
scale_by_adan                | b1 b2 b3 eps eps_root | -> ScaleByAdanState |
    As `gradtx.scale_by_adan`; Optax weighs the change of the gradient by 1 - b2 (see `config`).
scale_by_amsgrad             | b1 b2 eps eps_root mu_dtype@mu bias_correction_mu>debias_mu bias_correction_nu>debias_nu
scale_by_belief              | b1 b2 eps eps_root * nesterov
scale_by_novograd            | b1 b2 eps eps_root weight_decay:number=0.0 mu_dtype@mu
scale_by_optimistic_gradient | alpha beta
scale_by_param_block_norm    | min_scale
scale_by_param_block_rms     | min_scale
scale_by_radam               | b1 b2 eps eps_root threshold * nesterov
scale_by_rms                 | decay eps initial_scale eps_in_sqrt bias_correction
scale_by_rss                 | initial_accumulator_value eps
scale_by_schedule            | step_size_fn>step_size:schedule!
scale_by_sign                |
scale_by_stddev              | decay eps initial_scale eps_in_sqrt bias_correction | scale_by_rms centered=True |
    As `gradtx.scale_by_rms(centered=True)`.
scale_by_trust_ratio         | min_norm trust_coefficient eps
scale_by_yogi                | b1 b2 eps eps_root initial_accumulator_value>initial_accumulator_value,initial_mu | |
    As `gradtx.scale_by_yogi`, both averages from one start value.
trace                        | decay! nesterov accumulator_dtype@trace | scale_by_momentum
""",
)
globals().update(made)
