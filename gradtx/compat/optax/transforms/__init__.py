"""Optax's `transforms`: transformations, and what is made of transformations."""

from gradtx.compat.optax.names import show

show(
    __name__,
    """
combine: chain freeze masked named_chain partition selective_transform
states: AddNoiseState ApplyIfFiniteState ConditionallyMaskState ConditionallyTransformState EmaState MaskedNode
    MaskedState MonitorState MultiStepsState NonNegativeParamsState PartitionState ShouldSkipUpdateFunction
    SnapshotState TraceState ZeroNansState
transforms.links: add_decayed_weights add_noise per_example_global_norm_clip per_example_layer_norm_clip unitwise_clip
    unitwise_norm zero_nans
transforms.spelled: adaptive_grad_clip apply_if_finite clip clip_by_block_rms clip_by_global_norm ema flatten
    keep_params_nonnegative trace
wrappers: ConditionFn MultiSteps conditionally_mask conditionally_transform measure_with_ema monitor skip_large_updates
    skip_not_finite snapshot
""",
)
