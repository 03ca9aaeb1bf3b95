"""PPO in machine code: environment, reward program, networks, advantages and updates in one compiled loop.

    python -m agents.ppo_native --spec examples/specs/cartpole_centred.yaml --env CartPole-v1 --steps 200000 --seed 0

It is CleanRL's `ppo.py` and stable-baselines3's `PPO` with discrete actions, written for numba: 50 to
75 times as fast on one core (`python -m benchmarks speed --only training`). It trains in CartPole and in finite worlds
(`compiled_worlds.py` has them); `ppo_sb3.py` and `ppo_torch.py` are for all others.

How the files divide the work: `matmul.py` multiplies matrices and takes tangents (BLAS takes 2 to 3 times as long at
these sizes), `compiled_worlds.py` holds the environments, and this file is PPO, from the arguments to the last
checkpoint. The loop calls world and reward program through pointers of fixed signatures, so it is compiled once (11 s)
and then loaded (0.1 s), whatever the spec; only the spec's own few lines are compiled anew (half a second, kept on disk
as well).

Matrices are [units, batch]: a row holds one unit's values for the whole minibatch, so that every inner loop runs
along a contiguous row, in vector lanes. Weights are [inputs, outputs].

Semantics are those of SB3's PPO at equal hyperparameters: orthogonal weights (gains sqrt 2, 0.01, 1) and zero biases;
rewards of truncated steps bootstrapped with gamma times the value of the last observation; GAE; advantages normalised
in each minibatch (unbiased deviation, + 1e-8); clipped surrogate; value loss `vf_coef * mean squared error`; entropy
bonus; gradient norm clipped over all parameters; Adam with eps 1e-5. Deviations:

- The `batch_size` must divide the rollout (SB3 warns and learns from a smaller last one).
- Values of a rollout are computed in one batch after it: the weights are the same, so the values are.
- float32 tanh is a rational approximation (within 3e-7). Random numbers are PCG64's, for actions, worlds and shuffles.
- Observations go into the networks as they are: a Discrete one as one-hot, an array flattened, the program's memory
  (machine states one-hot, observed numbers) appended, as the wrapper does.
- CleanRL's annealed learning rate is there too (`anneal`); no clipped value loss and no KL limit.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numba import boolean, float64, int64, njit, typeof
from rich.console import Console

from agents import compiled_worlds, matmul
from agents.compiled_worlds import (
    BEGIN,
    BEGIN_SIGNATURE,
    OBSERVE,
    PAY,
    PAY_SIGNATURE,
    RESET,
    RNG,
    STEP,
    TABLES,
)
from agents.matmul import inner, outer, product, tanh
from agents.recording import recording
from rewardspec.analysis.check import check_discount
from rewardspec.backends.native import NativeProgram
from rewardspec.compiler import compile_spec
from rewardspec.errors import LearningError, NonFiniteRewardError, Problem, RewardSpecError, UnsupportedError
from rewardspec.ir.layout import bind
from rewardspec.lowering import STRIDE
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import load
from rewardspec.wrappers.memory import Memory


@dataclass(frozen=True)
class Args:
    """Arguments of the command line.

    Attributes:
        spec: The spec's YAML file.
        env: Gymnasium id; the spec's own where not given.
        steps: Environment steps of the whole run, over all environments; rounded up to whole rollouts.
        seed: Seed of everything random.
        folder: Run folder; `runs/ppo_native/<spec>-<seed>` when not given.
        resume: Run folder of a run to go on with, under the arguments that it was begun with.
        n_envs: Environments side by side.
        n_steps: Steps of each environment in a rollout.
        batch_size: Transitions in a minibatch; it must divide n_envs * n_steps.
        n_epochs: Passes over a rollout.
        learning_rate: Adam's.
        anneal: Whether the learning rate falls linearly to 0 over the run.
        gamma: Discount; the spec's where not given, else 0.99.
        gae_lambda: Of the generalised advantage estimate.
        clip_range: How far the probability ratio may move from 1 before its gradient vanishes.
        vf_coef: Weight of the value loss.
        ent_coef: Weight of the entropy bonus.
        max_grad_norm: The gradient's norm is cut to this.
        hidden: Units in each of the two hidden layers of each network.
        rows: Rows of progress in the whole run.
        stop_at: Stop when the task's own mean return over 100 episodes of the sampled policy reaches this.
        checkpoint_seconds: Seconds between two checkpoints.
        quiet: Show no progress.
    """

    spec: Path
    env: str | None = None
    steps: int = 200_000
    seed: int = 0
    folder: Path | None = None
    resume: Path | None = None
    n_envs: int = 4
    n_steps: int = 128
    batch_size: int = 128
    n_epochs: int = 4
    learning_rate: float = 1e-3
    anneal: bool = True
    gamma: float | None = None
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    vf_coef: float = 0.5
    ent_coef: float = 0.01
    max_grad_norm: float = 0.5
    hidden: int = 64
    rows: int = 100
    stop_at: float | None = None
    checkpoint_seconds: float = 30.0
    quiet: bool = False


# -- two networks --------------------------------------------------------------------------------------------


class Net(NamedTuple):
    """inputs -> tanh -> tanh -> outputs; views of one flat vector, for parameters and gradients alike."""

    w1: Any  # [I, H]
    b1: Any  # [H]
    w2: Any  # [H, H]
    b2: Any  # [H]
    w3: Any  # [H, O]
    b3: Any  # [O]


def count(inputs, hidden, outputs):
    """Return the number of parameters of a network."""
    return (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * outputs


@inner()
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
def backward(net, gradient, x, h1, h2, d3, d2, d1):
    """Write the gradient of a loss by every parameter; d3 `[O, M]` is the one by the outputs, d2 and d1 are scratch."""
    outer(h2, d3, gradient.w3)
    add_up(d3, gradient.b3)
    through(net.w3, d3, h2, d2)
    outer(h1, d2, gradient.w2)
    add_up(d2, gradient.b2)
    through(net.w2, d2, h1, d1)
    outer(x, d1, gradient.w1)
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
    outer(h2, w3_rows, out)
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


@inner()
def transpose(w, rows):
    """Write w^T."""
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            rows[j, i] = w[i, j]


# -- the loss and its gradient -------------------------------------------------------------------------------


class Batch(NamedTuple):
    """A minibatch of M transitions."""

    x: Any  # [D, M] observations
    action: Any  # [M] int64
    log_prob: Any  # [M] of the action when it was taken
    advantage: Any  # [M]
    target: Any  # [M] what the value should have been


class Scratch(NamedTuple):
    """Room for the activations of a network on M columns, and for the gradients by them."""

    h1: Any  # [H, M]
    h2: Any  # [H, M]
    out: Any  # [O, M]
    d1: Any  # [H, M]
    d2: Any  # [H, M]
    d3: Any  # [O, M]


@inner()
def scratch(hidden, outputs, columns, like):
    """Return room for M columns in the type of `like`."""
    return Scratch(
        np.empty((hidden, columns), like.dtype),
        np.empty((hidden, columns), like.dtype),
        np.empty((outputs, columns), like.dtype),
        np.empty((hidden, columns), like.dtype),
        np.empty((hidden, columns), like.dtype),
        np.empty((outputs, columns), like.dtype),
    )


@inner()
def loss_gradient(batch, logits, value, clip_range, vf_coef, ent_coef, d_logits, d_value, stats):
    """Write the gradient of PPO's loss by logits `[A, M]` and value `[1, M]`; what was seen goes into `stats`.

    loss = mean of -min(r A, clamp(r, 1-c, 1+c) A)  +  vf_coef (value - target)^2  -  ent_coef H, where
    r = p(action) / old p(action) = exp(log p - old log p). By the log-probability of the action the first part has the
    gradient -r A where the clamped side is not the smaller one, else 0; and d log p(a) / d logit_k = [a = k] - p_k.
    The entropy H = -sum p log p has dH / d logit_k = -p_k (log p_k + H).
    """
    actions, size = logits.shape
    number = logits.dtype.type
    one, c, each = number(1), number(clip_range), number(1) / number(size)
    entropy_each, value_each = number(ent_coef) * each, number(2 * vf_coef) * each
    policy_loss = value_loss = entropy_sum = kl = clipped = number(0)
    p = np.empty(actions, logits.dtype)
    for m in range(size):
        top = logits[0, m]
        for k in range(1, actions):
            top = max(top, logits[k, m])
        total = number(0)
        for k in range(actions):
            p[k] = np.exp(logits[k, m] - top)
            total += p[k]
        normaliser = top + np.log(total)
        entropy = number(0)
        for k in range(actions):
            p[k] /= total
            entropy -= p[k] * (logits[k, m] - normaliser)
        a, advantage = batch.action[m], batch.advantage[m]
        log_ratio = logits[a, m] - normaliser - batch.log_prob[m]
        ratio = np.exp(log_ratio)
        bounded = min(max(ratio, one - c), one + c)
        policy_loss -= min(ratio * advantage, bounded * advantage)
        d_log_prob = -ratio * advantage * each if ratio * advantage <= bounded * advantage else number(0)
        for k in range(actions):
            d_entropy = -p[k] * (logits[k, m] - normaliser + entropy)
            chosen = one if k == a else number(0)
            d_logits[k, m] = d_log_prob * (chosen - p[k]) - entropy_each * d_entropy
        error = value[0, m] - batch.target[m]
        d_value[0, m] = value_each * error
        value_loss += error * error
        entropy_sum += entropy
        kl += ratio - one - log_ratio
        clipped += one if abs(ratio - one) > c else number(0)
    stats[0] += policy_loss * each
    stats[1] += value_loss * each
    stats[2] += entropy_sum * each
    stats[3] += kl * each
    stats[4] += clipped * each
    stats[5] += 1


@inner()
def gradient(actor, critic, actor_gradient, critic_gradient, batch, room, critic_room, knobs, stats):
    """Write the gradient of the loss on a minibatch by every parameter of both networks."""
    forward(actor, batch.x, room.h1, room.h2, room.out)
    forward(critic, batch.x, critic_room.h1, critic_room.h2, critic_room.out)
    clip_range, vf_coef, ent_coef = knobs.clip_range, knobs.vf_coef, knobs.ent_coef
    out, value = room.out, critic_room.out
    loss_gradient(batch, out, value, clip_range, vf_coef, ent_coef, room.d3, critic_room.d3, stats)
    backward(actor, actor_gradient, batch.x, room.h1, room.h2, room.d3, room.d2, room.d1)
    r = critic_room
    backward(critic, critic_gradient, batch.x, r.h1, r.h2, r.d3, r.d2, r.d1)


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


# -- playing ---------------------------------------------------------------------------------------------------


class Knobs(NamedTuple):
    """Numbers that the loop reads."""

    n_envs: int
    n_steps: int
    batch_size: int
    n_epochs: int
    iterations: int  # of the whole run: what the learning rate is annealed over
    learning_rate: float
    anneal: bool
    gamma: float
    gae_lambda: float
    clip_range: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    horizon: int
    actions: int
    hidden: int
    obs_size: int  # numbers that the world shows
    discrete: int  # of a Discrete observation, the number of its values; else 0
    first_value: int  # and the first of them
    inputs: int  # numbers that the networks see


class Run(NamedTuple):
    """All that changes while the loop runs: with the generator's state, what a checkpoint holds."""

    theta: Any  # parameters: the actor's, then the critic's
    first: Any  # Adam's mean of gradients
    second: Any  # and of their squares
    counts: Any  # [3] int64: rollouts, Adam steps, episodes
    worlds: Any  # [N, S] state of each environment
    machines: Any  # [N, U] int64 machine states
    memory: Any  # [N, F + K] folds and totals
    lengths: Any  # [N] int64 steps of the episode so far
    returns: Any  # [N, 2] its return by the spec, and by the environment itself
    recent: Any  # [100, 3] the latest episodes: both returns, length


