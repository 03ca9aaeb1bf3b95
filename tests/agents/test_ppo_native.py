"""PPO in machine code: the gradient is autograd's, the worlds are gymnasium's, and a run survives being killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("numba")
torch = pytest.importorskip("torch")

from numba import float32, float64, int64, typeof  # noqa: E402

from agents import compiled_nets, compiled_task, compiled_worlds, ppo_loop, ppo_native  # noqa: E402
from agents.machine_code import machine_code  # noqa: E402
from agents.matmul import dots, outer, product, tanh  # noqa: E402
from agents.ppo_arrays import Batch, make_nets, make_room  # noqa: E402
from agents.ppo_native import Args, Learner  # noqa: E402
from rewardspec import wrap  # noqa: E402
from rewardspec.errors import MismatchError, NonFiniteRewardError, UnsupportedError  # noqa: E402
from rewardspec.tabular.world import tabulate  # noqa: E402
from rewardspec.vocabulary import load, loads  # noqa: E402

ROOT = Path(__file__).parents[2]
CENTRED = ROOT / "examples" / "specs" / "cartpole_centred.yaml"
TINY = Args(CENTRED, n_envs=2, n_steps=16, batch_size=16, hidden=8, n_epochs=2, steps=640, quiet=True)

SHUTTLE = """
name: shuttle
discount: 0.9
env: {id: CartPole-v1}
propositions: {left: "next_obs[1] < -0.1", right: "next_obs[1] > 0.1"}
reward:
  - name: shuttle
    reward_machine:
      start: go left
      edges:
        - {from: go left, to: go right, when: left, reward: 1}
        - {from: go right, to: go left, when: right, reward: 1}
  - markov: 0.1 * next_obs[2] + 0.01 * reward - 0.001 * action
