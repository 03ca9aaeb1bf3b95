"""The command `compare`: whether two specs ask for the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec, refuse_objective
from rewardspec.cli.printing import say, say_error, write
from rewardspec.errors import MismatchError, RewardSpecError, list_names, near_miss

if TYPE_CHECKING:
    import gymnasium as gym

    from rewardspec.analysis.compare import Comparison
    from rewardspec.analysis.starc.sampled import SampledDistance
    from rewardspec.ir.program import Program
    from rewardspec.spec.model import Spec

NEAR = 0.05
"""A sampled distance whose interval ends below this counts as 0."""

REQUIREMENTS = ("reward", "order", "optimal")


def compare(
    first: SpecPath,
    second: SpecPath,
    env: Annotated[
        str, typer.Option(metavar="ID", help="The environment; the one that the first spec names without.")
    ] = "",
    require: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="What counts as the same: `reward` (every payment), `order` (of all policies), `optimal` (policies).",
        ),
    ] = "order",
    gamma: Annotated[
        float | None, typer.Option(metavar="N", help="Discount, where the specs name none.")
    ] = None,
    canon: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Canonical form: val, minimal, val_potential, minimal_potential, epic, dard, none.",
        ),
    ] = "val",
    norm: Annotated[
        str, typer.Option(metavar="NAME", help="Norm: l1, l2, linf; w1, w2, winf weigh by probability; none.")
    ] = "w2",
    metric: Annotated[str, typer.Option(metavar="NAME", help="Norm of the difference, likewise.")] = "w2",
    policies: Annotated[
        int, typer.Option(metavar="N", min=0, max=100_000, help="Policies that regret is sampled from.")
    ] = 200,
    episodes: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, max=100_000, help="Random episodes, where the environment has no table."
        ),
    ] = 100,
    sampled: Annotated[
        bool, typer.Option("--sampled", help="Compare by random episodes, though there is a table.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Refuse environments without a table.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of policies and episodes.")] = 0,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the state where optimal policies part (.png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say whether two specs ask for the same: did my change change the task?

    On finite worlds (gymnasium's toy text, rewardspec's grids) the answer is exact, machines included: the STARC
    distance, whether all policies are ordered alike, whether the same ones are optimal and where they part, and what
    following one reward costs by the other. Elsewhere it is estimated from random episodes.

    Exits with 0 when they are the same, 1 when they differ, 2 when they cannot be compared.

    \b
    Example:
      rewardspec compare old.yaml new.yaml --env FrozenLake-v1
      rewardspec compare old.yaml new.yaml --require optimal
      rewardspec compare old.yaml new.yaml --env Pendulum-v1 --episodes 50
    """  # noqa: D301 (\b keeps the lines of the example apart)
    _choose("--require", require, REQUIREMENTS)
    if sampled and exact:
        raise typer.BadParameter("says the opposite of --sampled", param_hint="--exact")
    if picture is not None and picture.suffix.lower() != ".png":
        raise typer.BadParameter(f"'{picture}' must end in .png", param_hint="--picture")
    settings = _settings(canon, norm, metric)
    try:
        specs = (read_spec(first), read_spec(second))
        refuse_objective("compare", *specs)
        programs = _compiled(specs)
        with open_environment(specs[0] if specs[0].env or env else specs[1], env) as made:
            world = None if sampled else _table(made, exact)
            found: Comparison | SampledDistance
            if world is not None:
                from rewardspec.analysis.compare import compare_on_world

                found = compare_on_world(
                    *programs, world, discount=gamma, policies=policies, seed=seed, **settings
                )
                lines = list(_exact_lines(found))
                drawn = _parting_lines(found, made)
                same, data = found.is_same(require), _exact_data(found)  # type: ignore[arg-type]
                if picture is not None:
                    _draw(found, made, picture)
            else:
                from rewardspec.analysis.compare import choose_discount
                from rewardspec.analysis.starc.sampled import compare_by_samples

                if require == "optimal":
                    raise typer.BadParameter(
                        "optimal policies are known on finite worlds only; here `order` and `reward` can be asked",
                        param_hint="--require",
                    )
                if picture is not None:
                    raise typer.BadParameter(
                        "optimal policies, and where they part, are known on finite worlds only",
                        param_hint="--picture",
                    )
                rate = choose_discount(programs, gamma)
                found = compare_by_samples(
                    *programs, _maker(specs, env), discount=rate, episodes=episodes, seed=seed
                )
                lines, drawn = list(_sampled_lines(found, programs, rate)), list[str]()
                same = found.pays_alike if require == "reward" else found.high < NEAR
                data = _sampled_data(found, programs, rate)
    except RewardSpecError as error:
        say_error(error)
        raise typer.Exit(2) from None
    if as_json:
        write(None, json.dumps({**data, "required": require, "same": same}, indent=2))
    else:
        for line in [*lines, *drawn]:
            say(line)
    if not same:
        raise typer.Exit(1)


