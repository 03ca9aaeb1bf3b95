"""Products of small matrices for compiled loops: 2 to 3 times as fast as OpenBLAS where networks are 64 wide.

A PPO update on two 64-64 networks is a few dozen products of about 64 x 64 x 128. At that size BLAS spends most of its
time on packing and dispatch. These are cut into tiles whose sums stay in vector registers; a tile is written in LLVM's
own terms (`intrinsic`), because numba keeps no array in registers. What does not fill a tile goes through an ordinary
loop. How large a tile is depends on the processor: one made for AVX-512 runs at a third of the speed where there are
half as many registers. Measured on an AMD EPYC with AVX2, whose peak is 110 GFLOP/s: product 85 to 92, outer 75.

    product(w, x, z)             z += w x      w [J, K] in any order, x [K, M], z [J, M]
    outer(x, d, turned, g)       g  = x d^T    x [K, M], d [J, M], g [K, J]; `turned` [M, J] is room for d^T
    dots(x, d, g)                g  = x d^T    the same number by number, for a few rows d
    transpose(x, y)              y  = x^T

The long axis M (the minibatch) is last and contiguous, so every loop over it runs in vector lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from agents.machine_code import inner


class Shape(NamedTuple):
    """How large tiles are on a kind of processor."""

    vector_bytes: int
    rows: int  # of a product's tile
    rest: int  # of a second one, for rows that do not fill the first
    vectors: int  # in each of these rows
    left: int  # rows of x in a tile of `dots`
    right: int  # and of d


SHAPES = {
    # sums fill 16 of 32 registers, 12 of 16, and 8 of 16
    "avx512f": Shape(vector_bytes=64, rows=4, rest=2, vectors=4, left=4, right=4),
    "avx2": Shape(vector_bytes=32, rows=6, rest=4, vectors=2, left=4, right=2),
    "": Shape(vector_bytes=16, rows=4, rest=2, vectors=2, left=4, right=2),
}
"""By the processor's feature, the first that it has. Sums without a register cost two thirds of the speed; fewer
than eight of them wait for each other."""

SHAPE = next(shape for feature, shape in SHAPES.items() if get_host_cpu_features().get(feature, not feature))
VECTOR_BYTES = SHAPE.vector_bytes
TILE_BYTES = SHAPE.vectors * VECTOR_BYTES

INDEX = ir.IntType(64)


class _Tile:
    """What both tiles need: arrays as pointers and strides, vectors of one element type, fused multiply-add."""

    def __init__(self, context, builder, signature, arguments, arrays=3):
        self.builder = builder
        dtype = signature.args[0].dtype
        self.element = context.get_value_type(dtype)
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        self.vector = ir.VectorType(self.element, self.lanes)
        self.item_bytes = dtype.bitwidth // 8
        made = [
            context.make_array(t)(context, builder, a)
            for t, a in zip(signature.args[:arrays], arguments[:arrays], strict=True)
        ]
        self.data = [array.data for array in made]
        self.shape = [cgutils.unpack_tuple(builder, array.shape) for array in made]
        self.strides = [
            [builder.sdiv(s, INDEX(self.item_bytes)) for s in cgutils.unpack_tuple(builder, array.strides)]
            for array in made
        ]
        name = f"llvm.fma.v{self.lanes}{'f32' if self.item_bytes == 4 else 'f64'}"
        self.fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name
        )

    def at(self, array, row, column):
        """Return the address of `array[row, column]`."""
        b, (by_row, by_column) = self.builder, self.strides[array]
        return b.gep(self.data[array], [b.add(b.mul(row, by_row), b.mul(column, by_column))])

    def load(self, address):
        """Return the vector that begins at an address."""
        return self.builder.load(
            self.builder.bitcast(address, self.vector.as_pointer()), align=self.item_bytes
        )

    def store(self, value, address):
        """Write a vector to an address."""
        self.builder.store(
            value, self.builder.bitcast(address, self.vector.as_pointer()), align=self.item_bytes
        )

    def spread(self, number):
        """Return a vector with the number in every lane."""
        b, nothing = self.builder, ir.Constant(self.vector, ir.Undefined)
        first = b.insert_element(nothing, number, ir.IntType(32)(0))
        return b.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        )

    def sums(self, count):
        """Return variables for `count` vectors of zeros; LLVM makes registers of them."""
        return [cgutils.alloca_once_value(self.builder, ir.Constant(self.vector, None)) for _ in range(count)]

    def multiply_add(self, a, b, into):
        """Add a * b to a variable."""
        self.builder.store(self.builder.call(self.fma, [a, b, self.builder.load(into)]), into)

    def add_lanes(self, vectors):
        """Return the sum of the lanes of each vector.

        Two vectors become one whose lanes are sums of neighbours, of the first vector in its first half, until one
        vector holds the sums of as many vectors as it has lanes: half the work of summing each up by itself.
        """
        b, nothing = self.builder, ir.Constant(self.vector, None)
        found = []
        for first in range(0, len(vectors), self.lanes):
            group = vectors[first : first + self.lanes]
            wanted = len(group)
            group = group + [nothing] * (self.lanes - wanted)
            while len(group) > 1:
                pairs = zip(group[::2], group[1::2], strict=True)
                group = [b.fadd(self._every_other(x, y, 0), self._every_other(x, y, 1)) for x, y in pairs]
            found += [b.extract_element(group[0], ir.IntType(32)(i)) for i in range(wanted)]
        return found

    def _every_other(self, x, y, first):
        lanes = range(first, 2 * self.lanes, 2)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), list(lanes))
        return self.builder.shuffle_vector(x, y, mask)


def _product_tile(size):
    """Make z[j : j+size, m : m+width] += w[j : j+size] x[:, m : m+width] with width = TILE_BYTES // itemsize."""

    def generate(context, builder, signature, arguments):
        tile = _Tile(context, builder, signature, arguments)
        row, column = arguments[3:]
        rows = [builder.add(row, INDEX(r)) for r in range(size)]
        columns = [builder.add(column, INDEX(v * tile.lanes)) for v in range(SHAPE.vectors)]
        sums = [tile.sums(SHAPE.vectors) for _ in rows]
        with cgutils.for_range(builder, tile.shape[0][1]) as loop:
            inputs = [tile.load(tile.at(1, loop.index, c)) for c in columns]
            for r, sums_of_row in zip(rows, sums, strict=True):
                weight = tile.spread(builder.load(tile.at(0, r, loop.index)))
                for value, total in zip(inputs, sums_of_row, strict=True):
                    tile.multiply_add(weight, value, total)
        for r, sums_of_row in zip(rows, sums, strict=True):
            for c, total in zip(columns, sums_of_row, strict=True):
                place = tile.at(2, r, c)
                tile.store(builder.fadd(tile.load(place), builder.load(total)), place)
        return context.get_dummy_value()

    @intrinsic
    def add_tile(typing, w, x, z, j, m):
        return types.void(w, x, z, j, m), generate

    return add_tile


