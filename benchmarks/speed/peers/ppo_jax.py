"""The peer: PPO whose whole loop is one XLA program, modelled on PureJaxRL, with gymnax's CartPole.

Written anew after the structure of PureJaxRL's `ppo.py` (C. Lu et al., 2022): a scan over updates that holds one over
environment steps, one over advantages, and scans over epochs and minibatches; actor and critic are separate 64-64 tanh
networks. Losses, epochs, minibatches and learning rate are those of `agents/ppo_native.py`: both do the same work, but
that like PureJaxRL it does not bootstrap at truncations.

It runs in `.venv-bench` (jax, flax, optax, gymnax), in a process of its own, and trains a block of updates for every
line that it is sent:

    python -m benchmarks.speed.peers.ppo_jax '{"n_envs": 4, "n_steps": 128, ...}'
"""

from __future__ import annotations

import json
import sys
import time
from typing import NamedTuple

import flax.linen as nn
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState


class Networks(nn.Module):
    """Logits and value."""

    actions: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        outputs = []
        for size, gain in ((self.actions, 0.01), (1, 1.0)):
            h = x
            for _ in range(2):
                h = nn.tanh(nn.Dense(self.hidden, kernel_init=nn.initializers.orthogonal(np.sqrt(2)))(h))
            outputs.append(nn.Dense(size, kernel_init=nn.initializers.orthogonal(gain))(h))
        return outputs[0], outputs[1][..., 0]


class Step(NamedTuple):
    """One step of all environments."""

    obs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array


def make(args):
    """Return the functions that start a run and that go on with it for some updates."""
    env, params = gymnax.make("CartPole-v1")
    nets = Networks(env.num_actions, args["hidden"])
    columns = args["n_envs"] * args["n_steps"]
    minibatches = columns // args["batch_size"]

    def start(key):
        key, for_nets, for_envs = jax.random.split(key, 3)
        obs, states = jax.vmap(env.reset, (0, None))(jax.random.split(for_envs, args["n_envs"]), params)
        optimiser = optax.chain(
            optax.clip_by_global_norm(args["max_grad_norm"]), optax.adam(args["learning_rate"], eps=1e-5)
        )
        train = TrainState.create(apply_fn=nets.apply, params=nets.init(for_nets, obs[0]), tx=optimiser)
        return train, states, obs, key

    def play(carry, _):
        train, states, obs, key = carry
        key, for_action, for_envs = jax.random.split(key, 3)
        logits, value = nets.apply(train.params, obs)
        action = jax.random.categorical(for_action, logits)
        log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits), action[:, None], 1)[:, 0]
        keys = jax.random.split(for_envs, args["n_envs"])
        after, states, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(
            keys, states, action, params
        )
        return (train, states, after, key), Step(obs, action, log_prob, value, reward, terminated | truncated)

    def loss(weights, step, advantage, target):
        logits, value = nets.apply(weights, step.obs)
        log_probs = jax.nn.log_softmax(logits)
        log_prob = jnp.take_along_axis(log_probs, step.action[:, None], 1)[:, 0]
        ratio = jnp.exp(log_prob - step.log_prob)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        bounded = jnp.clip(ratio, 1 - args["clip_range"], 1 + args["clip_range"])
        policy_loss = -jnp.minimum(ratio * advantage, bounded * advantage).mean()
        entropy = -(jnp.exp(log_probs) * log_probs).sum(1).mean()
        value_loss = jnp.square(value - target).mean()
        return policy_loss + args["vf_coef"] * value_loss - args["ent_coef"] * entropy

    def update(carry, _):
        (train, states, obs, key), steps = jax.lax.scan(play, carry, None, args["n_steps"])
        _, last = nets.apply(train.params, obs)

        def estimate(running, step):
            advantage, after = running
            goes_on = 1.0 - step.done
            delta = step.reward + args["gamma"] * after * goes_on - step.value
            advantage = delta + args["gamma"] * args["gae_lambda"] * goes_on * advantage
            return (advantage, step.value), advantage

        zero = jnp.zeros(args["n_envs"])
        _, advantage = jax.lax.scan(estimate, (zero, last), steps, reverse=True, unroll=16)
        rollout = (steps, advantage, advantage + steps.value)
        flat = jax.tree.map(lambda a: a.reshape((columns, *a.shape[2:])), rollout)

        def learn(train, minibatch):
            return train.apply_gradients(grads=jax.grad(loss)(train.params, *minibatch)), None

        def epoch(carry, _):
            train, key = carry
            key, for_order = jax.random.split(key)
            order = jax.random.permutation(for_order, columns)
            cut = jax.tree.map(lambda a: a[order].reshape((minibatches, -1, *a.shape[1:])), flat)
            train, _ = jax.lax.scan(learn, train, cut)
            return (train, key), None

        (train, key), _ = jax.lax.scan(epoch, (train, key), None, args["n_epochs"])
        return (train, states, obs, key), steps.done.sum()

    def train_for(carry, updates):
        return jax.lax.scan(update, carry, None, updates)

    return jax.jit(start), jax.jit(train_for, static_argnums=1)


def main(arguments):
    """Say the seconds of the first block, compiling included; then, for each line, the rate of another.

    Seconds are of CPU time, or with `"clock": "wall"`, as a GPU needs it, of the clock on the wall.
    """
    args = json.loads(arguments[0])
    clock = time.perf_counter if args.get("clock") == "wall" else time.process_time
    start, train_for = make(args)
    began = clock()
    carry = start(jax.random.key(args["seed"]))
    carry, _ = jax.block_until_ready(train_for(carry, args["updates"]))
    print(clock() - began, flush=True)
    steps = args["updates"] * args["n_envs"] * args["n_steps"]
    for _ in sys.stdin:
        began = clock()
        carry, ended = jax.block_until_ready(train_for(carry, args["updates"]))
        rate = steps / (clock() - began)
        print(json.dumps([rate, steps / max(1, int(ended.sum()))]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
