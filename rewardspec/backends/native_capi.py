"""What compiled code needs of CPython: memory by address, and calls of Python objects.

An object is its address, an `intp`. The functions of the C API are found by name in the running interpreter, so no C
compiler and no header is needed. Of CPython's structures only the head is known here (reference count, then type), of
NumPy's the fields of `PyArrayObject`, which its C API has promised since version 1.0. All of it holds on 64-bit builds
with the global interpreter lock; `is_supported` says whether this is one.
"""

from __future__ import annotations

import struct
import sys
import sysconfig
from typing import Any

import numba
from llvmlite import ir
from numba import float32, float64, int8, int16, int32, int64, types, uint8, uint16, uint32
from numba.core import cgutils as untyped
from numba.extending import intrinsic

__all__ = ["carray", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
"""Names of numba's that the text of a step reaches through this module, besides those below."""

cgutils: Any = untyped
any_types: Any = types
carray: Any = numba.carray  # type: ignore[attr-defined]
INT = ir.IntType(64)
VECTORCALL_OFFSET = 1 << 63
"""Says that the callee may use the slot before the first argument; a bound method puts `self` there."""

TYPE = 8
"""Offset of an object's type."""

DATA, AXES, SIZES, STRIDES, DTYPE, FLAGS, WATCHERS = 16, 24, 32, 40, 56, 64, 72
"""Offsets in a NumPy array; its watchers are weak references to it."""


def is_supported() -> bool:
    """Return whether objects of this interpreter are laid out as this module takes them to be."""
    return (
        sys.implementation.name == "cpython"
        and struct.calcsize("P") == 8
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not hasattr(sys, "getobjects")  # a build that traces references puts two words before the head
    )


@intrinsic
def word(context: Any, address: Any) -> Any:
    """Return the 64-bit integer at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], INT.as_pointer()))

    return types.intp(types.intp), generate


@intrinsic
def small(context: Any, address: Any) -> Any:
    """Return the 32-bit integer at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))
        return builder.sext(loaded, INT)

    return types.intp(types.intp), generate


@intrinsic
def put_word(context: Any, address: Any, value: Any) -> Any:
    """Write a 64-bit integer to an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], INT.as_pointer()))
        return context.get_dummy_value()

    return types.none(types.intp, types.intp), generate


@intrinsic
def pointer(context: Any, address: Any, kind: Any) -> Any:
    """Return an address as a pointer to numbers of a NumPy type, for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return any_types.CPointer(kind.dtype)(types.intp, kind), generate


def _function(name: str, result: Any, *parameters: Any) -> Any:
    """Return a function of the C API, as compiled code calls it."""
    return types.ExternalFunction(name, result(*parameters))


increase = _function("Py_IncRef", types.void, types.intp)
decrease = _function("Py_DecRef", types.void, types.intp)
tuple_size = _function("PyTuple_Size", types.intp, types.intp)
tuple_item = _function("PyTuple_GetItem", types.intp, types.intp, types.intp)
tuple_put = _function("PyTuple_SetItem", types.int32, types.intp, types.intp, types.intp)
new_tuple = _function("PyTuple_New", types.intp, types.intp)
list_item = _function("PyList_GetItem", types.intp, types.intp, types.intp)
list_put = _function("PyList_SetItem", types.int32, types.intp, types.intp, types.intp)
to_double = _function("PyFloat_AsDouble", types.float64, types.intp)
from_double = _function("PyFloat_FromDouble", types.intp, types.float64)
from_integer = _function("PyLong_FromLongLong", types.intp, types.int64)
error_set = _function("PyErr_Occurred", types.intp)
clear_error = _function("PyErr_Clear", types.void)
call_none = _function("PyObject_CallNoArgs", types.intp, types.intp)
is_true = _function("PyObject_IsTrue", types.int32, types.intp)


def _call(builder: Any, callable_: Any, arguments: list[Any]) -> Any:
    """Emit `callable_(*arguments)` by vectorcall."""
    count = len(arguments)
    slots = cgutils.alloca_once(builder, ir.ArrayType(INT, count + 1))
    for i, argument in enumerate(arguments, 1):
        builder.store(argument, cgutils.gep_inbounds(builder, slots, 0, i))
    first = builder.ptrtoint(cgutils.gep_inbounds(builder, slots, 0, 1), INT)
    kind = ir.FunctionType(INT, [INT] * 4)
    function = cgutils.get_or_insert_function(builder.module, kind, "PyObject_Vectorcall")
    return builder.call(function, [callable_, first, INT(count | VECTORCALL_OFFSET), INT(0)])


@intrinsic
def call_one(context: Any, callable_: Any, argument: Any) -> Any:
    """Return `callable_(argument)`, a new reference; 0 when it raised."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, arguments[0], [arguments[1]])

    return types.intp(types.intp, types.intp), generate


@intrinsic
def call_two(context: Any, callable_: Any, first: Any, second: Any) -> Any:
    """Return `callable_(first, second)`, a new reference; 0 when it raised."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, arguments[0], [arguments[1], arguments[2]])

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def call_three(context: Any, callable_: Any, first: Any, second: Any, third: Any) -> Any:
    """Return `callable_(first, second, third)`, a new reference; 0 when it raised."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(builder, arguments[0], list(arguments[1:]))

    return types.intp(types.intp, types.intp, types.intp, types.intp), generate


@intrinsic
def call_with(context: Any, callable_: Any, first: Any, count: Any, names: Any) -> Any:
    """Return what a callable makes of arguments as they came in: the address of the first, their number, the names."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(INT, [INT] * 4)
        function = cgutils.get_or_insert_function(builder.module, kind, "PyObject_Vectorcall")
        return builder.call(function, arguments)

    return types.intp(types.intp, types.intp, types.intp, types.intp), generate
