"""The native step: every elementwise chain in one pass over memory, on the CPU."""

from gradtx.core import one_pass
from gradtx.native import load, lowering
from gradtx.native.load import available as available
from gradtx.native.load import off as off
from gradtx.native.load import why_not as why_not
from gradtx.native.streams import pass_seconds as pass_seconds

one_pass.register("cpu", lowering.lowered, load.wanted)
# Here and not at the first step, so that a compiled program that was saved finds its handler where gradtx is
# imported, whether steps are to be traced with it or not.
load.available()