class Seen(NamedTuple):
    """Which parts of the program's memory the agent sees."""

    machines: Any  # [m, 2] int64: position, number of states
    folds: Any  # [f] int64: position


@inner()
def show(raw, machines, memory, n, seen, knobs, x):
    """Write what the networks see of environment n, x[n]: the world's observation, then the program's memory."""
    for i in range(x.shape[1]):
        x[n, i] = 0
    at = knobs.obs_size
    if knobs.discrete:
        at = knobs.discrete
        x[n, int(raw[n, 0]) - knobs.first_value] = 1
    else:
        for i in range(at):
            x[n, i] = raw[n, i]
    for i in range(seen.machines.shape[0]):
        x[n, at + machines[n, seen.machines[i, 0]]] = 1
        at += seen.machines[i, 1]
    for i in range(seen.folds.size):
        x[n, at + i] = memory[n, seen.folds[i]]


@inner()
def choose(logits, n, rng):
    """Draw an action by row n; return it with its log-probability."""
    top, actions = logits[n, 0], logits.shape[1]
    for k in range(1, actions):
        top = max(top, logits[n, k])
    total = 0.0
    for k in range(actions):
        total += math.exp(logits[n, k] - top)
    left, action = rng.random() * total, 0
    while action < actions - 1:
        left -= math.exp(logits[n, action] - top)
        if left < 0.0:
            break
        action += 1
    return action, logits[n, action] - top - math.log(total)