def _choose(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise typer.BadParameter(
            f"there is no '{value}'; there are: {list_names(known)}.{near_miss(value, known)}",
            param_hint=option,
        )


def _settings(canon: str, norm: str, metric: str) -> dict[str, Any]:
    from rewardspec.analysis.starc.canonical import CANONICALISERS
    from rewardspec.analysis.starc.norms import NORMS

    _choose("--canon", canon, tuple(CANONICALISERS))
    _choose("--norm", norm, (*NORMS, "none"))
    _choose("--metric", metric, NORMS)
    return {"canonical": canon, "size": None if norm == "none" else norm, "metric": metric}


def _compiled(specs: tuple[Spec, Spec]) -> tuple[Program, Program]:
    """Return both programs, under names that tell them apart."""
    from dataclasses import replace

    from rewardspec.compiler import compile_spec

    first, second = compile_spec(specs[0]), compile_spec(specs[1])
    if first.name == second.name:
        first, second = (
            replace(first, name=f"{first.name} (first)"),
            replace(second, name=f"{second.name} (second)"),
        )
    return first, second


def _table(env: gym.Env[Any, Any], exact: bool) -> Any:
    """Return the world's table; None where there is none and none is needed."""
    from rewardspec.tabular.world import tabulate

    try:
        return tabulate(env)
    except MismatchError as error:
        if exact:
            from dataclasses import replace

            (problem,) = error.problems
            hint = "Leave --exact out: random episodes give an estimate with an interval."
            raise MismatchError(replace(problem, hints=(*problem.hints, hint))) from None
        return None


def _maker(specs: tuple[Spec, Spec], env_id: str) -> Any:
    from rewardspec.environments import choose_environment, make_environment

    own = next((s.env for s in specs if s.env is not None and (not env_id or s.env.id == env_id)), None)
    name, arguments = choose_environment(env_id, own)
    return lambda: make_environment(str(name), **arguments)


# -- in words ----------------------------------------------------------------------------------------------------------


def _share(value: float) -> str:
    return "none" if value < 1e-9 else f"{value:.2%}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def verdict(found: Comparison) -> str:
    """Return the answer in a sentence."""
    one, two = found.names
    if found.order == "trivial":
        return f"neither '{one}' nor '{two}' prefers any policy to another"
    for name, trivial in zip(found.names, found.trivial, strict=True):
        if trivial:
            return f"'{name}' earns the same whatever is done: it asks for nothing"
    if found.order == "opposite":
        return f"'{two}' is '{one}' upside down: what is best for one is worst for the other"
    if found.order == "alike":
        if found.pays_alike:
            return f"'{one}' and '{two}' pay the same on every transition"
        scale = f"{found.scale:.6g} times " if abs((found.scale or 1.0) - 1.0) > 1e-9 else ""
        return (
            f"'{one}' and '{two}' order all policies alike: the second is {scale}the first, plus what no policy can "
            "change (potential shaping, or payments moved between outcomes)"
        )
    if found.agreement.same:
        return f"'{one}' and '{two}' have the same optimal policies, but order others differently"
    return f"'{one}' and '{two}' ask for different things"


def _exact_lines(found: Comparison) -> Iterator[str]:
    from rewardspec.analysis.columns import align
    from rewardspec.analysis.compare import is_starc

    process = found.joint.process
    size = found.size or "not normalised"
    yield f"{verdict(found)}."
    yield f"   {process.n_states:,} states (world and memory of both), discount {found.discount:g}, exact"
    rows = [
        ("pay the same everywhere", _yes(found.pays_alike)),
        ("order all policies alike", _yes(found.order in ("alike", "trivial"))),
        ("same optimal policies", _yes(found.agreement.same)),
        (
            f"{'STARC ' if is_starc(found) else ''}distance ({found.canonical}, {size}, {found.metric})",
            f"{found.distance:.4f}",
        ),
    ]
    for line in align(rows):
        yield f"   {line}"
    table = [
        (
            "regret, as a share of best less worst",
            "of the other's optimum",
            f"worst of {found.policies} policies",
        )
    ]
    table += [
        (f"by '{name}'", _share(regret.of_optimum), _share(regret.worst))
        for name, regret in zip(found.names, found.regrets, strict=True)
    ]
    for line in align(table, right=(1, 2)):
        yield f"   {line}"
    if found.joint.ends_apart:
        yield "   One of them ends episodes that go on for the other; after its end it pays 0."


def _parting_lines(found: Comparison, env: gym.Env[Any, Any]) -> list[str]:
    parting = found.agreement.parting
    if parting is None:
        return []
    lines = [f"   Optimal policies part after {parting.steps} steps, in this state:"]
    drawn = _picture_of(parting.state, env, "ansi")
    if isinstance(drawn, str):
        lines += [f"      {line}" for line in drawn.rstrip().split("\n")]
    else:
        seen = found.solutions[0].product.world.observation[parting.state]
        lines.append(f"      state {parting.state}, observation {seen.tolist()}")
    for name, memory, actions in zip(found.names, parting.memory, parting.actions, strict=True):
        where = f" (in '{memory}')" if memory != "-" else ""
        lines.append(f"   '{name}'{where} takes action {' or '.join(str(a) for a in sorted(actions))}")
    return lines


def _picture_of(state: int, env: gym.Env[Any, Any], mode: str) -> Any:
    """Return a world in a state as text or pixels; None where the environment cannot be put there or drawn."""
    import gymnasium

    spec = env.spec
    if spec is None or mode not in env.metadata.get("render_modes", ()):
        return None
    try:
        shown = gymnasium.make(spec, render_mode=mode)
        inner: Any = shown.unwrapped
        if hasattr(inner, "states"):
            shown.reset(seed=0, options={"start": inner.states[state]})
        else:
            shown.reset(seed=0)
            inner.s = state
        drawn: Any = shown.render()
        shown.close()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, gymnasium.error.Error):
        return None
    return drawn


