"""`optax.contrib`: optimizers and wrappers outside Optax's core."""

from gradtx.compat.optax.names import show

show(
    __name__,
    """
gradtx.combine: complex.SplitRealAndImaginaryState
contrib.directions: differentially_private_aggregate hutchinson_estimator_diag_hessian momo momo_adam scale_by_ademamix
    scale_by_adopt
contrib.matrices: GaLoreDimensionNumbers MuonDimensionNumbers muon scale_by_galore scale_by_muon
contrib.optimizers: acprop ademamix adopt cocob dadapt_adamw dog dowg dpsgd galore madgrad mechanize normalize prodigy
    scale_by_acprop scale_by_cocob scale_by_madgrad scale_by_simplified_ademamix simplified_ademamix sophia
    split_real_and_imaginary
contrib.wrappers: ScheduleFreeState reduce_on_plateau sam schedule_free schedule_free_adamw schedule_free_eval_params
    schedule_free_sgd
states: HutchinsonState MuonState NormalizeState SAMState ScaleByAdemamixState ScaleBySimplifiedAdEMAMixState
gradtx.optimizers: cocob.COCOBState prodigy.DAdaptAdamWState dog.DoGState dog.DoWGState galore.GaLoreState
    madgrad.MadgradState momo.MomoAdamState momo.MomoState prodigy.ProdigyState sophia.SophiaState
gradtx.transforms: per_example.DifferentiallyPrivateAggregateState
gradtx.wrappers: mechanic.MechanicState plateau.ReduceLROnPlateauState
""",
)
