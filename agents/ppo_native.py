"""PPO in machine code: environment, reward program, networks, advantages and updates in one compiled loop.

    python -m agents.ppo_native --spec examples/specs/cartpole_centred.yaml --env CartPole-v1 --steps 200000 --seed 0

It is CleanRL's `ppo.py` and stable-baselines3's `PPO` with discrete actions, written for numba: 45 to
80 times as fast on one core (`python -m benchmarks speed --only training`). It trains in CartPole and in finite worlds;
`ppo_sb3.py` and `ppo_torch.py` are for all others.

How the files divide the work: this one goes from the arguments to the last checkpoint. `ppo_loop.py` is PPO itself, the
compiled loop; `ppo_arrays.py` lists what it reads and writes; `compiled_nets.py` has the networks with their backward
pass and Adam, on `matmul.py`'s products and tangents (BLAS takes 2 to 3 times as long at these sizes);
`compiled_worlds.py` has the environments and `compiled_task.py` what a spec pays in them. The loop calls world and
reward program through pointers of fixed signatures, so it is compiled once (8 s) and then loaded (0.1 s), whatever the
spec (`machine_code.py`); only the spec's own few lines are compiled anew (half a second, kept on disk as well).

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
from agents.compiled_nets import orthogonal_net, view
from agents.compiled_task import CompiledTask
from agents.compiled_worlds import RNG
from agents.machine_code import machine_code
from agents.ppo_arrays import Knobs, Run, make_acting, make_nets, make_room
from agents.ppo_loop import iterate, play
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
            raise self.not_finite(run)
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

    def not_finite(self, run: Run) -> NonFiniteRewardError:
        """Return the error for a run whose loop stopped at a reward that is NaN or infinite.

        The step has been added to the totals of its episode, so the term is the one whose total is not finite.
        """
        program = self.task.program
        totals = run.memory[:, len(program.folds) :]
        broken = np.argwhere(~np.isfinite(totals))
        if not len(broken):  # finite terms with a sum that is not, or a NaN was read that no term is made of
            text = "the program paid a reward that is NaN or infinite, though each of its terms was finite"
            hint = "`rewardspec train` on the same spec tells the step and the values read."
            return NonFiniteRewardError(Problem("non-finite-reward", text, hints=(hint,)))
        n, k = broken[0]
        term, step = program.terms[k], int(run.lengths[n]) - 1
        text = f"environment {n}: the term '{term.name}' pays {totals[n, k]} at step {step} of the episode"
        hint = "Guard it, as in where(x > 0, log(x), 0), or clip what it reads."
        return NonFiniteRewardError(Problem("non-finite-reward", text, term.place, (hint,)))

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
