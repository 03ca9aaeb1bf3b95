"""Exact solution of specs on a finite world, the yardstick for every agent: `python -m agents.value_iteration --help`.

    python -m agents.value_iteration --spec examples/specs/office_coffee.yaml
    python -m agents.value_iteration --spec A.yaml --against B.yaml --env rewardspec/OfficeWorld-v0

It prints the optimal return, how long it takes, the reward per step, and the way an optimal policy goes; with
`--against`, whether two specs have the same optimal policies, and if not, where they part. A spec with an `objective:`
of its own (limit average, regularised, outer, inner) is solved by that.

Source: M. L. Puterman, "Markov Decision Processes" (1994), chapter 6.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.bounds import refuse_numbers
from agents.command import run_whole
from rewardspec import compile_spec, load
from rewardspec.analysis.optimisers import check_discount
from rewardspec.environments import choose_environment, make_environment
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.tabular.objectives import optimise_objective
from rewardspec.tabular.product import take_product
from rewardspec.tabular.solve import Agreement, Solution, compare, reward_per_step, solve, uniform
from rewardspec.tabular.world import TabularWorld, tabulate


@dataclass
class Args:
    """What to solve."""

    spec: Path
    """Spec in YAML."""
    against: Path | None = None
    """Another spec for the same world: have both the same optimal policies?"""
    env: str | None = None
    """Gymnasium id; the one that the spec names without."""
    gamma: float | None = None
    """Discount; the specs' own, and no other where they have one (0.9 where they have none)."""
    epsilon: float = 0.1
    """Also say what the optimal policy earns per step when it explores that much."""
    everywhere: bool = False
    """Compare in all states, not only where optimal behaviour leads."""
    steps_shown: int = 12
    """Changes of memory on the way that are shown."""
    json: Path | None = None
    """Where to write the results."""


@dataclass(frozen=True)
class Facts:
    """What is said of one spec.

    Attributes:
        spec: Its name.
        states: World states times memory states.
        optimum: Discounted return of an optimal policy from the start.
        reward: Its undiscounted reward per episode.
        length: Its steps per episode.
        per_step: Reward per step, every step counting alike.
        per_step_exploring: Mean over episodes of reward per step, with exploration: the published measure.
        choices: Share of states that it visits in which more than one action is optimal.
    """

    spec: str
    states: int
    optimum: float
    reward: float
    length: float
    per_step: float
    per_step_exploring: float
    choices: float


def read_world(args: Args) -> TabularWorld:
    """Return the world that the arguments or the spec name.

    Raises:
        UnsupportedError: `no-environment`.
        MismatchError: `not-tabular`, `no-environment`.
    """
    named = load(args.spec).env
    env_id, arguments = choose_environment(args.env, named)
    if env_id is None:
        hint = "Name one with --env."
        raise UnsupportedError(Problem("no-environment", "the spec names no environment", hints=(hint,)))
    return tabulate(make_environment(env_id, **arguments))


def solved(path: Path, world: TabularWorld, gamma: float | None) -> Solution:
    """Return the solution of a spec.

    Raises:
        UnsupportedError: `discount-mismatch`, and what `take_product` and `solve` refuse.
    """
    spec = load(path)
    rate = gamma if gamma is not None else spec.discount or 0.9
    problems = check_discount(spec, rate)
    if problems:
        raise UnsupportedError(problems)
    return solve(take_product(compile_spec(spec), world), rate)


def told(solution: Solution, epsilon: float) -> Facts:
    """Return what there is to say of a solution."""
    product = solution.product
    best = reward_per_step(product, solution.optimal, most=10_000)
    exploring = reward_per_step(product, uniform(solution.optimal, epsilon), most=10_000)
    visited = compare(solution, solution).states
    several = (solution.optimal.sum(axis=2) > 1).reshape(-1)[visited]
    return Facts(
        product.program.name,
        product.n_memory * product.world.n_states,
        solution.value,
        best.reward,
        best.length,
        best.overall,
        exploring.of_episodes,
        float(several.mean()),
    )


def way(solution: Solution) -> list[tuple[int, str, str]]:
    """Return where memory changes on one optimal way from the likeliest start: (step, label, memory), the end too."""
    product, world = solution.product, solution.product.world
    s, u, found = int(world.start.argmax()), 0, [(0, "", product.names[0])]
    for step in range(1, 10_000):
        a = int(solution.optimal[u, s].argmax())
        k = int(world.probability[s, a].argmax())
        after, over = int(product.next_memory[u, s, a, k]), bool(product.ended[u, s, a, k])
        if after != u or over:
            label = ", ".join(sorted(world.names(int(world.label[s, a, k]))))
            found.append((step, label, product.names[after]))
        s, u = int(world.next_state[s, a, k]), after
        if over:
            break
    return found