@inner()
def advantages(reward, value, done, knobs, advantage, target):
    """Write the generalised advantage estimates; columns are step * n_envs + environment, `value` has one step more."""
    envs, last = knobs.n_envs, knobs.n_steps * knobs.n_envs
    for n in range(envs):
        running = 0.0
        for i in range(last - envs + n, -1, -envs):
            goes_on = 0.0 if done[i] else 1.0
            delta = reward[i] + knobs.gamma * value[i + envs] * goes_on - value[i]
            running = delta + knobs.gamma * knobs.gae_lambda * goes_on * running
            advantage[i] = running
            target[i] = running + value[i]


@inner()
def fill(batch, order, x, action, log_prob, advantage, target):
    """Copy the transitions with these numbers into a minibatch; normalise their advantages."""
    size = order.size
    for i in range(x.shape[0]):
        for m in range(size):
            batch.x[i, m] = x[i, order[m]]
    mean = squares = 0.0
    for m in range(size):
        k = order[m]
        batch.action[m], batch.log_prob[m] = action[k], log_prob[k]
        batch.target[m], batch.advantage[m] = target[k], advantage[k]
        mean += advantage[k]
    mean /= size
    if size > 1:
        for m in range(size):
            squares += (batch.advantage[m] - mean) ** 2
        deviation = math.sqrt(squares / (size - 1)) + 1e-8
        for m in range(size):
            batch.advantage[m] = (batch.advantage[m] - mean) / deviation


