"""The start of a spec for several agents: who there is, what each sees and does, and what may be written of it."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from gymnasium import spaces

from rewardspec.analysis.new import PLAYED, action_words, signals_of
from rewardspec.ir import expr as ir
from rewardspec.parallel_environments import is_parallel_id, make_parallel_environment

LISTED = 12
"""Numbers of an observation that are listed one by one; of a longer list, the first and the last."""


def start_team_spec(env_id: str) -> str:
    r"""Return a first spec for an environment of several agents, with comments: it passes `check` and its own tests.

    Args:
        env_id: A known name, or the module that makes the environment, which is run.

    Raises:
        MismatchError: There is no such environment.
        MissingExtraError: Its package is not installed.
        UnsupportedError: `not-an-environment`: its agents cannot act together.

    Example:
        >>> text = start_team_spec("mpe2/simple_tag_v3")
        >>> [line for line in text.split("\n") if line.startswith("  a")]
        ['  adversary_*:   # adversary_0, adversary_1, adversary_2', '  agent_0:']
    """
    from rewardspec.wrappers.players import as_parallel, possible_agents

    with contextlib.redirect_stdout(io.StringIO()):  # some environments print what they do
        env = as_parallel(make_parallel_environment(env_id, trusted=True))
        try:
            agents = possible_agents(env)
            return "\n".join(_Draft(env_id, env, agents).lines()) + "\n"
        finally:
            env.close()


class _Draft:
    """Writes the document, section by section."""

    def __init__(self, env_id: str, env: Any, agents: tuple[str, ...]) -> None:
        self.env_id, self.env, self.agents = env_id, env, agents
        module, _, maker = env_id.partition(":")
        whole = module if maker in ("", "parallel_env") else maker
        self.name = re.split(r"[./]", whole)[-1]
        self.name = re.sub(r"[-_]v\d+$", "", self.name).replace("_", "-").lower()
        self.groups = groups_of(
            {name: (env.observation_space(name), env.action_space(name)) for name in agents}
        )
        self.labels: tuple[str, ...] = ()
        if all(hasattr(env.unwrapped, name) for name in ("label_names", "labels")):
            self.labels = tuple(env.unwrapped.label_names)

    def lines(self) -> Iterator[str]:
        """Yield the document, line by line."""
        said = (
            "" if is_parallel_id(self.env_id) else f" --env {self.env_id}"
        )  # a spec alone imports no module
        yield f"# A first spec for the agents of {self.env_id}. Change it to say what you want, then:"
        yield "#   rewardspec check FILE   looks for mistakes"
        yield "#   rewardspec test FILE    runs the tests below"
        yield "#   rewardspec show FILE    prints what it means"
        policies = " --policies entry" if len(self.groups) > 1 else ""
        yield f"#   rewardspec train FILE{said}{policies}   trains them"
        yield "rewardspec: 1"
        yield f"name: {self.name}"
        yield "discount: 0.99   # train with the same"
        yield ""
        yield from self.env_lines()
        yield ""
        if self.labels:
            yield "# The labels that the environment says; remove the '#' of what guards, formulas and `once` read:"
            yield f"# propositions: [{', '.join(self.labels)}]"
            yield ""
        yield "# An agent reads its own `reward`, `obs`, `next_obs`, `action`; of several others a number of them all:"
        first = f"agents.{self.agents[0]}" if self.agents[0].isidentifier() else f"agents['{self.agents[0]}']"
        yield f"#   mean(others.reward), any(others.terminated), {first}.reward"
        yield "agents:"
        for pattern, names in self.groups.items():
            yield from self.entry_lines(pattern, names)
        yield ""
        yield "# What all get together, in full, from one state for all; it reads `team`, or agents by name:"
        yield "# joint:"
        yield "#   reward: {markov: 'min(team.reward)', name: worst off}"

    def env_lines(self) -> Iterator[str]:
        """Yield what the checker wants to know of the environment."""
        played = _play(self.env)
        yield "env:"
        yield f"  id: {self.env_id}"
        if self.labels:
            yield "  labels: environment"
        if played.horizon is None:
            yield "  # horizon: 1000   # no random episode was cut; give the limit if there is one"
        else:
            yield f"  horizon: {played.horizon}   # at which every random episode was cut"
        note = (
            f"of the environment's own rewards in {played.steps} random steps; widen it where you know better"
        )
        yield f"  base_reward: [{played.low:.6g}, {played.high:.6g}]   # {note}"
        if played.ended:
            yield "  ends_early: true"
        else:
            yield "  # ends_early: true   # no random episode ended early; say so if one can"

    def entry_lines(self, pattern: str, names: tuple[str, ...]) -> Iterator[str]:
        """Yield the entry of agents that see and do the same."""
        shown = ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, ..., {names[-1]}"
        key = pattern if re.fullmatch(r"[A-Za-z_][\w*-]*", pattern) else f"'{pattern}'"
        yield f"  {key}:" if pattern == names[0] else f"  {key}:   # {shown}"
        for line in observation_words(self.env.observation_space(names[0])):
            yield f"    # {line}"
        yield f"    # {action_words(self.env.action_space(names[0]))}"
        if len(self.groups) > 1:
            yield f"    # team: {pattern.rstrip('*_') or 'all'}   # who earn together: `team`, `opponents`"
        if len(names) > 1:
            yield "    # share: {team: 0.5}   # half of what each earns is split evenly"
        yield "    reward:"
        yield "      - markov: reward   # the environment's own; put yours in its place"
        yield "        name: own"
        yield "    tests:"
        yield "      - name: the environment's own reward is paid as it is"
        yield "        transitions: [{reward: 1}, {reward: -0.5}]"
        yield "        return: {own: 0.5}"


def groups_of(seen: dict[str, tuple[spaces.Space[Any], spaces.Space[Any]]]) -> dict[str, tuple[str, ...]]:
    """Return agents that are called alike and see and do the same, by a pattern that fits them and nobody else.

    Args:
        seen: By agent, what it sees and does.

    Example:
        >>> from gymnasium.spaces import Discrete as D
        >>> groups_of({"cat_0": (D(2), D(2)), "cat_1": (D(2), D(2)), "dog_0": (D(2), D(3)), "dog_1": (D(2), D(2))})
        {'cat_*': ('cat_0', 'cat_1'), 'dog_0': ('dog_0',), 'dog_1': ('dog_1',)}
    """
    called: dict[str, list[str]] = {}
    for name in seen:
        stem = re.sub(r"\d+$", "", name)
        called.setdefault(f"{stem}*" if stem and stem != name else name, []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for pattern, names in called.items():
        fits = [name for name in seen if fnmatchcase(name, pattern)]
        if len(names) > 1 and fits == names and all(seen[name] == seen[names[0]] for name in names):
            found[pattern] = tuple(names)
        else:
            found |= {name: (name,) for name in names}
    return found


def observation_words(space: spaces.Space[Any]) -> Iterator[str]:
    """Yield in lines what may be read of an observation."""
    signals, notes = signals_of(space, ir.Field("next_obs"))
    if len(signals) > LISTED:
        yield f"next_obs: {len(signals)} numbers, {signals[0].value} to {signals[-1].value}"
        signals = []
    for signal in signals:
        ends = "" if signal.low is None else f": from {signal.low:.6g} to {signal.high:.6g}"
        yield f"{signal.value}{ends}"
    yield from notes


# -- the environment's own numbers -------------------------------------------------------------------------------------


@dataclass
class _Played:
    """What random steps showed: least and greatest reward (with 0), ends, and how long episodes were that were cut."""

    low: float = 0.0
    high: float = 0.0
    ended: bool = False
    steps: int = 0
    cuts: list[int] = field(default_factory=list)

    @property
    def horizon(self) -> int | None:
        """The steps after which all episodes were cut; None where they differ, or none was."""
        return self.cuts[0] if len(set(self.cuts)) == 1 else None


def _play(env: Any) -> _Played:
    """Play random steps."""
    played, length, seed = _Played(), 0, 0
    env.reset(seed=seed)
    for i, name in enumerate(env.possible_agents):
        env.action_space(name).seed(i)
    while played.steps < PLAYED:
        actions = {name: env.action_space(name).sample() for name in env.agents}
        _, rewards, terminations, truncations, _ = env.step(actions)
        played.low = min(played.low, *map(float, rewards.values()))
        played.high = max(played.high, *map(float, rewards.values()))
        played.steps, length = played.steps + 1, length + 1
        played.ended = played.ended or any(terminations.values())
        if not env.agents:
            if any(truncations.values()):
                played.cuts.append(length)
            length, seed = 0, seed + 1
            env.reset(seed=seed)
    return played
