"""PPO in machine code: environment, reward program, networks, advantages and updates in one compiled loop.

    python -m agents.ppo_native --spec examples/specs/cartpole_centred.yaml --env CartPole-v1 --steps 200000 --seed 0

It is CleanRL's `ppo.py` and stable-baselines3's `PPO` with discrete actions, written for numba: 48 to
75 times as fast on one core (`python -m benchmarks speed --only training`). It trains in CartPole and in finite worlds;
`ppo_sb3.py` and `ppo_torch.py` are for all others.

How the files divide the work: this one is PPO, from the arguments to the last checkpoint, and `ppo_arrays.py` lists
what its loop reads and writes; `compiled_nets.py` has the networks with their backward pass and Adam, on `matmul.py`'s
products and tangents (BLAS takes 2 to 3 times as long at these sizes); `compiled_worlds.py` has the environments and
`compiled_task.py` what a spec pays in them. The loop calls world and reward program through pointers of fixed
signatures, so it is compiled once (8 s) and then loaded (0.1 s), whatever the spec (`machine_code.py`); only the
spec's own few lines are compiled anew (half a second, kept on disk as well).

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import boolean, float64, int64, typeof
from rich.console import Console

from agents import command
from agents.bounds import refuse_numbers
from agents.compiled_nets import (
    adam,
    backward,
    forward,
    forward_rows,
    orthogonal_net,
    transpose,
    view,
)
from agents.compiled_task import CompiledTask, show
from agents.compiled_worlds import RNG
from agents.machine_code import inner, machine_code
from agents.ppo_arrays import Knobs, Run, make_acting, make_nets, make_room
from agents.recording import recording
from rewardspec.errors import LearningError, NonFiniteRewardError, Problem, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import load


@dataclass(frozen=True)
class Args:
    """Arguments of the command line.

    Attributes:
        spec: The spec's YAML file.
        env: Gymnasium id; the spec's own where not given.
        steps: Environment steps of the whole run, over all environments; rounded up to whole rollouts.
        seed: Seed of everything random.
        folder: Run folder; `runs/<spec>-ppo_native-<seed>` when not given.
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

    spec: Path | None = None
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
    backward(nets.actor, nets.actor_gradient, x, actor.h1, actor.h2, actor.d3, actor.d2, actor.d1)
    backward(nets.critic, nets.critic_gradient, x, critic.h1, critic.h2, critic.d3, critic.d2, critic.d1)


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


# -- around the loop -------------------------------------------------------------------------------------------

RECENT = 100
"""Episodes over which returns are averaged."""

LOSSES = ("loss/policy", "loss/value", "loss/entropy", "loss/kl", "loss/clipped")


