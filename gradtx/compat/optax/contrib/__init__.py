"""`optax.contrib`: optimizers and wrappers outside Optax's core."""

from gradtx.compat.optax.names import show

__getattr__ = show(
    __name__,
    """
gradtx.combine: complex.SplitRealAndImaginaryState
contrib: adaptive.ScaleByAdemamixState adaptive.ScaleBySimplifiedAdEMAMixState adaptive.scale_by_acprop
    adaptive.scale_by_ademamix adaptive.scale_by_adopt adaptive.scale_by_simplified_ademamix
    matrices.GaLoreDimensionNumbers matrices.MuonDimensionNumbers matrices.MuonState matrices.muon
    matrices.scale_by_galore matrices.scale_by_muon optimizers.acprop optimizers.ademamix optimizers.adopt
    optimizers.cocob optimizers.differentially_private_aggregate optimizers.dog optimizers.dowg optimizers.dpsgd
    optimizers.galore optimizers.madgrad optimizers.scale_by_cocob optimizers.scale_by_madgrad
    optimizers.simplified_ademamix optimizers.sophia optimizers.dadapt_adamw parameter_free.momo
    parameter_free.momo_adam optimizers.prodigy sam.NormalizeState sam.SAMState sam.normalize sam.sam
    schedule_free.ScheduleFreeState schedule_free.schedule_free schedule_free.schedule_free_adamw
    schedule_free.schedule_free_eval_params schedule_free.schedule_free_sgd sophia.HutchinsonState
    sophia.hutchinson_estimator_diag_hessian wrappers.mechanize wrappers.reduce_on_plateau
    wrappers.split_real_and_imaginary
gradtx.optimizers: cocob.COCOBState dadapt.DAdaptAdamWState dog.DoGState dowg.DoWGState galore.GaLoreState
    madgrad.MadgradState momo.MomoAdamState momo.MomoState prodigy.ProdigyState sophia.SophiaState
gradtx.transforms: per_example.DifferentiallyPrivateAggregateState
gradtx.wrappers: mechanic.MechanicState plateau.ReduceLROnPlateauState
""",
)
