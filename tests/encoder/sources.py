"""Encoders in NumPy's manner as real functions: NumPy itself says what each of them means.

A test reads their text and compares what was compiled with what the function returns.
"""

from __future__ import annotations

import numpy as np

REACHER, REACHER_ACTION = 10, 2
SPREAD = 26


def reacher(observation, action):
    """The 1.5 B model's answer for Reacher, in its own words: closeness, speed of the joints, size of the torques."""
    distance = np.linalg.norm(observation[:, 8:10], axis=1)
    closeness = 1.0 / (1.0 + distance)
    speed = np.sqrt(np.sum(observation[:, 6:8] ** 2, axis=1))
    torque = np.sum(np.abs(action), axis=1)
    return [closeness, speed, torque]


def spread(observation):
    """Groups of numbers by reshape, distances of all pairs, the least of them."""
    velocity = observation[:, 0:2]
    landmarks = observation[:, 4:16].reshape(-1, 6, 2)
    others = observation[:, 16:26].reshape(observation.shape[0], 5, -1)
    to_landmarks = np.linalg.norm(landmarks, axis=2)
    nearest = np.min(to_landmarks, axis=1, keepdims=True)
    apart = np.linalg.norm(landmarks[:, :, None, :] - others[:, None, :, :], axis=-1)
    covered = (np.min(apart, axis=2) < 0.5).astype(float)
    touching = np.sum(np.linalg.norm(others, axis=-1) < 0.3, axis=1, keepdims=True)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])[:, np.newaxis]
    return [-nearest, np.mean(covered, axis=1)[:, None], touching, speed]


def elementwise(observation, action):
    x, y = observation[:, 0], observation[:, -1]
    a = np.exp(-np.abs(x)) + np.log1p(np.square(y)) - np.expm1(np.minimum(x, 0.5))
    b = np.sin(x) * np.cos(y) + np.tan(0.1 * x) / np.cosh(y) + np.sinh(0.1 * y)
    c = np.sign(x) * np.floor(3 * y) + np.ceil(x) % 2 + (3 * y) // 2
    d = np.clip(x, -0.5, 0.5) + np.clip(y, None, 0.1) + np.maximum(x, y) ** 2 + np.power(y, 3)
    e = np.log10(1 + x**2) + np.log2(1 + y**2) + np.sqrt(np.fabs(x)) - +x
    f = np.tanh(x) + np.reciprocal(1 + y * y) + np.radians(x) + (x + y).astype(int) + np.deg2rad(y)
    return [a, b, c, d, e[:, None], f.reshape(-1, 1)]


def choices(observation):
    x, y = observation[:, 0:1], observation[:, 1:2]
    near = (np.abs(x) < 0.5) & ~(y > 0) | np.logical_and(x > 1, y > 1)
    a = np.where(near, 1.0, -1.0)
    b = np.where((x >= 0) | (y != 0.25), x, y) * (x <= y)
    c = near * 2 + (x == y)
    d = np.logical_not(near).astype(float) + np.logical_or(x < 0, y < 0)
    e = np.less(x, y) + np.greater_equal(x, y) * 0.5
    return [a, b, c, d, e]


def reductions(observation, action):
    x = observation[:, 2:8]
    a = x.sum(axis=1) + x.mean(1) + np.prod(x, axis=-1)
    b = x.max(axis=1, keepdims=True) - np.amin(x, axis=1, keepdims=True) + np.ptp(x, axis=1, keepdims=True)
    c = np.std(x, axis=1) + np.var(x, axis=(1,))
    d = (
        np.any(x > 0.9, axis=1).astype(np.float64)
        + np.all(x > -1.5, axis=1)
        + np.count_nonzero(x > 0, axis=1)
    )
    e = np.linalg.norm(x, ord=1, axis=1) + np.linalg.norm(action, 2, axis=1)
    f = (
        x @ np.array([1.0, 2.0, 3.0, 0.0, -1.0, 0.5])
        + np.dot(x, np.array([[1.0], [0], [0], [0], [0], [2]]))[:, 0]
    )
    g = np.sum(np.diff(x, axis=1) ** 2, axis=1)
    return [a, b, c, d, e, f, g]


def shapes(observation, action):
    joined = np.concatenate([observation[:, 0:2], action, observation[:, 3:4]], axis=1)
    stacked = np.stack([observation[:, 0], action[:, 1]], axis=1)
    columns = np.column_stack([observation[:, 0], action, stacked])
    beside = np.hstack([stacked, action])
    a = np.sum(joined * np.array([1, 2, 3, 4, 5]), axis=1)
    b = columns[:, [0, 2, 4]].sum(axis=1, keepdims=True)
    c = np.squeeze(beside[:, 3:4], axis=1) + np.expand_dims(stacked[:, 0], axis=1)[:, 0]
    d = observation[:, ::-2][:, 1] + observation[..., 4] + joined[:, -2]
    e = (np.zeros((observation.shape[0], 1)) + np.ones_like(stacked)[:, 0:1]) * 2 + observation[:, 5:6]
    f = np.full((len(observation), 2), 0.5)[:, 1] - action[:, 0].copy() + float(2)
    g = np.mean(np.stack([stacked, action], axis=-1), axis=(1, 2), keepdims=True)[:, :, 0]
    return [a, b, c, d, e, f, g]


def statements(observation: np.ndarray, action: np.ndarray) -> list:
    import numpy as np

    width = observation.shape[1]
    first, (second, third) = 2, (width - 4, 3)
    scale: float = 10**-2 * np.pi
    total = observation[:, first]
    second -= 0
    total = total + observation[:, second] * scale
    total = total - np.e
    factors = []
    factors.append(total)
    factors.append(observation[:, width // third : width // third + 1])
    pair = (total, action[:, 0])
    return factors + [pair[1], pair[-2] / 2]  # noqa: RUF005 - this is what models write


GOOD = {
    function.__name__: (function, observation, action)
    for function, observation, action in (
        (reacher, REACHER, REACHER_ACTION),
        (spread, SPREAD, None),
        (elementwise, 3, 1),
        (choices, 2, None),
        (reductions, 9, 3),
        (shapes, 6, 2),
        (statements, 12, 1),
    )
}
"""Name -> the function, the width of its observation, that of its action (None: it takes none)."""
