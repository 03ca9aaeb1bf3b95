"""SubPO: policy gradients for rewards with diminishing returns, on worlds that have a batch form.

    python -m agents.subpo --spec examples/specs/field_coverage.yaml
    python -m agents.subpo --spec examples/specs/field_items.yaml --inputs memory
    python -m agents.subpo --spec ... --learn modular             # ModPO, the baseline
    python -m agents.subpo --spec ... --estimator prefix          # as the released code weights actions

A spec's `submodular` term pays the marginal gain F(s_j+1 | s_0 .. s_j), so the gradient is that of any undiscounted
return:

    grad J = E sum_i grad log pi(a_i | x_i) (sum_{j >= i} F(s_j+1 | s_0 .. s_j) - b_i)

What makes it SubPO is what the policy sees, x_i. `markov`: the observation and the step, as the paper's SubPO-M.
`memory`: the summary of what was visited besides, with which the task is Markov. `history`: every observation of the
episode so far, as the paper's SubPO-NM.

Source:
    Prajapat, Mutny, Zeilinger and Krause, "Submodular Reinforcement Learning" (ICLR 2024), theorem 2 and algorithm 1.
    Their released code for grids weights an action by the value of the prefix that it ends, F(s_0 .. s_i+1): neither a
    gain nor a reward to go, and without a baseline (`--estimator prefix --baseline none`). Kakade, "A Natural Policy
    Gradient" (2001), for `--update natural`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor

from agents.bounds import refuse_numbers
from agents.command import copied
from agents.device import (
    Memory,
    Sight,
    Tasks,
    Weights,
    adam,
    adam_memory,
    add_layers,
    copies,
    from_arrays,
    layers,
    numbers_state,
    read_tasks,
    set_numbers_state,
    take_up,
    to_arrays,
)
from agents.device_run import run_command, with_folder
from agents.recording import recording
from envs.batches import batch
from rewardspec import Spec, from_data
from rewardspec.compiler import term_names
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.wrappers.tensor import TensorWrapper, wrap_tensor

ALONE = "_alone"
"""Ends the name of a term's modular copy."""

LONGEST = 10_000
"""Steps after which an episode that does not end is given up."""