def _draw(found: Comparison, env: gym.Env[Any, Any], path: Path) -> None:
    from rewardspec.errors import Problem, UnsupportedError, missing_extra

    parting = found.agreement.parting
    if parting is None:
        say("   The same policies are optimal: there is no state to draw.", err=True)
        return
    drawn = _picture_of(parting.state, env, "rgb_array")
    if drawn is None:
        text = "this environment cannot be drawn in a state of our choice"
        raise UnsupportedError(Problem("wrong-setting", text, hints=("Leave --picture out.",)))
    try:
        from PIL import Image
    except ImportError:
        raise missing_extra("pillow", "report", "drawing a state") from None
    Image.fromarray(drawn).save(path)


def _sampled_lines(
    found: SampledDistance, programs: tuple[Program, Program], discount: float
) -> Iterator[str]:
    from rewardspec.analysis.columns import align

    one, two = programs[0].name, programs[1].name
    nothing = [p.name for p, trivial in zip(programs, found.trivial, strict=True) if trivial]
    if found.pays_alike:
        yield f"'{one}' and '{two}' paid the same on every step that was seen."
    elif len(nothing) == 2:
        yield f"neither '{one}' nor '{two}' prefers any policy to another, as far as was seen."
    elif nothing:
        yield f"'{nothing[0]}' earns the same whatever is done, as far as was seen: it asks for nothing."
    elif found.high < NEAR:
        yield f"'{one}' and '{two}' order policies alike, as far as {found.episodes} random episodes tell."
    else:
        yield f"'{one}' and '{two}' ask for different things."
    yield f"   {found.episodes} random episodes, {found.steps:,} steps, discount {discount:g}: an estimate"
    rows = [
        ("paid the same on every step", _yes(found.pays_alike)),
        (
            "distance (fitted values, w2), 95 % interval",
            f"{found.distance:.4f} ({found.low:.4f} to {found.high:.4f})",
        ),
        ("correlation of the episodes' returns", f"{found.correlation:.4f}"),
    ]
    rows += [
        (f"mean return by '{p.name}'", f"{value:.6g}")
        for p, value in zip(programs, found.returns, strict=True)
    ]
    for line in align(rows):
        yield f"   {line}"


# -- as data -----------------------------------------------------------------------------------------------------------


def _exact_data(found: Comparison) -> dict[str, Any]:
    parting = found.agreement.parting
    return {
        "specs": list(found.names),
        "exact": True,
        "discount": found.discount,
        "states": found.joint.process.n_states,
        "pays_alike": found.pays_alike,
        "order": found.order,
        "trivial": list(found.trivial),
        "scale": found.scale,
        "distance": found.distance,
        "canonical": found.canonical,
        "norm": found.size,
        "metric": found.metric,
        "same_optimal_policies": found.agreement.same,
        "parting": None
        if parting is None
        else {
            "state": parting.state,
            "memory": list(parting.memory),
            "actions": [sorted(actions) for actions in parting.actions],
            "steps": parting.steps,
        },
        "regret": [{"of_optimum": r.of_optimum, "worst": r.worst} for r in found.regrets],
        "policies": found.policies,
        "ends_apart": found.joint.ends_apart,
    }


def _sampled_data(
    found: SampledDistance, programs: tuple[Program, Program], discount: float
) -> dict[str, Any]:
    import math

    return {
        "specs": [p.name for p in programs],
        "exact": False,
        "discount": discount,
        "episodes": found.episodes,
        "steps": found.steps,
        "pays_alike": found.pays_alike,
        "trivial": list(found.trivial),
        "distance": found.distance,
        "interval": [found.low, found.high],
        "correlation": None if math.isnan(found.correlation) else found.correlation,
        "returns": list(found.returns),
    }
