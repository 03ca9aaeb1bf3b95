"""What random episodes show of a spec for several agents: what each entry's terms pay, and what is true how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardspec.analysis.probe import MAX_STEPS, EnvReport, Measured
from rewardspec.errors import Problem, RewardSpecError
from rewardspec.ir.program import Program
from rewardspec.parallel_environments import make_named_environment
from rewardspec.spec.model import Spec


def check_team_env(spec: Spec, env_id: str = "", episodes: int = 20, seed: int = 0) -> EnvReport:
    r"""Return what random episodes of a PettingZoo environment say about a spec.

    Terms are measured over all agents of an entry, under `<entry>: <term>`; joint ones under `joint: <term>`.

    Args:
        spec: The spec, with `agents:` or without.
        env_id: The environment; the one that the spec names without.
        episodes: Episodes to play with uniformly random actions.
        seed: Seed of environment and actions.

    Raises:
        SpecError: The spec does not compile.
        MismatchError: The environment lacks what the spec reads, or cannot be made.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> spec = loads("agents: {default: {reward: reward}}")
        >>> report = check_team_env(spec, "mpe2/simple_spread_v3", episodes=2)
        >>> report.lengths, report.terms["default: markov"].high < 0
        ((25, 25), True)
    """
    from rewardspec.wrappers.parallel import wrap_parallel

    env = wrap_parallel(make_named_environment(spec, env_id), spec, observe="none", detail=True)
    run = _Measuring()
    problems: tuple[Problem, ...] = ()
    try:
        for episode in range(episodes):
            run.play(env, seed + episode)
    except RewardSpecError as error:
        problems = error.problems
    finally:
        env.close()
    shares = {name: true / asked for name, (true, asked) in run.seen.items()}
    return EnvReport(problems, run.terms, {}, shares, tuple(run.lengths))


class _Measuring:
    """Adds up what random episodes showed."""

    def __init__(self) -> None:
        self.terms: dict[str, Measured] = {}
        self.seen: dict[str, tuple[int, int]] = {}
        self.lengths: list[int] = []

    def play(self, env: Any, seed: int) -> None:
        """Play one episode."""
        env.reset(seed=seed)
        for i, name in enumerate(env.agents):
            env.action_space(name).seed(seed + i)
        for measured in self.terms.values():
            measured.returns.append(0.0)
        self.lengths.append(0)
        while env.agents and self.lengths[-1] < MAX_STEPS:
            infos = env.step({name: env.action_space(name).sample() for name in env.agents})[4]
            self.lengths[-1] += 1
            joint: Mapping[str, Any] | None = None
            for name, info in infos.items():
                told = info.get("rewardspec", {})
                entry = env.entries[name]
                if "terms" in told:
                    self.take(entry, told, env.team.entries[entry].program)
                joint = joint or told.get("of_joint")
            if joint is not None and "terms" in joint:
                self.take("joint", joint, env.team.joint)

    def take(self, whose: str, told: Mapping[str, Any], program: Program) -> None:
        """Take in what one program told of a step."""
        prefix = f"{whose}: "
        for term, paid in told["terms"].items():
            measured = self.terms.setdefault(prefix + term, Measured())
            if len(measured.returns) < len(self.lengths):
                measured.returns += [0.0] * (len(self.lengths) - len(measured.returns))
            measured.add(float(paid))
        for name in (proposition.name for proposition in program.propositions):
            true, asked = self.seen.get(prefix + name, (0, 0))
            self.seen[prefix + name] = (true + (name in told["true"]), asked + 1)
