"""XLA's structs in ctypes, and one call of the handler as XLA would make it, or would never make it."""

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int32, c_int64, c_size_t, c_void_p
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TYPES = {"int8": 2, "int32": 4, "uint8": 6, "float16": 10, "float32": 11, "float64": 12, "bfloat16": 16}
BUFFER, ARRAY = 1, 1


def struct(name, **fields):
    return type(name, (Structure,), {"_fields_": list(fields.items())})


HEAD = dict(size=c_size_t, extension=c_void_p)
Buffer = struct("Buffer", **HEAD, type=c_int32, data=c_void_p, rank=c_int64, dims=c_void_p)
Buffers = struct("Buffers", **HEAD, count=c_int64, types=c_void_p, items=c_void_p)
Array = struct("Array", type=c_int32, count=c_size_t, data=c_void_p)
Name = struct("Name", data=c_char_p, size=c_size_t)
Attributes = struct("Attributes", **HEAD, count=c_int64, types=c_void_p, names=c_void_p, items=c_void_p)
Error = struct("Error", **HEAD, message=c_char_p, code=c_int32)
Destroy = struct("Destroy", **HEAD, error=c_void_p)
Schedule = struct("Schedule", **HEAD, context=c_void_p, task=c_void_p, data=c_void_p)
Threads = struct("Threads", **HEAD, context=c_void_p, threads=POINTER(c_int64))
MAKE, COUNT = CFUNCTYPE(c_void_p, POINTER(Error)), CFUNCTYPE(c_void_p, POINTER(Threads))
START, DESTROY = CFUNCTYPE(c_void_p, POINTER(Schedule)), CFUNCTYPE(None, POINTER(Destroy))
TASK = CFUNCTYPE(None, c_void_p)
Api = struct(
    "Api",
    head=c_void_p * 6,
    make_error=MAKE,
    message=c_void_p,
    destroy=DESTROY,
    others=c_void_p * 8,
    schedule=START,
    threads=COUNT,
)
FRAME = dict(api=POINTER(Api), context=c_void_p, stage=c_int32)
Frame = struct("Frame", **HEAD, **FRAME, arguments=Buffers, results=Buffers, attributes=Attributes)

REFUSAL, FAILURE = 71, 72
"""What stands for an error that the handler makes, and for one that it is given."""


@dataclass
class Pool:
    """XLA's threads: how many it says there are, and what becomes of a task; an error where that is None."""

    threads: int | None = 4
    tasks: str | None = "late"  # run when the call has returned; "now"; "never"


@dataclass
class Call:
    """One call: structs that can be changed before it is made, and what they point to."""

    arguments: list[Any]
    results: list[Any]
    attributes: dict[str, Any]  # Array by name
    kinds: dict[str, list[int]] = field(default_factory=dict[str, list[int]])  # of the three, where not the right ones
    changed: dict[str, Any] = field(
        default_factory=dict[str, Any]
    )  # fields of the frame's parts, such as "results.count"

    def make(self, library, pool):
        """What the handler says, or None; how often it asked for help."""
        told, tasks, failures = [], [], []

        def make_error(error):
            told.append(error[0].message.decode())
            return REFUSAL

        def fail():
            failures.append(FAILURE)
            return FAILURE

        def destroy(asked):
            failures.remove(asked[0].error)

        def count(asked):
            if pool.threads is None:
                return fail()
            asked[0].threads[0] = pool.threads
            return None

        def schedule(asked):
            if pool.tasks is None:
                return fail()
            tasks.append((TASK(asked[0].task), asked[0].data))
            if pool.tasks == "now":
                tasks[-1][0](tasks[-1][1])
            return None

        api = Api(make_error=MAKE(make_error), destroy=DESTROY(destroy), schedule=START(schedule), threads=COUNT(count))
        frame, alive = self.frame(api)
        handler = library.gradtx_step
        handler.restype = c_void_p
        returned = handler(ctypes.byref(frame))
        for task, data in tasks if pool.tasks == "late" else ():
            task(data)
        assert (returned, len(told)) in ((None, 0), (REFUSAL, 1)), (returned, told)
        assert not failures
        del alive
        return (told or [None])[0], len(tasks)

    def frame(self, api):
        alive: list[Any] = [api]

        def pointers(items):
            alive.append((c_void_p * max(1, len(items)))(*(None if x is None else ctypes.addressof(x) for x in items)))
            return ctypes.addressof(alive[-1])

        def kinds(name, right, count):
            alive.append((c_int32 * max(1, count))(*self.kinds.get(name, [right] * count)[:count]))
            return ctypes.addressof(alive[-1])

        def buffers(name, items):
            return Buffers(count=len(items), types=kinds(name, BUFFER, len(items)), items=pointers(items))

        items = list(self.attributes.values())
        names = [Name(data=x, size=len(x)) for x in map(str.encode, self.attributes)]
        alive.append(names)
        attributes = Attributes(
            count=len(items), types=kinds("attributes", ARRAY, len(items)), names=pointers(names), items=pointers(items)
        )
        parts = dict(
            arguments=buffers("arguments", self.arguments),
            results=buffers("results", self.results),
            attributes=attributes,
        )
        for name, value in self.changed.items():
            part, field_name = name.split(".")
            setattr(parts[part], field_name, value)
        return Frame(api=ctypes.pointer(api), stage=3, **parts), alive


def buffer(kind, address, dims):
    """A buffer; its shape lives as long as it."""
    shape = (c_int64 * max(2, len(dims)))(*dims)
    made = Buffer(type=TYPES[kind], data=address, rank=len(dims), dims=ctypes.addressof(shape) if dims else None)
    made.alive = shape
    return made


def buffer_of(x):
    return buffer(x.dtype.name, x.ctypes.data, x.shape)


def numbers(values):
    """An attribute: a vector of int32."""
    x = np.array(values, np.int32).ravel()
    made = Array(type=TYPES["int32"], count=x.size, data=x.ctypes.data)
    made.alive = x
    return made
