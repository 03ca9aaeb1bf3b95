"""PPO's loop in machine code: the loss and its gradient, playing, advantages, updates (see `ppo_native.py`).

Everything here is compiled by numba, reads and writes the arrays that `ppo_arrays.py` lists, and allocates nothing.
Names of functions that are passed in (`reset`, `step`, `observe`, `pay`, `begin`) are those of a `CompiledTask`.
"""

from __future__ import annotations

import math

import numpy as np

from agents.compiled_nets import adam, backward, forward, forward_rows
from agents.compiled_task import show
from agents.machine_code import inner
from agents.matmul import transpose

# -- the loss and its gradient -------------------------------------------------------------------------------


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
    for m in range(size):
        top = logits[0, m]
        for k in range(1, actions):
            top = max(top, logits[k, m])
        total = number(0)
        for k in range(actions):
            d_logits[k, m] = np.exp(logits[k, m] - top)
            total += d_logits[k, m]
        normaliser = top + np.log(total)
        entropy = number(0)
        for k in range(actions):
            entropy -= d_logits[k, m] / total * (logits[k, m] - normaliser)
        a, advantage = batch.action[m], batch.advantage[m]
        log_ratio = logits[a, m] - normaliser - batch.log_prob[m]
        ratio = np.exp(log_ratio)
        bounded = min(max(ratio, one - c), one + c)
        policy_loss -= min(ratio * advantage, bounded * advantage)
        d_log_prob = -ratio * advantage * each if ratio * advantage <= bounded * advantage else number(0)
        for k in range(actions):
            chance = d_logits[k, m] / total
            d_entropy = -chance * (logits[k, m] - normaliser + entropy)
            chosen = one if k == a else number(0)
            d_logits[k, m] = d_log_prob * (chosen - chance) - entropy_each * d_entropy
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
def gradient(nets, room, knobs, stats):
    """Write the gradient of the loss on a minibatch, `room.batch`, by every parameter of both networks."""
    x, actor, critic = room.batch.x, room.actor, room.critic
    forward(nets.actor, x, actor.h1, actor.h2, actor.out)
    forward(nets.critic, x, critic.h1, critic.h2, critic.out)
    clip_range, vf_coef, ent_coef = knobs.clip_range, knobs.vf_coef, knobs.ent_coef
    loss_gradient(
        room.batch, actor.out, critic.out, clip_range, vf_coef, ent_coef, actor.d3, critic.d3, stats
    )
    backward(
        nets.actor, nets.actor_gradient, x, actor.h1, actor.h2, actor.d3, actor.d2, actor.d1, actor.turned
    )
    backward(
        nets.critic,
        nets.critic_gradient,
        x,
        critic.h1,
        critic.h2,
        critic.d3,
        critic.d2,
        critic.d1,
        critic.turned,
    )


# -- playing ---------------------------------------------------------------------------------------------------


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
def fill(batch, rollout, start):
    """Copy the transitions at `rollout.order[start:]` into a minibatch; normalise their advantages."""
    size = batch.action.size
    for i in range(batch.x.shape[0]):
        for m in range(size):
            batch.x[i, m] = rollout.x[i, rollout.order[start + m]]
    mean = squares = 0.0
    for m in range(size):
        k = rollout.order[start + m]
        batch.action[m], batch.log_prob[m] = rollout.action[k], rollout.log_prob[k]
        batch.target[m], batch.advantage[m] = rollout.target[k], rollout.advantage[k]
        mean += rollout.advantage[k]
    mean /= size
    if size > 1:
        for m in range(size):
            squares += (batch.advantage[m] - mean) ** 2
        deviation = math.sqrt(squares / (size - 1)) + 1e-8
        for m in range(size):
            batch.advantage[m] = (batch.advantage[m] - mean) / deviation


