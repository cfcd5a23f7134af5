"""`optax.contrib`: optimizers and wrappers outside Optax's core."""

# Optimizers with running averages.
from gradtx.combine.complex import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from gradtx.compat.optax.contrib.adaptive import ScaleByAdemamixState as ScaleByAdemamixState
from gradtx.compat.optax.contrib.adaptive import ScaleBySimplifiedAdEMAMixState as ScaleBySimplifiedAdEMAMixState
from gradtx.compat.optax.contrib.adaptive import acprop as acprop
from gradtx.compat.optax.contrib.adaptive import ademamix as ademamix
from gradtx.compat.optax.contrib.adaptive import adopt as adopt
from gradtx.compat.optax.contrib.adaptive import madgrad as madgrad
from gradtx.compat.optax.contrib.adaptive import scale_by_acprop as scale_by_acprop
from gradtx.compat.optax.contrib.adaptive import scale_by_ademamix as scale_by_ademamix
from gradtx.compat.optax.contrib.adaptive import scale_by_adopt as scale_by_adopt
from gradtx.compat.optax.contrib.adaptive import scale_by_madgrad as scale_by_madgrad
from gradtx.compat.optax.contrib.adaptive import scale_by_simplified_ademamix as scale_by_simplified_ademamix
from gradtx.compat.optax.contrib.adaptive import simplified_ademamix as simplified_ademamix

# Optimizers of matrices.
from gradtx.compat.optax.contrib.matrices import GaLoreDimensionNumbers as GaLoreDimensionNumbers
from gradtx.compat.optax.contrib.matrices import MuonDimensionNumbers as MuonDimensionNumbers
from gradtx.compat.optax.contrib.matrices import MuonState as MuonState
from gradtx.compat.optax.contrib.matrices import galore as galore
from gradtx.compat.optax.contrib.matrices import muon as muon
from gradtx.compat.optax.contrib.matrices import scale_by_galore as scale_by_galore
from gradtx.compat.optax.contrib.matrices import scale_by_muon as scale_by_muon

# Optimizers that find their own step size.
from gradtx.compat.optax.contrib.parameter_free import cocob as cocob
from gradtx.compat.optax.contrib.parameter_free import dadapt_adamw as dadapt_adamw
from gradtx.compat.optax.contrib.parameter_free import dog as dog
from gradtx.compat.optax.contrib.parameter_free import dowg as dowg
from gradtx.compat.optax.contrib.parameter_free import momo as momo
from gradtx.compat.optax.contrib.parameter_free import momo_adam as momo_adam
from gradtx.compat.optax.contrib.parameter_free import prodigy as prodigy
from gradtx.compat.optax.contrib.parameter_free import scale_by_cocob as scale_by_cocob

# Privacy and curvature.
from gradtx.compat.optax.contrib.privacy import differentially_private_aggregate as differentially_private_aggregate
from gradtx.compat.optax.contrib.privacy import dpsgd as dpsgd

# Wrappers.
from gradtx.compat.optax.contrib.sam import NormalizeState as NormalizeState
from gradtx.compat.optax.contrib.sam import SAMState as SAMState
from gradtx.compat.optax.contrib.sam import normalize as normalize
from gradtx.compat.optax.contrib.sam import sam as sam
from gradtx.compat.optax.contrib.schedule_free import ScheduleFreeState as ScheduleFreeState
from gradtx.compat.optax.contrib.schedule_free import schedule_free as schedule_free
from gradtx.compat.optax.contrib.schedule_free import schedule_free_adamw as schedule_free_adamw
from gradtx.compat.optax.contrib.schedule_free import schedule_free_eval_params as schedule_free_eval_params
from gradtx.compat.optax.contrib.schedule_free import schedule_free_sgd as schedule_free_sgd
from gradtx.compat.optax.contrib.sophia import HutchinsonState as HutchinsonState
from gradtx.compat.optax.contrib.sophia import hutchinson_estimator_diag_hessian as hutchinson_estimator_diag_hessian
from gradtx.compat.optax.contrib.sophia import sophia as sophia
from gradtx.compat.optax.contrib.wrappers import mechanize as mechanize
from gradtx.compat.optax.contrib.wrappers import reduce_on_plateau as reduce_on_plateau
from gradtx.compat.optax.contrib.wrappers import split_real_and_imaginary as split_real_and_imaginary

# State types that are gradtx's own.
from gradtx.optimizers.cocob import COCOBState as COCOBState
from gradtx.optimizers.dadapt import DAdaptAdamWState as DAdaptAdamWState
from gradtx.optimizers.dog import DoGState as DoGState
from gradtx.optimizers.dowg import DoWGState as DoWGState
from gradtx.optimizers.galore import GaLoreState as GaLoreState
from gradtx.optimizers.madgrad import MadgradState as MadgradState
from gradtx.optimizers.momo import MomoAdamState as MomoAdamState
from gradtx.optimizers.momo import MomoState as MomoState
from gradtx.optimizers.prodigy import ProdigyState as ProdigyState
from gradtx.optimizers.sophia import SophiaState as SophiaState
from gradtx.transforms.per_example import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from gradtx.wrappers.mechanic import MechanicState as MechanicState
from gradtx.wrappers.plateau import ReduceLROnPlateauState as ReduceLROnPlateauState