class Learner:
    """The compiled loop for a spec.

    Attributes:
        task: The spec in its world.
        knobs: The arguments as the loop reads them.
        iterations: Rollouts of the whole run.
    """

    def __init__(self, spec: Spec, args: Args) -> None:
        """Compile the spec for its world.

        Raises:
            RewardSpecError: What `CompiledTask` raises; UnsupportedError `wrong-setting`.
        """
        refuse_settings(args)
        self.task = task = CompiledTask(spec, args.env, args.gamma, args.n_envs)
        self.iterations = max(1, -(-args.steps // (args.n_envs * args.n_steps)))
        self.knobs = Knobs(
            n_envs=args.n_envs,
            n_steps=args.n_steps,
            batch_size=args.batch_size,
            n_epochs=args.n_epochs,
            iterations=self.iterations,
            learning_rate=float(args.learning_rate),
            anneal=args.anneal,
            gamma=float(task.gamma),
            gae_lambda=float(args.gae_lambda),
            clip_range=float(args.clip_range),
            vf_coef=float(args.vf_coef),
            ent_coef=float(args.ent_coef),
            max_grad_norm=float(args.max_grad_norm),
            horizon=task.world.horizon,
            actions=int(task.world.action_space.n),
            hidden=args.hidden,
            inputs=task.inputs,
        )
        self.room = make_room(task.world.obs_size, self.knobs)

    def start(self, rng: np.random.Generator) -> Run:
        """Return new networks and environments at the beginning of their first episodes."""
        task, knobs = self.task, self.knobs
        theta = np.concatenate(
            [
                orthogonal_net(rng, knobs.inputs, knobs.hidden, *last)
                for last in ((knobs.actions, 0.01), (1, 1.0))
            ]
        ).astype(np.float32)
        envs = knobs.n_envs
        run = Run(
            theta=theta,
            first=np.zeros_like(theta),
            second=np.zeros_like(theta),
            counts=np.zeros(3, np.int64),
            worlds=np.zeros((envs, task.world.state_size)),
            machines=np.tile(task.native.start_machines, (envs, 1)),
            memory=np.tile(task.native.start_memory, (envs, 1)),
            lengths=np.zeros(envs, np.int64),
            returns=np.zeros((envs, 2)),
            recent=np.zeros((RECENT, 3)),
        )
        _, tables, _, reset, *_ = task.arguments
        for n in range(envs):
            reset(tables, run.worlds, n, rng)
        return run

    def iterate(self, run: Run, rng: np.random.Generator, iterations: int) -> dict[str, float | None]:
        """Play and learn for some iterations; return what to say of them.

        Raises:
            NonFiniteRewardError: The program paid a reward that is NaN or infinite.
            LearningError: The networks have diverged.
        """
        stats = np.zeros(6)
        nets = make_nets(run.theta, np.empty_like(run.theta), self.knobs)
        given = (run, nets, self.room, self.knobs)
        loop = machine_code(iterate, *map(typeof, given), *self.task.types, RNG, int64, float64[::1])
        if not loop(*given, *self.task.arguments, rng, iterations, stats):
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
        actor, _ = view(run.theta, self.knobs.inputs, self.knobs.hidden, self.knobs.actions)
        given = (one, actor, make_acting(1, self.task.world.obs_size, self.knobs), 0, self.knobs)
        loop = machine_code(play, *map(typeof, given), *self.task.types, RNG, boolean, float64[:, ::1])
        loop(*given, *self.task.arguments, rng, greedy, found)
        return found


def refuse_settings(args: Args) -> None:
    """Raise when nothing could be learnt with the arguments.

    Raises:
        UnsupportedError: `wrong-setting`.
    """
    refuse_numbers(args)
    if args.n_envs * args.n_steps % args.batch_size:
        rollout = args.n_envs * args.n_steps
        text = f"a batch_size of {args.batch_size} does not divide a rollout of {rollout} (n_envs * n_steps)"
        hint = f"Such as --batch-size {math.gcd(rollout, args.batch_size)}."
        raise UnsupportedError(Problem("wrong-setting", text, hints=(hint,)))


def train(args: Args, spec: Spec | None = None) -> dict[str, Any]:
    """Train in a new run folder, or go on with a run; return what `result.json` says.

    Raises:
        RewardSpecError: What `Task` and `recording` raise.
    """
    args = with_folder(args)
    if spec is None:
        spec = read_spec(args)
    learner = Learner(spec, args)
    per_iteration = args.n_envs * args.n_steps
    per_row = max(1, learner.iterations // args.rows)
    with recording(
        "ppo_native",
        args,
        learner.task.program,
        steps=learner.iterations * per_iteration,
        spec_text=args.spec.read_text() if args.spec and args.spec.is_file() else spec.to_yaml(),
        console=Console(quiet=args.quiet),
    ) as record:
        rng = np.random.default_rng(args.seed)
        run = learner.start(rng)
        if record.start:
            run = Run(**{name: record.arrays[name] for name in Run._fields})
            rng.bit_generator.state = record.notes["rng"]
        is_solved = bool(record.notes.get("solved"))
        while run.counts[0] < learner.iterations and not is_solved:
            row = learner.iterate(run, rng, min(per_row, learner.iterations - int(run.counts[0])))
            steps = int(run.counts[0]) * per_iteration
            record.log(steps, row)
            is_solved = args.stop_at is not None and has_solved(learner, run, row, args.stop_at)
            if record.is_due or is_solved or run.counts[0] == learner.iterations:
                record.save(steps, run._asdict(), {"rng": rng.bit_generator.state, "solved": is_solved})
        result = {"steps": int(run.counts[0]) * per_iteration, "episodes": int(run.counts[2])}
        for name, greedy in (("sampled", False), ("greedy", True)):
            played = learner.play(run, np.random.default_rng(args.seed), greedy=greedy).mean(axis=0)
            result[name] = dict(zip(("return", "task_return", "length"), played.tolist(), strict=True))
        record.finish(result)
    return result


def has_solved(learner: Learner, run: Run, row: dict[str, float | None], wanted: float) -> bool:
    """Return whether the sampled policy's own mean return over 100 new episodes is what was wanted."""
    if row["task_return"] is None or row["task_return"] < 0.8 * wanted:
        return False  # not yet worth the time
    return bool(learner.play(run, np.random.default_rng(0), greedy=False)[:, 1].mean() >= wanted)


def read_spec(args: Args) -> Spec:
    """Return the spec to learn: the run folder's copy where a run goes on.

    Raises:
        SpecError: It is wrong.
        UnsupportedError: `wrong-setting` when none is named; `settings-changed`.
    """
    run = command.copied("ppo_native", args)
    if run is not None:
        return command.held_specs(run, 1)[0]
    if args.spec is None:
        text = "say what to learn from: --spec FILE, or --resume FOLDER"
        raise UnsupportedError(Problem("wrong-setting", text))
    return load(args.spec)


def with_folder(args: Args) -> Args:
    """Return the arguments with their run folder."""
    name = args.spec.stem if args.spec is not None else "spec"
    return command.placed(args, f"{name}-ppo_native-{args.seed}")


def told(result: dict[str, Any], args: Args) -> str:
    """Return what a run came to, in three lines."""
    lines = [
        f"{policy}: " + ", ".join(f"{name} {value:.4g}" for name, value in result[policy].items())
        for policy in ("sampled", "greedy")
    ]
    return "\n".join([*lines, f"run folder: {args.resume or args.folder}"])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    words = sys.argv[1:] if arguments is None else arguments
    return command.run(
        lambda: with_folder(command.read_arguments(Args, "ppo_native", words, __doc__)),
        lambda args: told(train(args), args),
    )


if __name__ == "__main__":
    from agents.ppo_native import main as imported  # the types of `__main__` would be others to numba's cache

    sys.exit(imported())