def iterate(run, knobs, seen, tables, params, reset, step, observe, pay, begin, rng, iterations, stats):
    """Play and learn for some iterations; return False when the program paid what is not finite."""
    envs, columns = knobs.n_envs, knobs.n_envs * knobs.n_steps
    size = knobs.batch_size
    theta, like = run.theta, run.theta[:1]
    one_value = np.empty(1, like.dtype)  # its size is 1 as a number of any size: numba compiles `1` apart
    inputs = knobs.inputs
    actor, rest = view(theta, inputs, knobs.hidden, knobs.actions)
    critic, _ = view(rest, inputs, knobs.hidden, one_value.size)
    flat_gradient = np.empty(theta.size, like.dtype)
    actor_gradient, rest = view(flat_gradient, inputs, knobs.hidden, knobs.actions)
    critic_gradient, _ = view(rest, inputs, knobs.hidden, one_value.size)
    padded = (columns + envs + 63) // 64 * 64  # whole tiles: see matmul.py
    x = np.zeros((inputs, padded), like.dtype)
    h1, h2 = np.empty((knobs.hidden, padded), like.dtype), np.empty((knobs.hidden, padded), like.dtype)
    value = np.empty((1, padded), like.dtype)
    action, done = np.empty(columns, np.int64), np.empty(columns, np.bool_)
    log_prob, reward = np.empty(columns, like.dtype), np.empty(columns, like.dtype)
    advantage, target = np.empty(columns, like.dtype), np.empty(columns, like.dtype)
    order = np.empty(columns, np.int64)
    batch = Batch(
        np.empty((inputs, size), like.dtype),
        np.empty(size, np.int64),
        np.empty(size, like.dtype),
        np.empty(size, like.dtype),
        np.empty(size, like.dtype),
    )
    room, critic_room = (
        scratch(knobs.hidden, knobs.actions, size, like),
        scratch(knobs.hidden, one_value.size, size, like),
    )
    row_h1, row_h2 = np.empty((envs, knobs.hidden), like.dtype), np.empty((envs, knobs.hidden), like.dtype)
    logits, w3_rows = (
        np.empty((envs, knobs.actions), like.dtype),
        np.empty((knobs.actions, knobs.hidden), like.dtype),
    )
    alone = scratch(knobs.hidden, one_value.size, one_value.size, like)
    alone_x = np.empty((inputs, 1), like.dtype)
    raw, raw_next = np.empty((envs, knobs.obs_size), np.float32), np.empty((envs, knobs.obs_size), np.float32)
    row = np.empty((envs, inputs), like.dtype)
    for n in range(envs):
        observe(tables, run.worlds, n, raw)
        show(raw, run.machines, run.memory, n, seen, knobs, row)

    for _ in range(iterations):
        # Play a rollout.
        transpose(actor.w3, w3_rows)
        for i in range(columns):
            n = i % envs
            if n == 0:
                forward_rows(actor, w3_rows, row, row_h1, row_h2, logits)
            for k in range(inputs):
                x[k, i] = row[n, k]
            action[i], log_prob[i] = choose(logits, n, rng)
            own, terminated, label = step(tables, run.worlds, n, action[i], rng)
            observe(tables, run.worlds, n, raw_next)
            run.lengths[n] += 1
            truncated = run.lengths[n] >= knobs.horizon
            paid, terminated, truncated = pay(
                run.machines,
                run.memory,
                n,
                raw,
                action[i],
                raw_next,
                own,
                terminated,
                truncated,
                label,
                params,
            )
            if not math.isfinite(paid):
                return False
            run.returns[n, 0] += paid
            run.returns[n, 1] += own
            for k in range(knobs.obs_size):
                raw[n, k] = raw_next[n, k]
            show(raw, run.machines, run.memory, n, seen, knobs, row)
            done[i] = terminated or truncated
            if done[i]:
                if not terminated:  # the episode would have gone on
                    for k in range(inputs):
                        alone_x[k, 0] = row[n, k]
                    forward(critic, alone_x, alone.h1, alone.h2, alone.out)
                    paid += knobs.gamma * alone.out[0, 0]
                note = run.counts[2] % run.recent.shape[0]
                run.recent[note, 0], run.recent[note, 1] = run.returns[n, 0], run.returns[n, 1]
                run.recent[note, 2] = run.lengths[n]
                run.counts[2] += 1
                run.lengths[n] = 0
                run.returns[n, 0] = run.returns[n, 1] = 0.0
                reset(tables, run.worlds, n, rng)
                begin(run.machines, run.memory, n)
                observe(tables, run.worlds, n, raw)
                show(raw, run.machines, run.memory, n, seen, knobs, row)
            reward[i] = paid
        for n in range(envs):
            for k in range(inputs):
                x[k, columns + n] = row[n, k]
        forward(critic, x, h1, h2, value)
        advantages(reward, value[0], done, knobs, advantage, target)

        # Learn from it.
        left = 1.0 - run.counts[0] / knobs.iterations if knobs.anneal else 1.0
        for i in range(columns):
            order[i] = i
        for _ in range(knobs.n_epochs):
            for i in range(columns - 1, 0, -1):
                j = int(rng.random() * (i + 1))
                order[i], order[j] = order[j], order[i]
            for start in range(0, columns, size):
                fill(batch, order[start : start + size], x, action, log_prob, advantage, target)
                gradient(
                    actor, critic, actor_gradient, critic_gradient, batch, room, critic_room, knobs, stats
                )
                run.counts[1] += 1
                rate = knobs.learning_rate * left
                adam(theta, flat_gradient, run.first, run.second, run.counts[1], rate, knobs.max_grad_norm)
        run.counts[0] += 1
    return True


