"""`optax.contrib`: optimizers and wrappers outside Optax's core."""

# Written by `python -m tests.compat.stubs`.

from collections.abc import Callable
from gradtx.combine.complex import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from gradtx.compat.optax.base import DTypeOrNone
from gradtx.compat.optax.base import GradientTransformation
from gradtx.compat.optax.base import GradientTransformationExtraArgs
from gradtx.compat.optax.base import MaskOrFn
from gradtx.compat.optax.base import Number
from gradtx.compat.optax.base import ScalarOrSchedule
from gradtx.compat.optax.contrib.directions import differentially_private_aggregate as differentially_private_aggregate
from gradtx.compat.optax.contrib.matrices import GaLoreDimensionNumbers as GaLoreDimensionNumbers
from gradtx.compat.optax.contrib.matrices import MuonDimensionNumbers as MuonDimensionNumbers
from gradtx.compat.optax.contrib.matrices import NumbersOrFn
from gradtx.compat.optax.contrib.wrappers import ScheduleFreeState as ScheduleFreeState
from gradtx.compat.optax.contrib.wrappers import schedule_free_eval_params as schedule_free_eval_params
from gradtx.compat.optax.states import HutchinsonState as HutchinsonState
from gradtx.compat.optax.states import MuonState as MuonState
from gradtx.compat.optax.states import SAMState as SAMState
from gradtx.compat.optax.states import ScaleByAdemamixState as ScaleByAdemamixState
from gradtx.compat.optax.states import ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState
from gradtx.core.states import EmptyState
from gradtx.optimizers.cocob import COCOBState as COCOBState
from gradtx.optimizers.dog import DoGState as DoGState
from gradtx.optimizers.dog import DoWGState as DoWGState
from gradtx.optimizers.galore import GaLoreState as GaLoreState
from gradtx.optimizers.madgrad import MadgradState as MadgradState
from gradtx.optimizers.momo import MomoAdamState as MomoAdamState
from gradtx.optimizers.momo import MomoState as MomoState
from gradtx.optimizers.prodigy import DAdaptAdamWState as DAdaptAdamWState
from gradtx.optimizers.prodigy import ProdigyState as ProdigyState
from gradtx.optimizers.sophia import SophiaState as SophiaState
from gradtx.transforms.per_example import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from gradtx.wrappers.mechanic import MechanicState as MechanicState
from gradtx.wrappers.plateau import ReduceLROnPlateauState as ReduceLROnPlateauState
from typing import Any
from typing import Literal
import jax

NormalizeState = EmptyState