def _dots_tile(height, width):
    """Make g[k : k+height, j : j+width] = x[k : k+height] d[j : j+width]^T over whole vectors of the last axis."""

    def generate(context, builder, signature, arguments):
        tile = _Tile(context, builder, signature, arguments)
        left = [builder.add(arguments[3], INDEX(r)) for r in range(height)]
        right = [builder.add(arguments[4], INDEX(r)) for r in range(width)]
        sums = [tile.sums(width) for _ in left]
        lanes = INDEX(tile.lanes)
        with cgutils.for_range(builder, builder.sdiv(tile.shape[0][1], lanes)) as loop:
            column = builder.mul(loop.index, lanes)
            others = [tile.load(tile.at(1, r, column)) for r in right]
            for r, sums_of_row in zip(left, sums, strict=True):
                value = tile.load(tile.at(0, r, column))
                for other, total in zip(others, sums_of_row, strict=True):
                    tile.multiply_add(value, other, total)
        totals = tile.add_lanes([builder.load(total) for sums_of_row in sums for total in sums_of_row])
        places = [tile.at(2, r, c) for r in left for c in right]
        for place, total in zip(places, totals, strict=True):
            builder.store(total, place)
        return context.get_dummy_value()

    @intrinsic
    def write_tile(typing, x, d, g, k, j):
        return types.void(x, d, g, k, j), generate

    return write_tile


def _turning_tile():
    """Make y[m : m+lanes, j : j+lanes] = x[j : j+lanes, m : m+lanes]^T in registers.

    A perfect shuffle of all vectors, as often as the lanes can be halved, is the transposition.
    """

    def generate(context, builder, signature, arguments):
        tile = _Tile(context, builder, signature, arguments, arrays=2)
        row, column = arguments[2:]
        lanes, half = range(tile.lanes), tile.lanes // 2
        merged = [lane + side for lane in lanes for side in (0, tile.lanes)]
        kind = ir.VectorType(ir.IntType(32), tile.lanes)
        low, high = (ir.Constant(kind, part) for part in (merged[: tile.lanes], merged[tile.lanes :]))
        vectors = [tile.load(tile.at(0, builder.add(row, INDEX(r)), column)) for r in lanes]
        for _ in range(half.bit_length()):
            pairs = list(zip(vectors[:half], vectors[half:], strict=True))
            vectors = [builder.shuffle_vector(*pair, order) for pair in pairs for order in (low, high)]
        for r, vector in zip(lanes, vectors, strict=True):
            tile.store(vector, tile.at(1, builder.add(column, INDEX(r)), row))
        return context.get_dummy_value()

    @intrinsic
    def turn_tile(typing, x, y, j, m):
        return types.void(x, y, j, m), generate

    return turn_tile