@inner()
def play_rollout(run, nets, room, knobs, seen, tables, params, reset, step, observe, pay, begin, rng):
    """Play n_steps in each environment and estimate advantages; return False when what was paid is not finite."""
    rollout, acting = room.rollout, room.acting
    raw, raw_next, row = acting.raw, acting.raw_next, acting.row
    envs, columns = knobs.n_envs, knobs.n_envs * knobs.n_steps
    transpose(nets.actor.w3, acting.w3_rows)
    for i in range(columns):
        n = i % envs
        if n == 0:
            forward_rows(nets.actor, acting.w3_rows, row, acting.h1, acting.h2, acting.logits)
        for k in range(knobs.inputs):
            rollout.x[k, i] = row[n, k]
        action, rollout.log_prob[i] = choose(acting.logits, n, rng)
        rollout.action[i] = action
        own, terminated, label = step(tables, run.worlds, n, action, rng)
        observe(tables, run.worlds, n, raw_next)
        run.lengths[n] += 1
        truncated = run.lengths[n] >= knobs.horizon
        paid, terminated, truncated = pay(
            run.machines, run.memory, n, raw, action, raw_next, own, terminated, truncated, label, params
        )
        if not math.isfinite(paid):
            return False
        run.returns[n, 0] += paid
        run.returns[n, 1] += own
        for k in range(raw.shape[1]):
            raw[n, k] = raw_next[n, k]
        show(raw, run.machines, run.memory, n, seen, row)
        rollout.done[i] = terminated or truncated
        if rollout.done[i]:
            if not terminated:  # the episode would have gone on
                for k in range(knobs.inputs):
                    room.alone_x[k, 0] = row[n, k]
                forward(nets.critic, room.alone_x, room.alone.h1, room.alone.h2, room.alone.out)
                paid += knobs.gamma * room.alone.out[0, 0]
            note = run.counts[2] % run.recent.shape[0]
            run.recent[note, 0], run.recent[note, 1] = run.returns[n, 0], run.returns[n, 1]
            run.recent[note, 2] = run.lengths[n]
            run.counts[2] += 1
            run.lengths[n] = 0
            run.returns[n, 0] = run.returns[n, 1] = 0.0
            reset(tables, run.worlds, n, rng)
            begin(run.machines, run.memory, n)
            observe(tables, run.worlds, n, raw)
            show(raw, run.machines, run.memory, n, seen, row)
        rollout.reward[i] = paid
    for n in range(envs):
        for k in range(knobs.inputs):
            rollout.x[k, columns + n] = row[n, k]
    forward(nets.critic, rollout.x, rollout.h1, rollout.h2, rollout.value)
    advantages(rollout.reward, rollout.value[0], rollout.done, knobs, rollout.advantage, rollout.target)
    return True


@inner()
def learn(run, nets, room, knobs, rng, stats):
    """Take the steps of Adam that a rollout is worth."""
    order, columns = room.rollout.order, room.rollout.order.size
    left = 1.0 - run.counts[0] / knobs.iterations if knobs.anneal else 1.0
    for i in range(columns):
        order[i] = i
    for _ in range(knobs.n_epochs):
        for i in range(columns - 1, 0, -1):
            j = int(rng.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        for start in range(0, columns, knobs.batch_size):
            fill(room.batch, room.rollout, start)
            gradient(nets, room, knobs, stats)
            run.counts[1] += 1
            rate, cut = knobs.learning_rate * left, knobs.max_grad_norm
            adam(nets.theta, nets.gradient, run.first, run.second, run.counts[1], rate, cut)


def iterate(
    run, nets, room, knobs, seen, tables, params, reset, step, observe, pay, begin, rng, iterations, stats
):
    """Play and learn for some iterations; return False when the program paid what is not finite."""
    acting = room.acting
    for n in range(knobs.n_envs):
        observe(tables, run.worlds, n, acting.raw)
        show(acting.raw, run.machines, run.memory, n, seen, acting.row)
    for _ in range(iterations):
        if not play_rollout(
            run, nets, room, knobs, seen, tables, params, reset, step, observe, pay, begin, rng
        ):
            return False
        learn(run, nets, room, knobs, rng, stats)
        run.counts[0] += 1
    return True


def play(
    run,
    actor,
    acting,
    n,
    knobs,
    seen,
    tables,
    params,
    reset,
    step,
    observe,
    pay,
    begin,
    rng,
    greedy,
    episodes,
):
    """Play whole episodes in environment n; write both returns and the length of each into `episodes` `[E, 3]`.

    The policy's most probable action where `greedy`, else one drawn from it.
    """
    raw, logits = (
        acting.raw,
        acting.logits,
    )  # n is an argument as numba compiles functions apart for a literal 0
    transpose(actor.w3, acting.w3_rows)
    for e in range(episodes.shape[0]):
        episodes[e, 0] = episodes[e, 1] = episodes[e, 2] = 0.0
        reset(tables, run.worlds, n, rng)
        begin(run.machines, run.memory, n)
        over = False
        while not over:
            observe(tables, run.worlds, n, raw)
            show(raw, run.machines, run.memory, n, seen, acting.row)
            forward_rows(actor, acting.w3_rows, acting.row, acting.h1, acting.h2, logits)
            action = choose(logits, n, rng)[0]
            if greedy:
                for k in range(knobs.actions):
                    action = k if logits[n, k] > logits[n, action] else action
            own, terminated, label = step(tables, run.worlds, n, action, rng)
            observe(tables, run.worlds, n, acting.raw_next)
            episodes[e, 2] += 1
            truncated = episodes[e, 2] >= knobs.horizon
            paid, terminated, truncated = pay(
                run.machines,
                run.memory,
                n,
                raw,
                action,
                acting.raw_next,
                own,
                terminated,
                truncated,
                label,
                params,
            )
            over = terminated or truncated
            episodes[e, 0] += paid
            episodes[e, 1] += own