def play(run, knobs, seen, tables, params, reset, step, observe, pay, begin, rng, greedy, episodes):
    """Play whole episodes; write both returns and the length of each into `episodes` `[E, 3]`.

    The policy's most probable action where `greedy`, else one drawn from it. Plays in the run's first environment.
    """
    actor, _ = view(run.theta, knobs.inputs, knobs.hidden, knobs.actions)
    w3_rows = np.empty((knobs.actions, knobs.hidden), np.float32)
    transpose(actor.w3, w3_rows)
    row, logits = np.empty((1, knobs.inputs), np.float32), np.empty((1, knobs.actions), np.float32)
    h1, h2 = np.empty((1, knobs.hidden), np.float32), np.empty((1, knobs.hidden), np.float32)
    raw, raw_next = np.empty((1, knobs.obs_size), np.float32), np.empty((1, knobs.obs_size), np.float32)
    for e in range(episodes.shape[0]):
        episodes[e, 0] = episodes[e, 1] = episodes[e, 2] = 0.0
        reset(tables, run.worlds, 0, rng)
        begin(run.machines, run.memory, 0)
        over = False
        while not over:
            observe(tables, run.worlds, 0, raw)
            show(raw, run.machines, run.memory, 0, seen, knobs, row)
            forward_rows(actor, w3_rows, row, h1, h2, logits)
            action = choose(logits, 0, rng)[0]
            if greedy:
                for k in range(knobs.actions):
                    action = k if logits[0, k] > logits[0, action] else action
            own, terminated, label = step(tables, run.worlds, 0, action, rng)
            observe(tables, run.worlds, 0, raw_next)
            episodes[e, 2] += 1
            truncated = episodes[e, 2] >= knobs.horizon
            paid, terminated, truncated = pay(
                run.machines, run.memory, 0, raw, action, raw_next, own, terminated, truncated, label, params
            )
            over = terminated or truncated
            episodes[e, 0] += paid
            episodes[e, 1] += own


