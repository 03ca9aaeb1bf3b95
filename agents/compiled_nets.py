"""Two-layer tanh networks for compiled loops: their forward and backward pass, Adam, and first weights.

Matrices are [units, batch]: a row holds one unit's values for the whole minibatch, so that every inner loop runs
along a contiguous row, in vector lanes. Weights are [inputs, outputs]. All parameters of all networks are one flat
vector (`view` cuts it up), and so are their gradients: the optimiser sees no layers.

    net, rest = view(theta, inputs, hidden, outputs)
    forward(net, x, room.h1, room.h2, room.out)                              with room = scratch(...)
    room.d3[...] = the gradient of the loss by room.out
    backward(net, net_of_gradients, x, room.h1, room.h2, room.d3, room.d2, room.d1, room.turned)
    adam(theta, flat_gradient, first, second, step, learning_rate, max_grad_norm)

Nothing here knows what is learnt: the loss is the agent's (`ppo_native.py`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from agents.machine_code import inner
from agents.matmul import dots, outer, product, tanh


class Net(NamedTuple):
    """inputs -> tanh -> tanh -> outputs; views of one flat vector, for parameters and gradients alike."""

    w1: Any  # [I, H]
    b1: Any  # [H]
    w2: Any  # [H, H]
    b2: Any  # [H]
    w3: Any  # [H, O]
    b3: Any  # [O]


def view(flat, inputs, hidden, outputs):
    """Return the network whose parameters are the first ones of a vector, and the rest of the vector."""
    a = inputs * hidden
    b = a + hidden
    c = b + hidden * hidden
    d = c + hidden
    e = d + hidden * outputs
    f = e + outputs
    net = Net(
        flat[:a].reshape(inputs, hidden),
        flat[a:b],
        flat[b:c].reshape(hidden, hidden),
        flat[c:d],
        flat[d:e].reshape(hidden, outputs),
        flat[e:f],
    )
    return net, flat[f:]


@inner()
def layer(w, b, x, z):
    """Write z = w^T x + b; x [I, M], z [O, M]."""
    for j in range(z.shape[0]):
        for m in range(z.shape[1]):
            z[j, m] = b[j]
    product(w.T, x, z)


@inner()
def forward(net, x, h1, h2, out):
    """Write both hidden layers `[H, M]` and the outputs `[O, M]`."""
    layer(net.w1, net.b1, x, h1)
    tanh(h1)
    layer(net.w2, net.b2, h1, h2)
    tanh(h2)
    layer(net.w3, net.b3, h2, out)


LINE = 64
"""Bytes in a line of the cache."""


class Scratch(NamedTuple):
    """Room for the activations of a network on M columns, and for the gradients by them."""

    h1: Any  # [H, M]
    h2: Any  # [H, M]
    out: Any  # [O, M]
    d1: Any  # [H, M]
    d2: Any  # [H, M]
    d3: Any  # [O, M]
    turned: Any  # [M, H] what d2 and d1 are transposed into


def scratch(hidden: int, outputs: int, columns: int, kind: Any = np.float32) -> Scratch:
    """Return room for M columns."""
    sizes = (hidden, hidden, outputs, hidden, hidden, outputs)
    rows = [aligned(size, columns, kind=kind) for size in sizes]
    return Scratch(*rows, turned=aligned(columns, hidden, kind=kind))


def aligned(*shape: int, kind: Any = np.float32) -> Any:
    """Return an array of zeros that begins with a line of the cache, which is worth a tenth of a product's time."""
    size, width = math.prod(shape), np.dtype(kind).itemsize
    room = np.zeros(size + LINE // width, kind)
    first = -room.ctypes.data % LINE // width
    return room[first : first + size].reshape(shape)


# The backward pass. Call d3, d2, d1 the gradients of the loss L by what goes into the third, second and first
# nonlinearity: d_l = dL/dz_l, [units, M], where z_l = w_l^T h_(l-1) + b_l and h_l = tanh(z_l), h_0 = x. Then
#
#     dL/dw_l  = h_(l-1) d_l^T          every weight: what came in times the gradient of what went out, over the batch
#     dL/db_l  = sum of d_l over M
#     dL/dh_l-1 = w_l d_l               the gradient goes back through the weights,
#     d_(l-1)  = dL/dh_(l-1) * (1 - h_(l-1)^2)      and through tanh, whose derivative is 1 - tanh^2.
#
# So all that is needed is d3, the gradient by the outputs, which has no nonlinearity: see `loss_gradient`.


@inner()
def backward(net, gradient, x, h1, h2, d3, d2, d1, turned):
    """Write the gradient of a loss by every parameter; d3 `[O, M]` is the one by the outputs, the rest are scratch."""
    outer(h2, d3, turned, gradient.w3)
    add_up(d3, gradient.b3)
    through(net.w3, d3, h2, d2)
    outer(h1, d2, turned, gradient.w2)
    add_up(d2, gradient.b2)
    through(net.w2, d2, h1, d1)
    outer(x, d1, turned, gradient.w1)
    add_up(d1, gradient.b1)


@inner(fastmath=True)
def through(w, d_out, h, d):
    """Write d = (w d_out) * (1 - h^2)."""
    for j in range(d.shape[0]):
        for m in range(d.shape[1]):
            d[j, m] = 0
    product(w, d_out, d)
    one = h.dtype.type(1)
    for j in range(d.shape[0]):
        for m in range(d.shape[1]):
            d[j, m] *= one - h[j, m] * h[j, m]


@inner(fastmath=True)
def add_up(d, sums):
    """Write the sum of each row."""
    for j in range(d.shape[0]):
        total = d.dtype.type(0)
        for m in range(d.shape[1]):
            total += d[j, m]
        sums[j] = total


@inner()
def forward_rows(net, w3_rows, x, h1, h2, out):
    """Do `forward` for a few environments at once, one to a row: [N, units], so that the units fill vector lanes.

    `w3_rows` `[O, H]` are the last weights, transposed.
    """
    layer_rows(net.w1, net.b1, x, h1)
    tanh(h1)
    layer_rows(net.w2, net.b2, h1, h2)
    tanh(h2)
    dots(h2, w3_rows, out)
    for n in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[n, j] += net.b3[j]


@inner()
def layer_rows(w, b, x, z):
    """Write z = x w + b; x [N, I], z [N, O]."""
    for n in range(z.shape[0]):
        for j in range(z.shape[1]):
            z[n, j] = b[j]
    product(x, w, z)


@inner(fastmath=True)
def adam(theta, gradient, first, second, step, learning_rate, max_grad_norm):
    """Take one step of Adam (0.9, 0.999, eps 1e-5) with the gradient cut to a norm; `step` counts from 1."""
    number = theta.dtype.type
    squares = number(0)
    for i in range(gradient.size):  # `for g in gradient` would not run in vector lanes
        squares += gradient[i] * gradient[i]
    scale = number(min(1.0, max_grad_norm / (math.sqrt(squares) + 1e-6)))
    rate = number(learning_rate / (1.0 - 0.9**step))
    unbias = number(1.0 / math.sqrt(1.0 - 0.999**step))
    for i in range(theta.size):
        g = gradient[i] * scale
        first[i] = number(0.9) * first[i] + number(0.1) * g
        second[i] = number(0.999) * second[i] + number(0.001) * g * g
        theta[i] -= rate * first[i] / (math.sqrt(second[i]) * unbias + number(1e-5))


def orthogonal_net(rng: np.random.Generator, inputs: int, hidden: int, outputs: int, gain: float) -> Any:
    """Return a network's parameters: orthogonal weights with gain sqrt 2, at last `gain`; zero biases."""
    parts = []
    for rows, columns, scale in (
        (inputs, hidden, math.sqrt(2)),
        (hidden, hidden, math.sqrt(2)),
        (hidden, outputs, gain),
    ):
        tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))
        parts += [(scale * (q if rows >= columns else q.T)).ravel(), np.zeros(columns)]
    return np.concatenate(parts)
