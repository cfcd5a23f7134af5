"""Type checkers read of `gradtx.compat.optax` what it is today."""

import pytest

from tests.compat.stubs import MODULES, Stub, path


@pytest.mark.parametrize("name", MODULES)
def test_stubs_are_up_to_date(name):
    assert path(name).read_text() == str(Stub(name)), "write it anew: python -m tests.compat.stubs"