# -- around the loop -------------------------------------------------------------------------------------------

RECENT = 100
"""Episodes over which returns are averaged."""

POINTERS = (RESET, STEP, OBSERVE, PAY, BEGIN)
"""Types of the functions that both loops call."""

LOSSES = ("loss/policy", "loss/value", "loss/entropy", "loss/kl", "loss/clipped")


class Task:
    """A spec in a compiled world, ready for the loop.

    Attributes:
        program: The compiled spec.
        world: The world.
        knobs: The arguments as the loop reads them.
        iterations: Rollouts of the whole run.
    """

    def __init__(self, spec: Spec, args: Args) -> None:
        """Bind the spec to the world and compile what it pays.

        Raises:
            SpecError: The spec is wrong.
            MismatchError: `no-environment`, `not-tabular`, or the world lacks what the spec reads.
            UnsupportedError: `discount-mismatch`, `wrong-setting`.
        """
        env_id = args.env or (spec.env.id if spec.env is not None else None)
        if env_id is None:
            hint = "Name one in the spec, as in `env: {id: CartPole-v1}`, or say `--env ID`."
            raise UnsupportedError(Problem("no-environment", "the spec names no environment", hints=(hint,)))
        gamma = (
            args.gamma if args.gamma is not None else (spec.discount if spec.discount is not None else 0.99)
        )
        problems = [*check_discount(spec, gamma), *_wrong_settings(args)]
        if problems:
            raise UnsupportedError(problems)
        is_own = spec.env is not None and spec.env.id == env_id
        given = dict(spec.env.kwargs) if is_own and spec.env is not None else {}
        self.world = compiled_worlds.compiled_world(
            env_id, given, spec.env.horizon if spec.env is not None else None
        )
        layout = bind(compile_spec(spec), self.world.observation_space, self.world.action_space)
        self.program = layout.program
        self.native = NativeProgram(layout)
        text = compiled_worlds.pay_text(self.world.observation_space, layout, self.world.labels)
        linked = self.native.link(text, ("pay", "start"))
        pay, begin = linked.pay, linked.start
        pay.compile(PAY_SIGNATURE)
        begin.compile(BEGIN_SIGNATURE)
        self.params = self.native.params
        for i, param in enumerate(self.program.params):
            if param.name == STRIDE:  # schedules go by the steps of all environments together
                self.params[i] = args.n_envs
        self.pointers = (*self.world.compiled(), pay, begin)
        seen = Memory.of(self.program) if self.program.observe != "none" else Memory((), ())
        machines = len(self.program.machines)
        self.seen = Seen(
            np.array(seen.machines, np.int64).reshape(-1, 2),
            np.array([position - machines for position, _, _ in seen.folds], np.int64),
        )
        space = self.world.observation_space
        discrete, first = (
            (int(space.n), int(space.start)) if isinstance(space, gym.spaces.Discrete) else (0, 0)
        )
        self.inputs = (discrete or self.world.obs_size) + seen.width
        self.iterations = max(1, -(-args.steps // (args.n_envs * args.n_steps)))
        self.knobs = Knobs(
            args.n_envs,
            args.n_steps,
            args.batch_size,
            args.n_epochs,
            self.iterations,
            float(args.learning_rate),
            args.anneal,
            float(gamma),
            float(args.gae_lambda),
            float(args.clip_range),
            float(args.vf_coef),
            float(args.ent_coef),
            float(args.max_grad_norm),
            self.world.horizon,
            int(self.world.action_space.n),
            args.hidden,
            self.world.obs_size,
            discrete,
            first,
            self.inputs,
        )

    def start(self, rng: np.random.Generator) -> Run:
        """Return new networks and environments at the beginning of their first episodes."""
        knobs = self.knobs
        theta = np.concatenate(
            [
                orthogonal_net(rng, self.inputs, knobs.hidden, *last)
                for last in ((knobs.actions, 0.01), (1, 1.0))
            ]
        ).astype(np.float32)
        envs = knobs.n_envs
        run = Run(
            theta,
            np.zeros_like(theta),
            np.zeros_like(theta),
            np.zeros(3, np.int64),
            np.zeros((envs, self.world.state_size)),
            np.tile(self.native.start_machines, (envs, 1)),
            np.tile(self.native.start_memory, (envs, 1)),
            np.zeros(envs, np.int64),
            np.zeros((envs, 2)),
            np.zeros((RECENT, 3)),
        )
        reset = self.pointers[0]
        for n in range(envs):
            reset(self.world.tables, run.worlds, n, rng)
        return run

    def iterate(self, run: Run, rng: np.random.Generator, iterations: int) -> dict[str, float | None]:
        """Play and learn for some iterations; return what to say of them.

        Raises:
            NonFiniteRewardError: The program paid a reward that is NaN or infinite.
            LearningError: The networks have diverged.
        """
        stats = np.zeros(6)
        loop = machine_code(iterate, *self._types(run), RNG, int64, float64[::1])
        args = (
            run,
            self.knobs,
            self.seen,
            self.world.tables,
            self.params,
            *self.pointers,
            rng,
            iterations,
            stats,
        )
        if not loop(*args):
            hint = "`rewardspec train` on the same spec tells the term, the step and the values read."
            text = "the program paid a reward that is NaN or infinite"
            raise NonFiniteRewardError(Problem("non-finite-reward", text, hints=(hint,)))
        if not np.isfinite(run.theta).all():
            hint = "Try a smaller learning rate."
            raise LearningError(
                Problem("wrong-setting", "the networks' parameters are no longer finite", hints=(hint,))
            )
        latest = run.recent[: min(RECENT, run.counts[2])]
        told: dict[str, float | None] = dict.fromkeys(("return", "task_return", "length"))
        if len(latest):
            told = dict(zip(told, latest.mean(axis=0).tolist(), strict=True))
        return {**told, **dict(zip(LOSSES, (stats[:5] / stats[5]).tolist(), strict=True))}

    def play(self, run: Run, rng: np.random.Generator, *, greedy: bool, episodes: int = 100) -> Any:
        """Return both returns and the length of so many episodes, `[E, 3]`; nothing of the run changes."""
        found = np.empty((episodes, 3))
        one = Run(*(np.copy(part) for part in run))
        loop = machine_code(play, *self._types(run), RNG, boolean, float64[:, ::1])
        args = (one, self.knobs, self.seen, self.world.tables, self.params, *self.pointers, rng)
        loop(*args, greedy, found)
        return found

    def _types(self, run: Run) -> tuple[Any, ...]:
        """Return the types of what both loops are called with."""
        return typeof(run), typeof(self.knobs), typeof(self.seen), TABLES, float64[::1], *POINTERS


@lru_cache
def machine_code(function: Any, *signature: Any) -> Any:
    """Return the compiled function of this signature."""
    compiled = njit(error_model="numpy", cache=True)(function)
    # numba asks for the time of the function's own file; what it calls is in three.
    files = [Path(file) for file in (__file__, compiled_worlds.__file__, matmul.__file__)]
    stamps = tuple((file.stat().st_mtime, file.stat().st_size) for file in files)
    compiled._cache._cache_file._source_stamp = stamps
    compiled.compile(signature)
    compiled.disable_compile()  # so that functions are passed as pointers, not compiled in
    return compiled


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


def _wrong_settings(args: Args) -> list[Problem]:
    """Return what is wrong with the arguments."""
    problems = []
    for name in ("steps", "n_envs", "n_steps", "batch_size", "n_epochs", "hidden", "rows"):
        if getattr(args, name) < 1:
            problems.append(Problem("wrong-setting", f"{name} is {getattr(args, name)}; the least is 1"))
    if not problems and args.n_envs * args.n_steps % args.batch_size:
        rollout = args.n_envs * args.n_steps
        text = f"a batch_size of {args.batch_size} does not divide a rollout of {rollout} (n_envs * n_steps)"
        hint = f"Such as --batch-size {math.gcd(rollout, args.batch_size)}."
        problems.append(Problem("wrong-setting", text, hints=(hint,)))
    return problems


def train(args: Args, spec: Spec | None = None) -> dict[str, Any]:
    """Train in a new run folder, or go on with a run; return what `result.json` says.

    Raises:
        RewardSpecError: What `Task` and `recording` raise.
    """
    spec = load(args.spec) if spec is None else spec
    if args.resume is None and args.folder is None:
        args = replace(args, folder=Path("runs") / "ppo_native" / f"{args.spec.stem}-{args.seed}")
    task = Task(spec, args)
    per_iteration = args.n_envs * args.n_steps
    per_row = max(1, task.iterations // args.rows)
    with recording(
        "ppo_native",
        args,
        task.program,
        steps=task.iterations * per_iteration,
        spec_text=args.spec.read_text() if args.spec.is_file() else spec.to_yaml(),
        console=Console(quiet=args.quiet),
    ) as record:
        rng = np.random.default_rng(args.seed)
        run = task.start(rng)
        if record.start:
            run = Run(**{name: record.arrays[name] for name in Run._fields})
            rng.bit_generator.state = record.notes["rng"]
        is_solved = bool(record.notes.get("solved"))
        while run.counts[0] < task.iterations and not is_solved:
            row = task.iterate(run, rng, min(per_row, task.iterations - int(run.counts[0])))
            steps = int(run.counts[0]) * per_iteration
            record.log(steps, row)
            is_solved = args.stop_at is not None and has_solved(task, run, row, args.stop_at)
            if record.is_due or is_solved or run.counts[0] == task.iterations:
                record.save(steps, run._asdict(), {"rng": rng.bit_generator.state, "solved": is_solved})
        result = {"steps": int(run.counts[0]) * per_iteration, "episodes": int(run.counts[2])}
        for name, greedy in (("sampled", False), ("greedy", True)):
            played = task.play(run, np.random.default_rng(args.seed), greedy=greedy).mean(axis=0)
            result[name] = dict(zip(("return", "task_return", "length"), played.tolist(), strict=True))
        record.finish(result)
    return result


def has_solved(task: Task, run: Run, row: dict[str, float | None], wanted: float) -> bool:
    """Return whether the sampled policy's own mean return over 100 new episodes is what was wanted."""
    if row["task_return"] is None or row["task_return"] < 0.8 * wanted:
        return False  # not yet worth the time
    return bool(task.play(run, np.random.default_rng(0), greedy=False)[:, 1].mean() >= wanted)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    import tyro

    args = tyro.cli(Args, args=arguments, description=__doc__)
    try:
        result = train(args)
    except RewardSpecError as error:
        print(error, file=sys.stderr)
        return 1
    for policy in ("sampled", "greedy"):
        print(f"{policy}: " + ", ".join(f"{name} {value:.4g}" for name, value in result[policy].items()))
    return 0


if __name__ == "__main__":
    from agents.ppo_native import main as imported  # the types of `__main__` would be others to numba's cache

    sys.exit(imported())
