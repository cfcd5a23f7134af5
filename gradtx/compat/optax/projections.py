"""Projections: gradtx's own under Optax's path."""

from gradtx.compat.optax.names import show

show(
    __name__,
    """
gradtx.projections: projection_box projection_halfspace projection_hypercube projection_hyperplane projection_l1_ball
    projection_l1_sphere projection_l2_ball projection_l2_sphere projection_linf_ball projection_non_negative
    projection_simplex projection_vector
""",
)