def acprop(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16,
    eps_root: Number = 1e-16, weight_decay: Number = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.acprop`; Optax centres the variance at the average before the step (see `config`)."""
def ademamix(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.999, b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0, eps: Number = 1e-08, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None,
    weight_decay: Number = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.ademamix`."""
def adopt(
    learning_rate: ScalarOrSchedule, b1: Number = 0.9, b2: Number = 0.9999, eps: Number = 1e-06,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = False, use_clipping: bool = True,
    clip_value_fn: Callable[[jax.Array], Any] = ...
) -> GradientTransformationExtraArgs:
    """As `gradtx.adopt`, with the limit as a function of the step count."""
def cocob(
    learning_rate: ScalarOrSchedule = 1.0, alpha: Number = 100.0, eps: Number = 1e-08, weight_decay: Number = 0.0,
    mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.cocob`."""
def dadapt_adamw(
    learning_rate: ScalarOrSchedule = 1.0, betas: tuple[jax.Array | float, jax.Array | float] = (0.9, 0.999),
    eps: Number = 1e-08, estim_lr0: Number = 1e-06, weight_decay: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.dadapt_adamw`."""
def dog(
    learning_rate: ScalarOrSchedule = 1.0,
    init_step: tuple[Literal['distance', 'learning_rate', 'heuristic'], jax.Array | float] = ('heuristic', 1e-06),
    eps: Number = 1e-08, weight_decay: Number | None = None, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.dog`; `init_step` is its kind and its size."""
def dowg(
    learning_rate: ScalarOrSchedule = 1.0, init_estim_sq_dist: Number | None = None, eps: Number = 0.0001,
    weight_decay: Number | None = None, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.dowg`."""
def dpsgd(
    learning_rate: ScalarOrSchedule, l2_norm_clip: Number, noise_multiplier: Number, seed: int,
    momentum: Number | None = None, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.dpsgd`; `seed` is its key."""
def galore(
    learning_rate: ScalarOrSchedule, rank: int = 128, update_proj_gap: int = 200, scale: float = 1.0,
    base_optimizer: GradientTransformation | None = None, weight_decay: Number = 0.0, mask: MaskOrFn = None,
    weight_dimension_numbers: NumbersOrFn | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.galore(side="larger", fix_signs=False)`; see `scale_by_galore`."""
def hutchinson_estimator_diag_hessian(random_seed: jax.Array | None = None) -> GradientTransformationExtraArgs:
    """As `gradtx.hutchinson`; `random_seed` is a key, and without one the state holds the numbers of key 0."""
def madgrad(
    learning_rate: ScalarOrSchedule, momentum: Number = 0.9, weight_decay: Number = 0.0, eps: Number = 1e-06
) -> GradientTransformationExtraArgs:
    """As `gradtx.madgrad` with `coupled` decay."""
def mechanize(
    base_optimizer: GradientTransformation, weight_decay: float = 0.01, eps: float = 1e-08, s_init: float = 1e-06,
    num_betas: int = 6
) -> GradientTransformationExtraArgs:
    """Learn the scale of an optimizer's updates; see `gradtx.mechanize`."""
def momo(
    learning_rate: ScalarOrSchedule = 1.0, beta: Number = 0.9, lower_bound: Number = 0.0, weight_decay: Number = 0.0,
    adapt_lower_bound: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.momo`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
def momo_adam(
    learning_rate: ScalarOrSchedule = 0.01, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-08,
    lower_bound: Number = 0.0, weight_decay: Number = 0.0, adapt_lower_bound: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.momo_adam`; Optax's weight decay divides the parameters alone, not the step (see `config`)."""
def muon(
    learning_rate: ScalarOrSchedule, ns_coeffs: Any = (3.4445, -4.775, 2.0315), ns_steps: int = 5, beta: Number = 0.95,
    eps: Number = 1e-08, weight_decay: Number = 0.0, weight_decay_mask: MaskOrFn = None, mu_dtype: DTypeOrNone = None,
    *, nesterov: bool = True, adaptive: bool = False,
    preconditioning: Literal['frobenius', 'spectral', 'aol', 'schatten'] = 'frobenius', adam_b1: Number = 0.9,
    adam_b2: Number = 0.999, adam_eps_root: Number = 0.0, adam_weight_decay: Number = 0.0,
    adam_learning_rate: ScalarOrSchedule | None = None, muon_weight_dimension_numbers: NumbersOrFn | None = None,
    consistent_rms: Number | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.muon`; `ns_coeffs` may be "standard", which gradtx calls "keller", or "dion"."""
def normalize() -> GradientTransformationExtraArgs:
    """Give the whole update the norm 1; zeros stay zeros."""
def prodigy(
    learning_rate: ScalarOrSchedule = 1.0, betas: tuple[jax.Array | float, jax.Array | float] = (0.9, 0.999),
    beta3: Number | None = None, eps: Number = 1e-08, estim_lr0: Number = 1e-06, estim_lr_coef: Number = 1.0,
    weight_decay: Number = 0.0, safeguard_warmup: bool = False
) -> GradientTransformationExtraArgs:
    """As `gradtx.prodigy(eps_of_new_d=True)`."""
def reduce_on_plateau(
    factor: float = 0.1, patience: int = 10, rtol: float = 0.0001, atol: float = 0.0, cooldown: int = 0,
    accumulation_size: int = 1, min_scale: float = 0.0
) -> GradientTransformationExtraArgs:
    """Multiply updates by a scale that falls when a value has stopped falling; `update` without `value` is a TypeError."""
def sam(
    optimizer: GradientTransformation, adv_optimizer: GradientTransformation, sync_period: int = 2,
    reset_state: bool = True, opaque_mode: bool = False, batch_axis_name: str | None = None
) -> GradientTransformationExtraArgs:
    """Give an optimizer the gradient at a point uphill from the parameters, where the adversary leads backwards."""
def scale_by_acprop(
    b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-16, eps_root: Number = 1e-16
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_acprop`; Optax centres the variance at the average before the step (see `config`)."""
def scale_by_ademamix(
    b1: Number = 0.9, b2: Number = 0.999, b3: ScalarOrSchedule = 0.9999, alpha: ScalarOrSchedule = 6.0,
    eps: Number = 1e-08, eps_root: Number = 0.0, mu_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_ademamix`, with a step count of its own for the schedules of `b3` and `alpha`."""
def scale_by_adopt(
    b1: Number = 0.9, b2: Number = 0.9999, eps: Number = 1e-06, mu_dtype: DTypeOrNone = None, *, nesterov: bool = False,
    use_clipping: bool = True, clip_value_fn: Callable[[jax.Array], Any] = ...
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_adopt`, with the limit as a function of the step count."""
def scale_by_cocob(alpha: Number = 100.0, eps: Number = 1e-08) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_cocob`."""
def scale_by_galore(
    rank: int = 128, update_proj_gap: int = 200, scale: float = 1.0,
    base_optimizer: GradientTransformation | None = None, weight_dimension_numbers: NumbersOrFn | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_galore(side="larger", fix_signs=False)`; leaves that are no matrices have empty projectors."""
def scale_by_madgrad(
    learning_rate: ScalarOrSchedule, momentum: Number = 0.9, eps: Number = 1e-06
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_madgrad`."""
def scale_by_muon(
    ns_coeffs: Any = (3.4445, -4.775, 2.0315), ns_steps: int = 5, beta: Number = 0.95, eps: Number = 1e-08,
    mu_dtype: DTypeOrNone = None, *, nesterov: bool = True, adaptive: bool = False,
    preconditioning: Literal['frobenius', 'spectral', 'aol', 'schatten'] = 'frobenius',
    weight_dimension_numbers: NumbersOrFn | None = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_muon`; the coefficients are in the state. One triple per step: the last `ns_steps` are used."""
def scale_by_simplified_ademamix(
    b1: Number = 0.99, b2: Number = 0.95, alpha: ScalarOrSchedule = 0.0, eps: Number = 1e-08, eps_root: Number = 0.0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_simplified_ademamix`."""
def schedule_free(
    base_optimizer: GradientTransformation, learning_rate: ScalarOrSchedule, b1: float = 0.9,
    weight_lr_power: float = 2.0, state_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Train at a point between an optimizer's iterates and their average; see `gradtx.schedule_free`."""
def schedule_free_adamw(
    learning_rate: ScalarOrSchedule = 0.0025, warmup_steps: int | None = None, b1: float = 0.9, b2: float = 0.999,
    eps: float = 1e-08, weight_decay: float = 0.0, weight_lr_power: float = 2.0, state_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Schedule-free AdamW."""
def schedule_free_sgd(
    learning_rate: ScalarOrSchedule = 1.0, warmup_steps: int | None = None, b1: float = 0.9,
    weight_decay: float | None = None, weight_lr_power: float = 2.0, state_dtype: DTypeOrNone = None
) -> GradientTransformationExtraArgs:
    """Schedule-free SGD."""
def simplified_ademamix(
    learning_rate: ScalarOrSchedule, b1: Number = 0.99, b2: Number = 0.95, alpha: ScalarOrSchedule = 0.0,
    eps: Number = 1e-08, eps_root: Number = 0.0, weight_decay: Number = 0.0, mask: MaskOrFn = None
) -> GradientTransformationExtraArgs:
    """As `gradtx.simplified_ademamix`."""
def sophia(
    learning_rate: ScalarOrSchedule, b1: Number = 0.965, b2: Number = 0.99, eps: Number = 1e-08,
    weight_decay: Number = 0.0001, weight_decay_mask: MaskOrFn = None, gamma: Number = 0.01,
    clip_threshold: Number | None = 1.0, update_interval: int = 10, hessian_diagonal_fn: GradientTransformation = ...,
    mu_dtype: DTypeOrNone = None, verbose: bool = False, print_win_rate_every_n_steps: int = 0
) -> GradientTransformationExtraArgs:
    """As `gradtx.scale_by_sophia(debias=True, delayed=True)`; `verbose` prints the share of elements not clipped."""
def split_real_and_imaginary(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Run a transformation on the real and imaginary parts of complex leaves as on two parameters."""