"""


# -- matrices ----------------------------------------------------------------------------------------------


def products(w, x, z, g, t, turned, sums):
    product(w, x, z)
    product(w.T, z, x)
    outer(x, z, turned, g)
    dots(x, z, sums)
    tanh(t)


@pytest.mark.parametrize("shape", [(8, 8, 64), (3, 5, 70), (1, 9, 130), (23, 21, 19), (70, 7, 40)])
def test_products_are_numpys_whatever_fills_a_tile(shape):
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
    z, g, t = rng.normal(size=(rows, columns)), np.zeros((inner, rows)), rng.normal(size=(4, 5))
    arrays = [a.astype(np.float32) for a in (w, x, z, g, t, z.T.copy(), g)]
    machine_code(products, *(typeof(a) for a in arrays))(*arrays)
    z = z + w @ x
    x = x + w.T @ z
    for found, expected in zip(arrays[:5], (w, x, z, x @ z.T, np.tanh(t)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(arrays[6], x @ z.T, rtol=1e-4, atol=1e-4)


def test_the_quick_tangent_is_exact_to_3e_7_everywhere():
    x = np.linspace(-12, 12, 200_001).astype(np.float32)
    found = x.copy()
    shaped = found.reshape(1, -1)
    machine_code(lone_tanh, typeof(shaped))(shaped)
    assert np.abs(found - np.tanh(x.astype(np.float64))).max() < 3e-7


def lone_tanh(z):
    tanh(z)


# -- the backward pass -------------------------------------------------------------------------------------


def one_gradient(nets, room, knobs, stats):
    ppo_loop.gradient(nets, room, knobs, stats)


def room_for(batch, knobs, kind):
    """Return room for the gradients by a minibatch."""
    room = make_room(1, knobs._replace(batch_size=len(batch.action)))
    hidden, columns = knobs.hidden, len(batch.action)
    actor, critic = (compiled_nets.scratch(hidden, out, columns, kind) for out in (knobs.actions, 1))
    return room._replace(batch=batch, actor=actor, critic=critic)


def torch_outputs(theta, sizes, x):
    """Return logits `[M, A]` and values `[M]`."""
    inputs, hidden, actions, _ = sizes
    at, outputs = 0, []
    for out in (actions, 1):
        h = torch.tensor(x.T)
        for last, rows, columns in ((False, inputs, hidden), (False, hidden, hidden), (True, hidden, out)):
            w = theta[at : at + rows * columns].reshape(rows, columns)
            at += rows * columns
            h = h @ w + theta[at : at + columns]
            at += columns
            h = h if last else torch.tanh(h)
        outputs.append(h)
    return outputs[0], outputs[1].flatten()


def torch_loss(theta, sizes, batch, knobs):
    """The same loss as SB3 writes it, for autograd."""
    logits, values = torch_outputs(theta, sizes, batch.x)
    chosen = torch.distributions.Categorical(logits=logits)
    ratio = torch.exp(chosen.log_prob(torch.tensor(batch.action)) - torch.tensor(batch.log_prob))
    advantage = torch.tensor(batch.advantage)
    surrogate = torch.min(
        advantage * ratio, advantage * torch.clamp(ratio, 1 - knobs.clip_range, 1 + knobs.clip_range)
    )
    value_loss = torch.nn.functional.mse_loss(torch.tensor(batch.target), values)
    return -surrogate.mean() + knobs.vf_coef * value_loss - knobs.ent_coef * chosen.entropy().mean()


def test_the_hand_written_gradient_is_autograds():
    inputs, hidden, actions, columns = sizes = (5, 8, 3, 70)
    rng = np.random.default_rng(0)
    knobs = Learner(load(CENTRED), TINY).knobs._replace(clip_range=0.1, ent_coef=0.3)
    knobs = knobs._replace(inputs=inputs, hidden=hidden, actions=actions)
    for kind, tolerance in ((np.float64, 1e-6), (np.float32, 1e-4)):
        size = sum((inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * out for out in (actions, 1))
        theta = rng.normal(scale=0.5, size=size).astype(kind)
        x, action = rng.normal(size=(inputs, columns)).astype(kind), rng.integers(actions, size=columns)
        logits, _ = torch_outputs(torch.tensor(theta), sizes, x)
        log_prob = logits.log_softmax(dim=1).numpy()[np.arange(columns), action]
        others = rng.normal(size=(3, columns)).astype(kind)
        batch = Batch(x, action, (log_prob + 0.1 * others[0]).astype(kind), others[1], others[2])
        found, stats = np.full_like(theta, np.nan), np.zeros(6)
        arguments = (make_nets(theta, found, knobs), room_for(batch, knobs, kind), knobs, stats)
        machine_code(one_gradient, *(typeof(a) for a in arguments))(*arguments)
        leaf = torch.tensor(theta, requires_grad=True)
        torch_loss(leaf, sizes, batch, knobs).backward()
        assert leaf.grad.abs().max() > 0.1
        assert 0 < stats[4] < 1  # some ratios are clipped and some are not
        np.testing.assert_allclose(found, leaf.grad.numpy(), atol=tolerance)


def adam_steps(theta, gradients, first, second):
    for t in range(gradients.shape[0]):
        compiled_nets.adam(theta, gradients[t], first, second, t + 1, 0.01, 0.5)


def test_adam_with_a_clipped_gradient_is_torchs():
    rng = np.random.default_rng(1)
    theta, gradients = rng.normal(size=20), rng.normal(size=(6, 20)) * np.logspace(-3, 1, 6)[:, None]
    leaf = torch.nn.Parameter(torch.tensor(theta))
    optimiser = torch.optim.Adam([leaf], lr=0.01, eps=1e-5)
    for gradient in gradients:
        leaf.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_([leaf], 0.5)
        optimiser.step()
    arguments = (theta, gradients, np.zeros(20), np.zeros(20))
    machine_code(adam_steps, *(typeof(a) for a in arguments))(*arguments)
    np.testing.assert_allclose(theta, leaf.detach().numpy(), rtol=1e-10)


def estimate(reward, value, done, knobs, advantage, target):
    ppo_loop.advantages(reward, value, done, knobs, advantage, target)


def test_advantages_are_stable_baselines():
    buffers = pytest.importorskip("stable_baselines3.common.buffers")
    rng = np.random.default_rng(2)
    steps, envs = 12, 3
    knobs = Learner(load(CENTRED), TINY).knobs._replace(n_envs=envs, n_steps=steps, gae_lambda=0.8)
    box = gym.spaces.Box(-1, 1, (1,))
    buffer = buffers.RolloutBuffer(steps, box, box, gae_lambda=0.8, gamma=knobs.gamma, n_envs=envs)
    reward, value = rng.normal(size=(steps, envs)), rng.normal(size=(steps + 1, envs))
    done = rng.random((steps, envs)) < 0.2
    buffer.rewards[:], buffer.values[:] = reward, value[:-1]
    buffer.episode_starts[1:] = done[:-1]
    buffer.compute_returns_and_advantage(torch.tensor(value[-1]), done[-1])
    advantage, target = np.zeros(steps * envs), np.zeros(steps * envs)
    arguments = (reward.ravel(), value.ravel(), done.ravel(), knobs, advantage, target)
    machine_code(estimate, *(typeof(a) for a in arguments))(*arguments)
    np.testing.assert_allclose(advantage.reshape(steps, envs), buffer.advantages, atol=1e-5)
    np.testing.assert_allclose(target.reshape(steps, envs), buffer.returns, atol=1e-5)


def plain_value(theta, knobs, x):
    """Return what the critic says of observations `[M, D]`, in NumPy."""
    net = make_nets(theta, theta, knobs).critic
    return (np.tanh(np.tanh(x @ net.w1 + net.b1) @ net.w2 + net.b2) @ net.w3 + net.b3)[:, 0]


@pytest.mark.parametrize("horizon", [1, 3])
def test_what_a_truncated_episode_would_still_have_brought_is_added(horizon):
    steps, envs = TINY.n_steps, TINY.n_envs
    spec = loads("discount: 0.9\nreward: 5 * next_obs[2] + 1\nenv: {id: CartPole-v1}")
    learner = Learner(spec, replace(TINY, learning_rate=1e-30, gae_lambda=0.8))  # so that the networks stay
    learner.knobs = knobs = learner.knobs._replace(horizon=horizon)
    rng = np.random.default_rng(7)
    run = learner.start(rng)
    run.theta[:] *= 3
    learner.iterate(run, rng, 1)
    found = learner.room.rollout
    seen = found.x[:, : steps * envs].T.astype(np.float64)
    after = seen.copy()
    for n, action in enumerate(found.action):
        compiled_worlds.step_cartpole(None, after, n, action, None)
    paid = 5 * after[:, 2] + 1
    value, value_after = (plain_value(run.theta, knobs, x).reshape(steps, envs) for x in (seen, after))
    is_last = np.arange(1, steps + 1) % horizon == 0
    expected, running = np.zeros((steps, envs)), 0.0
    for t in reversed(range(steps)):
        delta = paid.reshape(steps, envs)[t] + 0.9 * value_after[t] - value[t]
        running = delta + (0.0 if is_last[t] else 0.9 * 0.8 * running)
        expected[t] = running
    assert run.counts[2] == is_last.sum() * envs
    assert np.abs(value_after).mean() > 0.1
    np.testing.assert_allclose(found.advantage.reshape(steps, envs), expected, atol=1e-4)
    np.testing.assert_allclose(found.target.reshape(steps, envs), expected + value, atol=1e-4)


# -- worlds and rewards ------------------------------------------------------------------------------------


def test_cartpole_is_gymnasiums_step_by_step():
    env = gym.make("CartPole-v1")
    world = compiled_worlds.compiled_world("CartPole-v1")
    _, step, observe = world.compiled()
    rng, state, obs = np.random.default_rng(3), np.zeros((2, 4)), np.zeros((2, 4), np.float32)
    assert world.horizon == 500
    ended = 0
    for episode in range(20):
        env.reset(seed=episode)
        state[1] = env.unwrapped.state
        terminated = False
        while not terminated:
            action = int(rng.integers(2))
            expected, reward, terminated, _, _ = env.step(action)
            paid, fallen, label = step(world.tables, state, 1, action, rng)
            observe(world.tables, state, 1, obs)
            assert (paid, fallen, label) == (reward, terminated, 0)
            np.testing.assert_allclose(state[1], env.unwrapped.state, rtol=1e-12, atol=1e-14)
            np.testing.assert_array_equal(obs[1], expected)
        ended += 1
    assert ended == 20 and not state[0].any()


def test_a_slippery_world_falls_where_its_table_says():
    table = tabulate(gym.make("FrozenLake-v1"))
    world = compiled_worlds.compiled_world("FrozenLake-v1")
    reset, step, observe = world.compiled()
    rng, state, obs = np.random.default_rng(4), np.zeros((1, 1)), np.zeros((1, 1), np.float32)
    reset(world.tables, state, 0, rng)
    assert state[0, 0] == 0 and world.horizon == 100
    counts = np.zeros((table.n_states, table.n_states))
    for _ in range(3000):
        before = int(state[0, 0])
        reward, terminated, _ = step(world.tables, state, 0, 1, rng)
        observe(world.tables, state, 0, obs)
        after = int(obs[0, 0])
        counts[before, after] += 1
        assert reward == (after == 15) and terminated == (after in (5, 7, 11, 12, 15))
        if terminated:
            reset(world.tables, state, 0, rng)
    for before in np.flatnonzero(counts.sum(axis=1) > 100):
        expected = np.zeros(table.n_states)
        np.add.at(expected, table.next_state[before, 1], table.probability[before, 1])
        np.testing.assert_allclose(counts[before] / counts[before].sum(), expected, atol=0.12)


def recorded(
    run, acting, n, seen, tables, params, reset, step, observe, pay, begin, rng, actions, rows, paid
):
    """Play given actions in environment n as the loop does."""
    raw, after = acting.raw, acting.raw_next
    for t in range(actions.size):
        observe(tables, run.worlds, n, raw)
        own, terminated, label = step(tables, run.worlds, n, actions[t], rng)
        observe(tables, run.worlds, n, after)
        paid[t], _, _ = pay(
            run.machines, run.memory, n, raw, actions[t], after, own, terminated, False, label, params
        )
        compiled_task.show(after, run.machines, run.memory, n, seen, rows[t : t + 1])


def play_recorded(learner, run, rng, actions):
    """Return what the networks see after each action `[T, D]` and what is paid `[T]`."""
    rows, paid = np.zeros((len(actions), learner.task.inputs), np.float32), np.zeros(len(actions))
    given = (run, learner.room.acting, 0)
    types = (compiled_worlds.RNG, int64[::1], float32[:, ::1], float64[::1])
    loop = machine_code(recorded, *map(typeof, given), *learner.task.types, *types)
    loop(*given, *learner.task.arguments, rng, actions, rows, paid)
    return rows, paid


def test_the_spec_pays_and_shows_its_memory_as_the_wrapper_does():
    spec = loads(SHUTTLE)
    learner = Learner(spec, TINY)
    rng = np.random.default_rng(5)
    run = learner.start(rng)
    env = wrap(gym.make("CartPole-v1"), spec)
    env.reset(seed=0)
    run.worlds[0] = env.unwrapped.state
    actions = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    rows, paid = play_recorded(learner, run, rng, actions)
    for t, action in enumerate(actions):
        obs, reward, *_ = env.step(action)
        np.testing.assert_array_equal(rows[t], obs)
        assert paid[t] == pytest.approx(reward, abs=1e-12)
    assert rows.shape[1] == 6 and len(np.unique(rows[:, 4])) == 2  # the machine moved


def test_a_world_with_labels_and_discrete_observations_trains():
    spec = loads("reward: {markov: reward}\nenv: {id: FrozenLake-v1, kwargs: {is_slippery: false}}")
    learner = Learner(spec, Args(Path("x"), steps=60 * 512))
    assert learner.task.inputs == 16
    rng = np.random.default_rng(0)
    run = learner.start(rng)
    for _ in range(60):
        told = learner.iterate(run, rng, 1)
    assert told["return"] > 0.8  # a random agent gets 0.014


LABELS = """
discount: 0.9
env: {id: rewardspec/OfficeWorld-v0, labels: environment}
propositions: {coffee: label.coffee, decoration: label.decoration, corner: label.a}
reward: where(coffee, 3, 0) - where(decoration, 0.5, 0) + where(corner, 0.25, 0) + 0.01 * next_obs[0] - 0.1 * obs[1]
"""


def test_a_finite_world_says_its_labels_to_the_spec_as_the_wrapper_does():
    from rewardspec.environments import make_environment

    spec = loads(LABELS)
    learner = Learner(spec, TINY)
    rng = np.random.default_rng(6)
    run = learner.start(rng)
    env = wrap(make_environment("rewardspec/OfficeWorld-v0"), spec)
    env.reset(seed=0)
    actions = rng.integers(4, size=900)
    rows, paid = play_recorded(learner, run, rng, actions)
    expected = [env.step(int(action))[:2] for action in actions]
    np.testing.assert_array_equal(rows, [obs for obs, _ in expected])
    np.testing.assert_allclose(paid, [reward for _, reward in expected], atol=1e-12)
    assert paid.max() > 2 and paid.min() < -0.6  # coffee was fetched and a decoration broken


# -- errors ------------------------------------------------------------------------------------------------


def test_what_cannot_be_trained_is_refused_with_what_can():
    centred = load(CENTRED)
    with pytest.raises(MismatchError, match="no compiled form") as refused:
        Learner(loads("reward: 1"), Args(Path("x"), env="MountainCar-v0"))
    assert "CartPole-v1" in str(refused.value)
    with pytest.raises(UnsupportedError, match="discounts with"):
        Learner(centred, Args(CENTRED, gamma=0.9))
    with pytest.raises(UnsupportedError, match="--batch-size 32"):
        Learner(centred, Args(CENTRED, batch_size=96))
    with pytest.raises(UnsupportedError, match="names no environment"):
        Learner(loads("reward: 1"), Args(Path("x")))
    with pytest.raises(MismatchError, match="no info"):
        Learner(loads("reward: info.speed"), Args(Path("x"), env="CartPole-v1"))
    with pytest.raises(MismatchError, match="no label 'key'"):
        Learner(
            loads("propositions: {k: label.key}\nreward: 'where(k, 1, 0)'"),
            Args(Path("x"), env="CartPole-v1"),
        )


def test_numbers_that_nothing_could_be_learnt_with_are_refused(capsys):
    assert ppo_native.main(["--spec", str(CENTRED), "--n-envs", "0", "--gae-lambda", "2"]) == 1
    said = capsys.readouterr().err
    assert "n_envs is 0; the least is 1" in said and "gae_lambda is 2.0; it lies between 0 and 1" in said
    assert ppo_native.main(["--env", "CartPole-v1"]) == 1
    assert "--spec FILE" in capsys.readouterr().err


def test_a_run_folder_is_enough_to_go_on(tmp_path, capsys):
    words = ["--spec", str(CENTRED), "--steps", "2048", "--folder", str(tmp_path / "run"), "--quiet"]
    assert ppo_native.main(words) == 0
    first = capsys.readouterr().out
    assert first.endswith(f"run folder: {tmp_path / 'run'}\n")
    assert ppo_native.main(["--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert capsys.readouterr().out == first
    assert ppo_native.main(["--resume", str(tmp_path / "run"), "--steps", "4096"]) == 1
    assert "settings-changed" in capsys.readouterr().err


def test_a_reward_that_is_not_finite_ends_the_run_with_its_term_and_step():
    broken = "{markov: 'where(terminated, 1 / (next_obs[0] - next_obs[0]), 0)', name: last}"
    spec = loads(f"env: {{id: CartPole-v1}}\nreward:\n- 1\n- {broken}")
    learner = Learner(spec, Args(Path("x")))
    rng = np.random.default_rng(0)
    run = learner.start(rng)
    with pytest.raises(NonFiniteRewardError) as caught:
        learner.iterate(run, rng, 1)
    (problem,) = caught.value.problems
    n = int(run.memory[:, 1].argmax())
    lasted = int(run.memory[n, 0])  # the first term pays 1 a step
    said = f"environment {n}: the term 'last' pays inf at step {lasted - 1} of the episode"
    assert lasted > 5 and (problem.message, problem.place.line) == (said, 4)


def test_a_sum_that_is_not_finite_ends_the_run_too():
    learner = Learner(loads("reward: [1e308, 1e308]"), Args(Path("x"), env="CartPole-v1"))
    rng = np.random.default_rng(0)
    with pytest.raises(NonFiniteRewardError, match="NaN or infinite"):
        learner.iterate(learner.start(rng), rng, 1)


# -- runs --------------------------------------------------------------------------------------------------

COMMAND = [
    sys.executable,
    "-m",
    "agents.ppo_native",
    "--spec",
    str(CENTRED),
    "--quiet",
    "--checkpoint-seconds",
    "0",
]
COMMAND += ["--n-envs", "2", "--n-steps", "16", "--batch-size", "16", "--hidden", "8", "--rows", "20"]


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_killed_and_resumed_a_run_gives_the_same_numbers(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    steps = ["--steps", "320000"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COMMAND, *steps, "--folder", str(killed)], cwd=ROOT, env=env)
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/[0-9]*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "result.json").exists()
    ppo_native.main([*COMMAND[3:], *steps, "--folder", str(whole)])
    ppo_native.main([*COMMAND[3:], *steps, "--resume", str(killed)])
    assert rows_of(killed) == rows_of(whole)
    assert len(rows_of(whole)) == 20
    assert (killed / "result.json").read_text() == (whole / "result.json").read_text()


def test_it_learns_to_balance_in_half_a_second(tmp_path):
    found = ppo_native.train(Args(CENTRED, steps=120_000, folder=tmp_path / "run", quiet=True))
    assert found["sampled"]["task_return"] > 475  # a random agent gets 22
    assert math.isclose(found["greedy"]["length"], found["greedy"]["task_return"])
