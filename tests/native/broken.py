"""Ways to break a call of the handler, none of which it could not notice."""

import numpy as np

from tests.native.frames import TYPES, numbers

NASTY = [-(2**31), -1000, -65, -64, -2, -1, 0, 1, 2, 3, 23, 24, 25, 31, 32, 33, 55, 56, 57, 63, 64, 65, 1000, 2**31 - 1]
LENGTHS = [-(2**63), -(2**32), -1, 2**56, 2**60, 2**61, 2**62, 2**63 - 1]
OTHER_TYPES = [*TYPES.values(), -1, 0, 1, 2, 3, 5, 8, 9, 15, 17, 18, 20, 33, 1000]
PARTS = ["arguments", "results", "attributes"]


def attribute(rng, call):
    """One attribute that is there."""
    found = [x for x in call.attributes.values() if x is not None]
    return rng.choice(found) if found else numbers([0])


def a_number(rng, call):
    values = attribute(rng, call).alive
    if values.size:
        values[rng.randrange(values.size)] = rng.choice(NASTY)


def instructions(call):
    """The rows of the code, as far as there are any."""
    code = call.attributes.get("code")
    return np.zeros((1, 9), np.int32) if code is None else code.alive[: code.alive.size // 9 * 9].reshape(-1, 9)


def an_instruction(rng, call):
    rows = instructions(call)
    if len(rows):
        rows[rng.randrange(len(rows)), rng.randrange(9)] = rng.randint(-8, 50)


def two_instructions(rng, call):
    rows = instructions(call)
    if len(rows) > 1:
        i, j = rng.sample(range(len(rows)), 2)
        rows[[i, j]] = rows[[j, i]]


def a_shorter_attribute(rng, call):
    x = attribute(rng, call)
    x.count = rng.randrange(max(1, x.count))


def other_numbers(rng, call):
    name = rng.choice(["code", "reads", "sizes", "streams", "more", "Code", "size", ""])
    call.attributes[name] = numbers([rng.choice(NASTY) for _ in range(rng.choice([0, 1, 4, 9, 18, 70]))])


def a_lost_attribute(rng, call):
    call.attributes.pop(rng.choice(["code", "reads", "sizes", "streams"]), None)


def a_renamed_attribute(rng, call):
    name = rng.choice(["code", "reads", "sizes", "streams"])
    if name in call.attributes:
        call.attributes[rng.choice([name[:-1], name + "s", name.upper(), "", "é"])] = call.attributes.pop(name)


def another_order(rng, call):
    items = list(call.attributes.items())
    rng.shuffle(items)
    call.attributes = dict(items)


def an_attribute_of_another_type(rng, call):
    attribute(rng, call).type = rng.choice(OTHER_TYPES)


def no_numbers(rng, call):
    x = attribute(rng, call)
    x.data = rng.choice([None, x.data + 1 if x.data else None])


def other_kinds(rng, call):
    name = rng.choice(PARTS)
    count = max(1, len(getattr(call, name)))
    kinds = [1] * count
    kinds[rng.randrange(count)] = rng.choice([0, 2, 3, 4, -1, 1000])
    call.kinds[name] = kinds


def another_count(rng, call):
    call.changed[f"{rng.choice(PARTS)}.count"] = rng.choice(LENGTHS)


def a_missing_pointer(rng, call):
    call.changed[f"{rng.choice(PARTS)}.{rng.choice(['types', 'items'])}"] = None


def missing_names(rng, call):
    call.changed["attributes.names"] = None


def a_missing_array(rng, call):
    name = rng.choice(PARTS)
    if name == "attributes" and call.attributes:
        call.attributes[rng.choice(list(call.attributes))] = None
    elif name != "attributes" and getattr(call, name):
        items = getattr(call, name)
        items[rng.randrange(len(items))] = None


def array(rng, call):
    """An argument or a result."""
    found = [x for x in [*call.arguments, *call.results] if x is not None]
    return rng.choice(found) if found else None


def an_array_of_another_type(rng, call):
    x = array(rng, call)
    if x is not None:
        x.type = rng.choice(OTHER_TYPES)


def another_shape(rng, call):
    x = array(rng, call)
    if x is not None:
        count = x.alive[0] if x.rank == 1 else 1
        x.alive[0] = rng.choice([*LENGTHS, 0, count // 2, count])
        x.alive[1] = rng.choice([*LENGTHS, 0, 1])
        x.rank = rng.choice([-(2**63), -1, 0, 1, 1, 2, 256, 2**40])


def no_memory(rng, call):
    x = array(rng, call)
    if x is not None and x.data:
        x.data = rng.choice([None, x.data + 1, x.data + 2, x.data + 4])


def overlapping_memory(rng, call):
    x, y = array(rng, call), array(rng, call)
    if x is not None and y is not None and x.data and y.data and x.alive[0] <= y.alive[0]:
        x.data = y.data + rng.choice([0, 0, 2, 4, 8])


def no_shape(rng, call):
    x = array(rng, call)
    if x is not None and x.rank:
        x.dims = None


def another_number_of_arrays(rng, call):
    items = rng.choice([call.arguments, call.results])
    if rng.random() < 0.5 and items:
        items.pop(rng.randrange(len(items)))
    else:
        items.insert(rng.randint(0, len(items)), array(rng, call))


def two_arrays(rng, call):
    items = rng.choice([call.arguments, call.results])
    if len(items) > 1:
        i, j = rng.sample(range(len(items)), 2)
        items[i], items[j] = items[j], items[i]


PROGRAM = [a_number, an_instruction, an_instruction, two_instructions]
WAYS = [
    *PROGRAM * 4, a_shorter_attribute, other_numbers, a_lost_attribute, a_renamed_attribute, another_order,
    an_attribute_of_another_type, no_numbers, other_kinds, another_count, a_missing_pointer, missing_names,
    a_missing_array, an_array_of_another_type, another_shape, no_memory, overlapping_memory, no_shape,
    another_number_of_arrays, two_arrays,
]  # fmt: skip


def break_it(rng, call):
    """Break a call in one way; a few leave it whole."""
    rng.choice(WAYS)(rng, call)
