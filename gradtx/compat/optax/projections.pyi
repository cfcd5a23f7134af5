"""Projections: gradtx's own under Optax's path."""

# Written by `python -m tests.compat.stubs`.

from gradtx.projections.balls import projection_l1_ball as projection_l1_ball
from gradtx.projections.balls import projection_l1_sphere as projection_l1_sphere
from gradtx.projections.balls import projection_l2_ball as projection_l2_ball
from gradtx.projections.balls import projection_l2_sphere as projection_l2_sphere
from gradtx.projections.balls import projection_linf_ball as projection_linf_ball
from gradtx.projections.boxes import projection_box as projection_box
from gradtx.projections.boxes import projection_hypercube as projection_hypercube
from gradtx.projections.boxes import projection_non_negative as projection_non_negative
from gradtx.projections.planes import projection_halfspace as projection_halfspace
from gradtx.projections.planes import projection_hyperplane as projection_hyperplane
from gradtx.projections.planes import projection_vector as projection_vector
from gradtx.projections.simplex import projection_simplex as projection_simplex


