"""What rules are written with: averages, squares and roots with finite derivatives, and how slots start."""

from gradtx.core.averages import abs_sq as abs_sq
from gradtx.core.averages import agreement as agreement
from gradtx.core.averages import cbrt as cbrt
from gradtx.core.averages import debias as debias
from gradtx.core.averages import debias_ahead as debias_ahead
from gradtx.core.averages import divide_up_to as divide_up_to
from gradtx.core.averages import ema as ema
from gradtx.core.averages import finite_abs_sq as finite_abs_sq
from gradtx.core.averages import mean as mean
from gradtx.core.averages import mean_sq as mean_sq
from gradtx.core.averages import rms as rms
from gradtx.core.averages import safe_divide as safe_divide
from gradtx.core.averages import saturate as saturate
from gradtx.core.averages import sign as sign
from gradtx.core.averages import sqrt as sqrt
from gradtx.core.slots import copy as copy
from gradtx.core.slots import full as full
from gradtx.core.slots import scalar as scalar
from gradtx.core.slots import zeros as zeros
from gradtx.core.slots import zeros_shaped as zeros_shaped
