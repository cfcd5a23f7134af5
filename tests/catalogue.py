"""The catalogue: one row per transformation. The laws run over all of them."""

import pytest

from tests.rows import Row as Row
from tests.rows import (
    adam,
    adaptive,
    combinators,
    combine,
    memory,
    modern,
    momentum,
    muon,
    parameter_free,
    rms,
    search,
    sign,
    simple,
    sophia,
    spikes,
    trust,
    wrappers,
)

ROWS: list[Row] = [
    *simple.ROWS,
    *momentum.ROWS,
    *rms.ROWS,
    *adam.ROWS,
    *muon.ROWS,
    *sign.ROWS,
    *adaptive.ROWS,
    *trust.ROWS,
    *parameter_free.ROWS,
    *memory.ROWS,
    *modern.ROWS,
    *sophia.ROWS,
    *spikes.ROWS,
    *combine.ROWS,
    *combinators.ROWS,
    *wrappers.ROWS,
    *search.ROWS,
]

# The foundation's rows run everywhere; the others are left out with -m "not slow".
FOUNDATION = {row.id for family in (simple, momentum, rms, adam) for row in family.ROWS}


def parametrized(rows: list[Row], others: pytest.MarkDecorator = pytest.mark.slow) -> pytest.MarkDecorator:
    """Run a test over some rows of the catalogue; those that are not the foundation's are marked."""
    slow = lambda row: [] if row.id in FOUNDATION else [others]
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.id, marks=slow(row)) for row in rows])


every_row = parametrized(ROWS)

# The laws run over one row for each transformation, the first; its other rows are there for their oracles. Combinators
# run them in every row, around each of their bases and nested.
FIRST = [
    row
    for i, row in enumerate(ROWS)
    if row in combinators.ROWS or row.tx.name not in {earlier.tx.name for earlier in ROWS[:i]}
]
every_transformation = parametrized(FIRST)
# For laws that take minutes over all rows: of the others they run with --slow only.
few_transformations = parametrized(FIRST, pytest.mark.exhaustive)
