"""What package and library agree on: the operations and limits of the native machine, and their version.

It is written once, here. To build the library this file is run, for the C++ header that it prints: so it imports
nothing of gradtx.
"""

import sys
from typing import NamedTuple

INTERFACE = 6
"""The version of instructions and attributes. One is counted up where programs and libraries no longer fit."""

MOST_STREAMS, MOST_REGISTERS, MOST_SCALARS = 32, 24, 64
"""The limits of a program."""

MOST_CODED, MOST_SPAN, SHORT = 4, 4096, 256
"""How many arrays of codes it writes, how many numbers are coded together, and at least if there are as many."""

CODEC = (
    "block",  # how many numbers share a scale: 0 where there are no scales, -1 for a row
    "random",  # whether it rounds at random
    "mirrored",  # whether there are negative numbers
    "nan",  # the code of what is no number
    "values",  # where among the numbers of tables the float of each of 256 codes is
    "entries",  # and where what the code is looked up by: a bucket is a float's bits without the last
    "lowest",  # of all numbers the least bucket
    "buckets",  # how many there are; as many again for negative numbers
    "shift",  # how many are the last bits
    "least",  # the code, at least, of what is more than 0
    "steps",  # else, where this is not 0: how many codes there are to an octave
    "low",  # the exponent of the code 1
    "last",  # the code of the largest magnitude
)
"""What the machine is told of a codec: a number each."""


class Operation(NamedTuple):
    """An operation, and how many operands of an instruction it reads."""

    name: str
    reads: int = 1  # of x, y and z
    either: int = 0  # of these, how many may be scalars instead of registers
    scalars: int = 0  # of s0 to s3
    means: str = ""


BINARY = (
    "add", "sub", "mul", "div", "max", "min", "pow", "atan2", "and", "or", "eq", "ne", "lt", "le", "gt", "ge",
)  # fmt: skip
UNARY = (
    "neg", "abs", "sign", "sqrt", "rsqrt", "cbrt", "exp", "expm1", "log", "log1p", "tanh", "atan", "is_finite", "not",
    "copy", "round_float16", "round_bfloat16", "round_float32",
)  # fmt: skip
OPERATIONS = (
    Operation("load", means="register <- stream, converted"),
    Operation("store", means="stream <- register, rounded"),
    Operation("store_held", scalars=1, means="the same, and held within -s0 and s0 where it is finite"),
    *(Operation(name, reads=2, either=1) for name in BINARY),
    *(Operation(name) for name in UNARY),
    Operation("select", reads=3, either=3, means="x is not 0 ? z : y"),
    Operation("saturate", scalars=1, means="x, held within -s0 and s0 where it is finite"),
    Operation("mul_add", reads=2, scalars=1, means="s0 x + y"),
    Operation("blend", reads=2, scalars=2, means="s0 x + s1 y"),
    Operation("blend_square", reads=2, scalars=2, means="s0 x + s1 y^2"),
    Operation("ratio_root", reads=2, scalars=4, means="(x / s0) / (sqrt(y / s1 + s2) + s3)"),
    Operation("sum", means="adds x to the sum of the run"),
    Operation("decode", means="to <- the numbers of the codes x and, where there are any, the scales y"),
    Operation(
        "encode", scalars=2, means="codes to, scales y <- x; at random by the codes z and the seed 65536 s0 + s1"
    ),
)
"""In the order of their codes."""

NAMED = {operation.name: operation for operation in OPERATIONS}
CODES = {operation.name: code for code, operation in enumerate(OPERATIONS)}


def header() -> str:
    """All of it in C++, where the name of an operation is in camel case after a k."""
    constant = lambda name: "k" + "".join(word.capitalize() for word in name.split("_"))
    codes = "".join(f"  {constant(x.name)},{x.means and f'  // {x.means}'}\n" for x in OPERATIONS)
    fields = ", ".join(CODEC)
    operands = "".join(f"  {{{x.reads}, {x.either}}},  // {x.name}\n" for x in OPERATIONS)
    return f"""// Written by gradtx/native/operations.py when the library is built.
#pragma once

#include <cstdint>

namespace gradtx {{

constexpr int32_t kInterface = {INTERFACE};
constexpr int32_t kMostStreams = {MOST_STREAMS}, kMostRegisters = {MOST_REGISTERS}, kMostScalars = {MOST_SCALARS};
constexpr int32_t kMostCoded = {MOST_CODED}, kMostSpan = {MOST_SPAN}, kShort = {SHORT};

struct Codec {{
  int32_t {fields};
}};

// x, y and z are registers; s0 to s3 are scalars.
enum Op : int32_t {{
{codes}}};

constexpr int32_t kOps = {len(OPERATIONS)};

// How many of x, y and z an operation reads, and how many of these may be scalars.
struct Operands {{
  int reads, either;
}};

constexpr Operands kOperands[kOps] = {{
{operands}}};

}}  // namespace gradtx
"""


if __name__ == "__main__":
    sys.stdout.write(header())