def show(console: Console, solution: Solution, facts: Facts, args: Args) -> None:
    """Print what is known of one spec."""
    table = Table(
        title=f"{facts.spec}, discount {solution.discount:g}", title_justify="left", title_style="bold"
    )
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row(
        "states (world x memory)", f"{solution.product.world.n_states:,} x {solution.product.n_memory}"
    )
    table.add_row("optimal return", f"{facts.optimum:.6g}")
    table.add_row("reward of an optimal episode", f"{facts.reward:.6g}")
    table.add_row("steps of an optimal episode", f"{facts.length:.6g}")
    table.add_row("reward per step", f"{facts.per_step:.6g}")
    table.add_row(f"reward per step, {args.epsilon:.0%} at random", f"{facts.per_step_exploring:.6g}")
    table.add_row("optimal in more ways than one", f"{facts.choices:.0%} of the states on the way")
    console.print(table)
    path = Table(
        "step", "label", "memory", title="one optimal way, by the likeliest outcomes", title_justify="left"
    )
    for step, label, memory in way(solution)[: args.steps_shown]:
        path.add_row(str(step), label, memory)
    console.print(path)


def told_objective(console: Console, path: Path, world: TabularWorld, gamma: float | None) -> dict[str, Any]:
    """Solve a spec by an objective of its own, print what is reached, and return it.

    Raises:
        UnsupportedError: `discount-mismatch`, and what `optimise_objective` refuses.
    """
    spec = load(path)
    rate = gamma if gamma is not None else spec.discount or 0.9
    problems = check_discount(spec, rate)
    if problems:
        raise UnsupportedError(problems)
    found = optimise_objective(spec, world, rate)
    table = Table(title=f"{spec.name}, objective {found.kind}", title_justify="left", title_style="bold")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row("the best value", f"{found.value:.6g}")
    if found.bound > found.value:
        table.add_row("no policy reaches more than", f"{found.bound:.6g}")
    for name, value in found.returns.items():
        table.add_row(f"expected return of {name}", f"{value:.6g}")
    if found.policy is None:
        table.add_row("the best behaviour", "looks at the returns so far")
    console.print(table)
    return {
        "spec": spec.name,
        "objective": found.kind,
        "value": found.value,
        "bound": found.bound,
        "returns": found.returns,
    }


def verdict(found: Agreement, first: Solution, second: Solution) -> str:
    """Return in words whether two specs want the same."""
    names = (first.product.program.name, second.product.program.name)
    apart = " One of them ends episodes that go on for the other." if found.ends_apart else ""
    if found.parting is None:
        return f"'{names[0]}' and '{names[1]}' have the same optimal policies ({len(found.states):,} states).{apart}"
    part = found.parting
    seen = np.asarray(first.product.world.observation[part.state]).tolist()
    sets = [", ".join(map(str, sorted(actions))) for actions in part.actions]
    return (
        f"'{names[0]}' and '{names[1]}' part after {part.steps} steps, in state {part.state} (observation {seen}), "
        f"by action: the first, in '{part.memory[0]}', takes {sets[0]}; the second, in '{part.memory[1]}', {sets[1]}."
        f"{apart}"
    )


def main(args: Args, console: Console | None = None) -> dict[str, Any]:
    """Solve, print, and return the results."""
    refuse_numbers(args)
    console, world = console or Console(), read_world(args)
    paths = [args.spec] if args.against is None else [args.spec, args.against]
    others = [path for path in paths if load(path).objective.kind != "discounted"]
    if others and args.against is not None:
        text = "optimal policies are compared where both specs mean discounted returns"
        raise UnsupportedError(Problem("unfit-objective", text, hints=("Leave --against out.",)))
    results: dict[str, Any] = {"specs": [told_objective(console, path, world, args.gamma) for path in others]}
    solutions = [solved(path, world, args.gamma) for path in paths if path not in others]
    for solution in solutions:
        facts = told(solution, args.epsilon)
        show(console, solution, facts, args)
        results["specs"].append(asdict(facts))
    if len(solutions) == 2:
        found = compare(solutions[0], solutions[1], everywhere=args.everywhere)
        console.print(verdict(found, *solutions), soft_wrap=True, highlight=False)
        results["same_optimal_policies"] = found.same
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return results


def run_command(words: Sequence[str]) -> int:
    """Solve as a command line says; return the exit status."""
    return run_whole(Args, main, words, __doc__)


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
