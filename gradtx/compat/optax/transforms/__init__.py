"""Optax's `transforms`: transformations, and what is made of transformations."""

from gradtx.compat.optax.names import show

__getattr__ = show(
    __name__,
    """
accumulate: MultiSteps skip_large_updates skip_not_finite
combine: chain freeze masked named_chain partition selective_transform
condition: ConditionFn conditionally_mask conditionally_transform
monitor: measure_with_ema monitor snapshot
states: AddNoiseState ApplyIfFiniteState ConditionallyMaskState ConditionallyTransformState EmaState MaskedNode
    MaskedState MonitorState MultiStepsState NonNegativeParamsState PartitionState ShouldSkipUpdateFunction
    SnapshotState TraceState ZeroNansState
transforms.links: add_decayed_weights add_noise per_example_global_norm_clip per_example_layer_norm_clip unitwise_clip
    unitwise_norm zero_nans
transforms.spelled: adaptive_grad_clip apply_if_finite clip clip_by_block_rms clip_by_global_norm ema flatten
    keep_params_nonnegative trace
""",
)
