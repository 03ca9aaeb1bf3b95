"""From what was proposed to a spec that is known to run, or to the reason why it does not.

A proposal is text or plain data, whoever wrote it. It is read as any other spec (bounds on size and depth included),
keeps what is the task's (environment, discount, ends), is checked by the linter, and plays a short while.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from rewardspec.analysis.check import check
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, RewardSpecError, SpecError, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import from_data, loads
from rewardspec.wrappers.single import wrap

MAX_TEXT = 60_000
"""Characters of a proposal that are read."""

LONGEST_REASON = 700
"""Characters of a reason: it goes back to whoever proposed."""

TASK = ("env", "discount", "objective", "end", "observe", "agents", "joint")
"""What is the task's and not the reward's: a proposal leaves it out, or says the same."""

OURS = ("rewardspec", "name", "description", "tests", "provenance")
"""What a proposal may say and what is not taken from it."""

PLAY = 200
"""Random steps that an admitted spec has survived."""

FENCE = re.compile(r"```(?:ya?ml)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


class RefusedError(ValueError):
    """A proposal cannot be trained on; the text is the reason."""


@dataclass(frozen=True)
class Proposal:
    """What a proposer hands in.

    Attributes:
        content: A spec as YAML text, perhaps with prose around it, or as plain data.
        by: Who proposes it: a model and its prompt, or the mutation operator.
        parent: The candidate that it was made from.
    """

    content: str | Mapping[str, Any]
    by: str
    parent: str | None = None


Trial = Callable[[Spec], None]
"""Raises a `RewardSpecError` where a spec cannot be played with."""


def admit(proposal: Proposal, base: Spec, trial: Trial | None = None) -> tuple[Spec, str]:
    """Return the spec that a proposal comes to, its reward in the base's task, and the digest of its program.

    Raises:
        RefusedError: With the reason, for whoever proposed it.
    """
    try:
        proposed = read(proposal.content)
        spec = _in_task(proposed, base)
        program = compile_spec(spec)
        if program.learned or program.judged:
            raise RefusedError("it leaves something to be learned or judged: write what is paid")
        wrong = [problem for problem in check(spec) if problem.severity == "error"]
        if wrong:
            raise SpecError(wrong)
        if trial is not None:
            trial(spec)
    except RewardSpecError as error:
        raise RefusedError(_reason(error)) from None
    return spec, program.digest()


def read(content: str | Mapping[str, Any]) -> Spec:
    r"""Return the spec in a text: in its first fence, or as it stands.

    Raises:
        RefusedError: There is none.
        SpecError: With what is wrong with it.

    Example:
        >>> read("Here it is:\n```yaml\nreward: 1 - abs(obs[0])\n```\nGood luck!").reward[0].kind
        'markov'
    """
    if not isinstance(content, str):
        return from_data(dict(content))
    if len(content) > MAX_TEXT:
        raise RefusedError(f"it has {len(content)} characters; {MAX_TEXT} are read")
    fence = FENCE.search(content)
    text = fence[1] if fence is not None else content
    if not text.strip():
        raise RefusedError("it is empty: a spec has at least `reward:`")
    return loads(text, "proposal")


def _in_task(proposed: Spec, base: Spec) -> Spec:
    """Return a proposal with the task of the base.

    Raises:
        RefusedError: It would change the task.
    """
    given, task = proposed.to_data(), base.to_data()
    for key in TASK:
        if key in given and given[key] != task.get(key):
            raise RefusedError(f"'{key}' is the task's and stays as it is: leave it out")
    data = {key: value for key, value in given.items() if key not in (*TASK, *OURS)}
    for what in ("signals", "propositions"):  # the base's stay declared: a pool for those who propose later
        known, said = _mapping(task.get(what)), _mapping(data.get(what))
        changed = [name for name in said if name in known and said[name] != known[name]]
        if changed and base.end:  # what ends an episode reads them, and is not the reward's
            raise RefusedError(f"'{changed[0]}' is among the {what} of the task and stays as it is")
        if known or said:
            data[what] = {**known, **said}
    merged = {key: task[key] for key in ("rewardspec", "name", "description", *TASK) if key in task}
    spec = from_data({**merged, **data})
    spec._places = proposed._places  # what the compiler finds is said at its place in the proposal
    return spec


def _mapping(value: Any) -> dict[str, Any]:
    """Return declared names with their values; a list of names has none."""
    return dict.fromkeys(value) if isinstance(value, list) else dict(value or {})


def player(env: gym.Env[Any, Any], seed: int = 0, steps: int = PLAY) -> Trial:
    """Return a trial that plays at random in an environment, which is used again for every spec.

    What it finds: names that the environment lacks, rewards that are not finite.
    """

    def play(spec: Spec) -> None:
        wrapped = wrap(env, spec, observe="none")
        wrapped.action_space.seed(seed)
        wrapped.reset(seed=seed)
        for _ in range(steps):
            *_, terminated, truncated, _ = wrapped.step(wrapped.action_space.sample())
            if terminated or truncated:
                wrapped.reset()

    return play


def refuse_base(base: Spec) -> None:
    """Raise where a spec cannot be searched from.

    Raises:
        UnsupportedError: `unfit-search`.
        SpecError: What is wrong with it.
    """
    hint = "A search proposes rewards that are written down, for one agent."
    if base.is_for_agents:
        message = f"'{base.name}' says what several agents want"
        raise UnsupportedError(Problem("unfit-search", message, hints=(hint,)))
    program = compile_spec(base)
    if program.learned or program.judged:
        message = f"'{base.name}' leaves something to be learned or judged"
        raise UnsupportedError(Problem("unfit-search", message, hints=(hint,)))
    wrong = [problem for problem in check(base) if problem.severity == "error"]
    if wrong:
        raise SpecError(wrong)


def _reason(error: RewardSpecError) -> str:
    """Return what is wrong, with its places and hints, for a proposer."""
    text = "\n".join(problem.render() for problem in error.problems[:3])
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."
