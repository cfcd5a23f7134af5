"""What a call is told that names the dtype of a slot, as makers of version 0.1.0 took it."""

import re

import pytest

import gradtx
from gradtx.core.values import split_arguments
from tests.catalogue import ROWS

FIRST = {row.tx.name: row.tx for row in reversed(ROWS)}
KEPT = {name: tx for name, tx in FIRST.items() if hasattr(gradtx, name) and not tx.maker.opaque}


@pytest.mark.parametrize("tx", KEPT.values(), ids=KEPT)
def test_slots_are_named_as_the_state_has_them(tx):
    slots = tx.slot_names()
    args, kwargs = split_arguments(tx.maker, tx.arguments)
    takes_any = any(p.named_variadic for p in tx.maker.parameters.values())
    for slot in slots if not takes_any else ():
        with pytest.raises(TypeError, match=f"gradtx.{tx.name}.*{slot}='bfloat16'"):
            tx.maker(*args, **kwargs, **{f"{slot}_dtype": "bfloat16"})
        gradtx.stored(tx, **{slot: "bfloat16"})
    if not takes_any:
        with pytest.raises(TypeError) as refused:
            tx.maker(*args, **kwargs, none_such_dtype="bfloat16")
        named = re.search(r"its slots, ([^:]*): (gradtx.*)", str(refused.value))
        assert (named.group(1).split(", ") if named else []) == list(slots)
        kept = "'bfloat16'" if len(slots) == 1 else "..."  # for a slot there is, whatever name was given
        assert not named or named.group(2) == f"gradtx.stored(gradtx.{tx.name}(...), {slots[0]}={kept})"
