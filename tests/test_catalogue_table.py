"""The generated table is true, and nothing public is missing from the catalogue."""

import gradtx
from gradtx.core.transformation import GradientTransformation
from gradtx.core.values import Maker
from tests.catalogue import ROWS
from tests.catalogue_table import PAGE, page


def test_page_is_current():
    assert PAGE.read_text() == page(), "run python -m tests.catalogue_table"


PER_EXAMPLE = {"differentially_private_aggregate", "dpsgd"}
"""They take gradients with an axis of examples, which the laws' trees have not; tests/optimizers/test_dpsgd.py."""


def test_every_public_transformation_has_a_row():
    makers = {name for name, x in vars(gradtx).items() if isinstance(x, Maker) and x.kind is GradientTransformation}
    assert makers - {row.tx.name for row in ROWS} == PER_EXAMPLE