@dataclass
class Args:
    """Train SubPO on the device."""

    spec: Path | None = None
    """Spec file to learn."""
    env: str | None = None
    """Gymnasium id; the spec's own when not given."""
    epochs: int = 150
    """Updates, each on one episode of every environment."""
    n_envs: int = 500
    """B, episodes of an update."""
    inputs: Literal["markov", "memory", "history"] = "markov"
    """What the policy sees besides the step: the observation, what was visited too, or all observations so far."""
    fourier: int = 4
    """Waves by which the step is told, besides the number itself."""
    learn: Literal["gains", "modular"] = "gains"
    """What is learnt: the spec's own reward, or with each visited cell paid as if it were the first (ModPO)."""
    estimator: Literal["reward_to_go", "prefix"] = "reward_to_go"
    """What weights an action: all that is paid from it on, or all that was paid up to it (the released code)."""
    baseline: Literal["time", "critic", "none"] = "time"
    """What is taken off: the mean of the other episodes at that step, a learned value, or nothing."""
    update: Literal["adam", "natural"] = "adam"
    """A step of Adam, or along the natural gradient, as far as `trust` allows."""
    learning_rate: float = 0.01
    anneal: bool = False
    """Whether the learning rate falls to 0 over the run."""
    gae_lambda: float = 1.0
    """With a critic: 1 is the plain reward to go, below it the critic is trusted."""
    trust: float = 0.02
    """Natural gradient: mean KL divergence of one update."""
    damping: float = 0.03
    """Natural gradient: added to the Fisher matrix's diagonal."""
    ent_coef: float = 0.0
    """Weight of the policy's entropy, beside advantages of unit spread."""
    hidden: tuple[int, ...] = (64, 32)
    seed: int = 0
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:1`."""
    folder: Path | None = None
    """Run folder; runs/<spec>-subpo-<seed> without."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    log_every: int = 10
    """Updates between rows of progress."""
    checkpoint_seconds: float = 60.0
    quiet: bool = False


# -- what is learnt, and what is seen ------------------------------------------------------------------------


def with_modular_terms(spec: Spec) -> Spec:
    """Return the spec with a copy of every submodular term that pays each visit as if it were the first.

    Raises:
        UnsupportedError: `unfit-algorithm` when no term of the reward is submodular.
    """
    data, names = spec.to_data(), term_names(spec)
    copies = []
    for name, term, declared in zip(names, spec.reward, data["reward"], strict=True):
        declared["name"] = name
        if term.kind == "submodular":
            body = {**declared["submodular"], "pay": "alone"}
            copies.append({**declared, "submodular": body, "name": name + ALONE})
    if not copies:
        text = "there is nothing modular about this spec: no term of its reward is `submodular`"
        raise UnsupportedError(Problem("unfit-algorithm", text, hints=("Leave --learn modular out.",)))
    data["reward"] += copies
    data.pop("tests", None)
    return from_data(data)


def make_worlds(tasks: Tasks, args: Args, count: int, seed: int) -> TensorWrapper:
    """Return environments on the device with the spec, and with what its memory adds to the observation."""
    (spec,) = tasks.specs.values()
    if args.learn == "modular":
        spec = with_modular_terms(spec)
    envs = batch(tasks.env_id, count, args.device, seed, **tasks.arguments)
    observe = None if args.inputs == "memory" else "none"
    return wrap_tensor(envs, spec, device=args.device, observe=observe)


class Inputs:
    """What the policy sees: observation, step, and for `history` all observations before.

    Attributes:
        size: Numbers in it.
    """

    def __init__(self, args: Args, space: spaces.Space[Any], horizon: int) -> None:
        """Look at the space of one observation.

        Raises:
            UnsupportedError: `unreadable-observation` for pictures; see `Sight`.
        """
        self.sight = Sight(space, args.device)
        if self.sight.picture is not None:
            text = "SubPO here takes observations of numbers, and this one has a picture"
            raise UnsupportedError(Problem("unreadable-observation", text))
        self.horizon, self.keeps = horizon, args.inputs == "history"
        waves = 2.0 ** torch.arange(args.fourier, device=args.device) * math.pi
        step = torch.arange(horizon + 1, device=args.device).unsqueeze(1) / horizon
        self.clock = torch.cat([step, torch.sin(step * waves), torch.cos(step * waves)], dim=1)
        self.size = self.sight.size * (horizon if self.keeps else 1) + self.clock.shape[1]

    def __call__(self, obs: Any, step: int, before: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return what is seen `[B, size]`, and the history for the next step `[B, horizon, D]`."""
        seen = self.sight(obs)["vector"]
        clock = self.clock[step].expand(len(seen), -1)
        if not self.keeps:
            return torch.cat([seen, clock], dim=1), None
        if before is None:
            before = torch.full((len(seen), self.horizon, seen.shape[1]), -1.0, device=seen.device)
        history = before.clone()
        history[:, step] = seen
        return torch.cat([history.flatten(1), clock], dim=1), history


# -- the algorithm -------------------------------------------------------------------------------------------


def weights_of_actions(gains: Tensor, alive: Tensor, args: Args, values: Tensor | None = None) -> Tensor:
    """Return what weights each action's log-probability, `[T, B]`.

    Args:
        gains: `[T, B]`, what each step paid.
        alive: `[T, B]`, 1 while the episode goes on, and on its last step.
        args: Which estimator and baseline.
        values: `[T, B]`, with a critic: its values before each step.
    """
    gains = gains * alive
    if args.estimator == "prefix":
        weight = gains.cumsum(0)
    elif values is not None:
        later = torch.cat([values[1:] * alive[1:], torch.zeros_like(values[:1])])
        errors, weight, running = gains + later - values, torch.empty_like(gains), torch.zeros_like(gains[0])
        for t in reversed(range(len(gains))):
            running = (errors[t] + args.gae_lambda * running) * alive[t]
            weight[t] = running
        return weight
    else:
        weight = gains.flip(0).cumsum(0).flip(0)
    if args.baseline == "time":
        # The mean over the other episodes: an action is not in its own baseline, so nothing is biased.
        count = alive.sum(1, keepdim=True)
        others = (weight * alive).sum(1, keepdim=True) - weight * alive
        weight = weight - others / (count - 1).clamp_min(1)
    return weight * alive


class SubPO:
    """One run: worlds, weights, and an update on one episode of every environment.

    Attributes:
        memory: All that changes in training besides the worlds.
        worlds: The environments with their spec.
        horizon: Steps of the longest episode.
    """

    def __init__(self, args: Args, tasks: Tasks) -> None:
        """Make worlds and weights.

        Raises:
            UnsupportedError: `unfit-algorithm` when actions are not Discrete, or episodes do not end.
        """
        self.args = args
        self.worlds = make_worlds(tasks, args, args.n_envs, args.seed)
        space = self.worlds.single_action_space
        if not isinstance(space, spaces.Discrete):
            raise UnsupportedError(
                Problem("unfit-algorithm", f"SubPO here chooses Discrete actions, not {space}")
            )
        self.actions, self._first = int(space.n), int(space.start)
        self._learnt = [
            term.name
            for term in self.worlds.program.terms
            if args.learn == "gains" or term.name.endswith(ALONE) or term.kind != "submodular"
        ]
        self._told = [term.name for term in self.worlds.program.terms if not term.name.endswith(ALONE)]
        torch.manual_seed(args.seed)
        self.horizon = self._find_horizon()
        self.inputs = Inputs(args, self.worlds.single_observation_space, self.horizon)
        self.weights, self._depth = Weights(), len(args.hidden)
        add_layers(self.weights, "actor", self.inputs.size, args.hidden, self.actions, 0.01)
        if args.baseline == "critic":
            add_layers(self.weights, "critic", self.inputs.size, args.hidden, 1, 1.0)
        device = args.device
        self.memory: Memory = {
            **adam_memory(self.weights.init(args.seed).to(device)),
            "rate": torch.tensor(args.learning_rate, device=device),
            "scale": torch.ones((), device=device),  # of returns, for the critic
            "told": torch.zeros(4, device=device),
        }

    def _find_horizon(self) -> int:
        self.worlds.reset()
        playing = torch.ones(self.args.n_envs, dtype=torch.bool, device=self.args.device)
        for step in range(1, LONGEST + 1):
            action = torch.randint(self.actions, (self.args.n_envs,), device=self.args.device)
            _, _, terminated, truncated, _ = self.worlds.step(action + self._first)
            playing &= ~(terminated | truncated)
            if not playing.any():
                return step
        text = f"episodes are longer than {LONGEST} steps: SubPO learns from whole ones"
        hint = "Give the environment a horizon: `env: {kwargs: {max_episode_steps: 40}}`."
        raise UnsupportedError(Problem("unfit-algorithm", text, hints=(hint,)))

    # -- rollout -------------------------------------------------------------------------------------

    def logits(self, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return the policy's logits `[N, A]`."""
        return layers(dict(w), "actor", x, self._depth, torch.tanh)

    def rollout(self, worlds: TensorWrapper, weights: Tensor, *, greedy: bool = False) -> Memory:
        """Return one episode of every environment: leaves `[T, B, ...]`.

        Args:
            worlds: The environments.
            weights: The policy's.
            greedy: Whether the likeliest actions are taken.
        """
        w = self.weights.split(weights)
        obs, history = worlds.reset(), None
        alive = torch.ones(worlds.num_envs, device=self.args.device)
        rows: list[Memory] = []
        with torch.no_grad():
            for t in range(self.horizon):
                x, history = self.inputs(obs, t, history)
                logits = self.logits(w, x)
                noise = -torch.log(-torch.log(torch.rand_like(logits).clamp_min(1e-30)))
                action = (logits if greedy else logits + noise).argmax(1)
                obs, _, terminated, truncated, infos = worlds.step(action + self._first)
                terms = infos["terms"]
                learnt = torch.stack([terms[name] for name in self._learnt]).sum(0)
                told = torch.stack([terms[name] for name in self._told]).sum(0)
                rows.append({"x": x, "action": action, "gain": learnt, "told": told, "alive": alive})
                alive = alive * ~(terminated | truncated)
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    # -- update --------------------------------------------------------------------------------------

    def loss(self, vector: Tensor, rows: Memory) -> tuple[Tensor, Tensor]:
        """Return what is made small: minus the weighted log-probabilities of the actions, per episode; and its parts.

        Its gradient is minus the estimate of the gradient of J, where advantages are not scaled.
        """
        args, w = self.args, self.weights.split(vector)
        log = torch.log_softmax(self.logits(w, rows["x"].flatten(0, 1)), dim=1)
        alive = rows["alive"].flatten()
        chosen = log.gather(1, rows["action"].reshape(-1, 1)).squeeze(1)
        entropy = (-(log.exp() * log).sum(1) * alive).sum() / alive.sum()
        loss = -(chosen * rows["weight"].flatten()).sum() / rows["action"].shape[1] - args.ent_coef * entropy
        wrong = torch.zeros_like(loss)
        if args.baseline == "critic":
            value = self.value(w, rows["x"].flatten(0, 1))
            wrong = ((value - rows["target"].flatten()).square() * alive).sum() / alive.sum()
            loss = loss + wrong
        return loss, torch.stack([entropy, wrong]).detach()

    def value(self, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return the critic's values `[N]`, in units of the returns' spread."""
        return layers(dict(w), "critic", x, self._depth, torch.tanh).squeeze(1)

    def iterate(self) -> None:
        """Take one episode of every environment and learn from it."""
        args, memory = self.args, self.memory
        rows = self.rollout(self.worlds, memory["weights"])
        gains, alive, values = rows["gain"], rows["alive"], None
        if args.baseline == "critic":
            to_go = (gains * alive).flip(0).cumsum(0).flip(0)
            spread = to_go.std().clamp_min(1e-6)
            memory["scale"].copy_(
                torch.where(memory["updates"] > 0, memory["scale"].lerp(spread, 0.1), spread)
            )
            rows["target"] = to_go / memory["scale"]
            w = self.weights.split(memory["weights"])
            with torch.no_grad():
                values = self.value(w, rows["x"].flatten(0, 1)).view_as(gains) * memory["scale"]
        weight = weights_of_actions(gains, alive, args, values)
        # Adam and the natural step do not ask for the scale; a fixed one gives the entropy's weight one meaning.
        rows["weight"] = weight / weight.square().mean().sqrt().clamp_min(1e-8)
        gradient, told = torch.func.grad(self.loss, has_aux=True)(memory["weights"], rows)
        if args.update == "natural":
            memory["weights"].sub_(self.natural(gradient, rows))
            memory["updates"].add_(1)
        else:
            adam(memory, gradient, memory["rate"])
        value = (rows["told"] * alive).sum(0)
        memory["told"].copy_(torch.stack([value.mean(), value.max(), *told]))

    def natural(self, gradient: Tensor, rows: Memory, *, steps: int = 10, sampled: int = 4096) -> Tensor:
        """Return the step down the natural gradient whose mean KL divergence is `trust`, to second order.

        Solves (F + damping) d = g by conjugate gradients; F is the Fisher matrix of the policy on a sample of what was
        seen, J' (diag p - p p') J with J the logits' derivative, taken by forward and backward products.
        """
        x = rows["x"].flatten(0, 1)
        x = x[torch.randint(len(x), (min(sampled, len(x)),), device=x.device)]
        vector = self.memory["weights"]

        def logits(v: Tensor) -> Tensor:
            return self.logits(self.weights.split(v), x)

        out, back = torch.func.vjp(logits, vector)
        p = torch.softmax(out, dim=1)

        def fisher(v: Tensor) -> Tensor:
            moved = torch.func.jvp(logits, (vector,), (v,))[1]
            (found,) = back(p * (moved - (p * moved).sum(1, keepdim=True)) / len(x))
            return found

        d = torch.zeros_like(gradient)
        rest, along = gradient.clone(), gradient.clone()
        size = rest @ rest
        for _ in range(steps):
            turned = fisher(along) + self.args.damping * along
            length = size / (along @ turned).clamp_min(1e-20)
            d, rest = d + length * along, rest - length * turned
            after = rest @ rest
            along, size = rest + after / size.clamp_min(1e-20) * along, after
        divergence = 0.5 * (d @ fisher(d)).clamp_min(1e-12)
        return d * torch.sqrt(self.args.trust / divergence)

    # -- what is remembered --------------------------------------------------------------------------

    def state(self) -> Memory:
        """Return copies of all that an update changes, random numbers apart."""
        return copies(self.memory, self.worlds)

    def restore(self, saved: Memory) -> None:
        """Take up what `state` gave."""
        take_up(self.memory, self.worlds, saved)

    def progress(self) -> dict[str, float | None]:
        """Return what the last update was made on; raises if a reward was not finite."""
        self.worlds.check()
        mean, best, entropy, wrong = self.memory["told"].tolist()
        critic = {"loss/value": wrong} if self.args.baseline == "critic" else {}
        return {"return": mean, "return/best": best, "entropy": entropy, **critic}


# -- running it ----------------------------------------------------------------------------------------------


def train(args: Args, console: Any = None) -> dict[str, float]:
    """Train, or go on; return the result: what new episodes earn, with sampled and with the likeliest actions.

    Raises:
        RewardSpecError: Whatever is wrong with the spec, the settings, the device or the run folder.
    """
    refuse_numbers(args)
    args = with_folder(args, "subpo")
    tasks = read_tasks(args.spec, None, args.env, 1.0, begun_in=copied("subpo", args))
    agent = SubPO(args, tasks)
    each = args.n_envs * agent.horizon
    (program,) = tasks.programs.values()
    with recording(
        "subpo", args, program, steps=args.epochs * each, spec_text=tasks.text, console=console
    ) as run:
        if run.arrays:
            saved = from_arrays(run.arrays, args.device)
            set_numbers_state(args.device, saved.pop("numbers"))
            agent.restore(saved)
        for i in range(run.start // each, args.epochs):
            if args.anneal:
                agent.memory["rate"].fill_(args.learning_rate * (1 - i / args.epochs))
            agent.iterate()
            done = i + 1
            if done % args.log_every == 0 or done == args.epochs:
                run.log(done * each, agent.progress())
                if run.is_due or done == args.epochs:
                    saved = agent.state() | {"numbers": numbers_state(args.device)}
                    run.save(done * each, to_arrays(saved), {})
        result = evaluate(agent, tasks)
        run.finish(result)
    return result


def evaluate(agent: SubPO, tasks: Tasks, episodes: int = 500) -> dict[str, float]:
    """Return the mean return of new episodes: with sampled actions, the best of them, and with the likeliest ones."""
    args = agent.args
    worlds = make_worlds(tasks, args, episodes, args.seed + 1_000_003)
    sampled = agent.rollout(worlds, agent.memory["weights"])
    likeliest = agent.rollout(worlds, agent.memory["weights"], greedy=True)
    values = (sampled["told"] * sampled["alive"]).sum(0)
    greedy = (likeliest["told"] * likeliest["alive"]).sum(0)
    return {
        "return": float(values.mean()),
        "return/best": float(values.max()),
        "return/likeliest": float(greedy.mean()),
    }


if __name__ == "__main__":
    sys.exit(run_command("subpo", Args, train, sys.argv[1:]))
