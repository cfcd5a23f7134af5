"""Perturbed functions: gradtx's own under Optax's path."""

from gradtx.perturbations import Gumbel as Gumbel
from gradtx.perturbations import Normal as Normal
from gradtx.perturbations import make_perturbed_fun as make_perturbed_fun