ROWS, REST, LEFT, RIGHT = SHAPE.rows, SHAPE.rest, SHAPE.left, SHAPE.right
_add_rows, _add_rest, _add_row = _product_tile(ROWS), _product_tile(REST), _product_tile(1)
_write_square, _write_column, _write_cell = _dots_tile(LEFT, RIGHT), _dots_tile(LEFT, 1), _dots_tile(1, 1)
_turn = _turning_tile()


@inner(fastmath=True)
def product(w, x, z):
    """Add w x to z."""
    rows, inner = w.shape
    columns = x.shape[1]
    width = TILE_BYTES // x.itemsize
    tiled_columns = columns - columns % width
    for m in range(0, tiled_columns, width):
        j = 0
        while j + ROWS <= rows:
            _add_rows(w, x, z, j, m)
            j += ROWS
        while j + REST <= rows:
            _add_rest(w, x, z, j, m)
            j += REST
        while j < rows:
            _add_row(w, x, z, j, m)
            j += 1
    if tiled_columns < columns:
        for j in range(rows):
            for k in range(inner):
                for m in range(tiled_columns, columns):
                    z[j, m] += w[j, k] * x[k, m]


@inner(fastmath=True)
def outer(x, d, turned, g):
    """Write x d^T into g, by way of d^T, which goes into `turned` `[M, J]`; a few rows of d by `dots`."""
    width = TILE_BYTES // x.itemsize
    if d.shape[0] < width:
        dots(x, d, g)
        return
    transpose(d, turned)
    for k in range(g.shape[0]):
        for j in range(g.shape[1]):
            g[k, j] = 0
    product(x, turned, g)


@inner(fastmath=True)
def transpose(x, y):
    """Write x^T into y."""
    rows, columns = x.shape
    lanes = VECTOR_BYTES // x.itemsize
    tiled_rows, tiled_columns = rows - rows % lanes, columns - columns % lanes
    for m in range(0, tiled_columns, lanes):
        for j in range(0, tiled_rows, lanes):
            _turn(x, y, j, m)
    for j in range(rows):
        for m in range(0 if j >= tiled_rows else tiled_columns, columns):
            y[m, j] = x[j, m]


@inner(fastmath=True)
def dots(x, d, g):
    """Write x d^T into g; each number of it is a sum along two rows."""
    left, right, columns = x.shape[0], d.shape[0], x.shape[1]
    tiled_left, tiled_right = left - left % LEFT, right - right % RIGHT
    for k in range(0, tiled_left, LEFT):
        for j in range(0, tiled_right, RIGHT):
            _write_square(x, d, g, k, j)
        for j in range(tiled_right, right):
            _write_column(x, d, g, k, j)
    for k in range(tiled_left, left):
        for j in range(right):
            _write_cell(x, d, g, k, j)
    tiled_columns = columns - columns % (VECTOR_BYTES // x.itemsize)
    if tiled_columns < columns:
        for k in range(left):
            for j in range(right):
                for m in range(tiled_columns, columns):
                    g[k, j] += x[k, m] * d[j, m]


@inner(fastmath=True)
def tanh(z):
    """Replace every number of a contiguous array by its hyperbolic tangent.

    In float32 by a ratio of polynomials that runs in vector lanes, within 3e-7 of the exact value (coefficients:
    Eigen's `generic_fast_tanh_float`); 50 times as fast as one call of the C library for each number.
    """
    flat = z.reshape(z.size)
    if z.itemsize == 8:
        for i in range(flat.size):
            flat[i] = np.tanh(flat[i])
        return
    number = z.dtype.type
    for i in range(flat.size):
        x = min(max(flat[i], number(-7.90531110763549805)), number(7.90531110763549805))
        s = x * x
        p = number(-2.76076847742355e-16)
        p = p * s + number(2.00018790482477e-13)
        p = p * s + number(-8.60467152213735e-11)
        p = p * s + number(5.12229709037114e-08)
        p = p * s + number(1.48572235717979e-05)
        p = p * s + number(6.37261928875436e-04)
        p = p * s + number(4.89352455891786e-03)
        q = number(1.19825839466702e-06)
        q = q * s + number(1.18534705686654e-04)
        q = q * s + number(2.26843463243900e-03)
        q = q * s + number(4.89352518554385e-03)
        flat[i] = x * p / q
