"""The pages of the codes (docs/errors.md), and the problems that a text provokes.

The examples of the table are run to make the pages, so that a page shows the very message that a user
sees. A text may begin with comments that say what to do with it besides compiling it: `# env: CartPole-v1`
wraps that environment, and `# step` after it takes a step in it; `# game` reads a game and no spec.
"""

from __future__ import annotations

import re

from rewardspec.analysis.check import check
from rewardspec.analysis.optimisers import check_discount
from rewardspec.analysis.spec_tests import run_tests
from rewardspec.codes import CODES
from rewardspec.codes.lint_environment import ENVIRONMENT
from rewardspec.compiler import compile_spec
from rewardspec.errors import Problem, RewardSpecError, render_problems
from rewardspec.games.text import loads_game
from rewardspec.ir.program import Program
from rewardspec.spec.model import Spec
from rewardspec.team.compile import compile_team
from rewardspec.vocabulary import loads

AGENTS_DISCOUNT = 0.99
"""The discount of the agent that the examples are for."""

PARALLEL = "rewardspec/TwoButtons"
"""How the name of an environment of several agents begins in examples."""

_HEADER = re.compile(r"# (env|step|game)\b:? ?(.*)\n")

NOT_RUN = (">>> ", "$ ")
"""How an example begins that is not a spec."""

NOT_A_SPEC = frozenset(
    {"unreadable-file", "not-utf8", "toro-icarte-syntax", "toro-icarte-unsupported", *ENVIRONMENT}
)
"""Codes whose example is no spec, or needs random episodes."""

TITLE = """\
# Errors and findings

<!-- Made by `python docs/generate.py`; edit the table in `rewardspec/codes/` instead. -->

Every problem that rewardspec reports carries a code. Errors stop a spec from compiling or an environment from
being wrapped; warnings and infos come from `rewardspec check`. `rewardspec explain CODE` prints one of these
pages.
"""


def provoke(text: str, file: str = "spec.yaml") -> tuple[Problem, ...]:
    r"""Return the problems of a spec: those of the first stage that finds any, else those of the linter.

    Args:
        text: The spec, with comments at its head that may name an environment.
        file: The name that messages show.

    Example:
        >>> [problem.code for problem in provoke("reward: foo\n")]
        ['unknown-name']
    """
    header: dict[str, str] = {}
    for line in text.splitlines(keepends=True):
        if not (match := _HEADER.fullmatch(line)):
            break
        header[match[1]] = match[2]
    try:
        if "game" in header:
            loads_game(text, file)
            return ()
        spec = loads(text, file)
        if header.get("env", "").startswith(PARALLEL):
            _try_parallel(spec, header["env"])
        if spec.is_for_agents and header.get("env", PARALLEL).startswith(PARALLEL):
            compile_team(spec)
            return (*check(spec), *check_discount(spec, AGENTS_DISCOUNT))
        program = compile_spec(spec)
        if "env" in header:
            _try_environment(program, header["env"], takes_step="step" in header)
        run_tests(spec, program)
    except RewardSpecError as error:
        return error.problems
    return (*check(spec), *check_discount(spec, AGENTS_DISCOUNT))


def _try_parallel(spec: Spec, name: str) -> None:
    """Wrap an environment of several agents."""
    from rewardspec.parallel_environments import make_parallel_environment
    from rewardspec.wrappers.parallel import wrap_parallel

    wrap_parallel(make_parallel_environment(name), spec).close()


def _try_environment(program: Program, name: str, *, takes_step: bool) -> None:
    """Wrap an environment, and take a step in it where that is asked for."""
    import gymnasium

    from rewardspec.wrappers.single import wrap

    env = gymnasium.make(name)
    try:
        wrapped = wrap(env, program)
        wrapped.reset(seed=0)
        if takes_step:
            wrapped.action_space.seed(0)
            wrapped.step(wrapped.action_space.sample())
    finally:
        env.close()  # type: ignore[no-untyped-call]


def message(code: str) -> str:
    """Return the message that the example of a code provokes, empty where the example is not a spec."""
    example = CODES[code].example
    if code in NOT_A_SPEC or example.startswith(NOT_RUN):
        return ""
    return render_problems([problem for problem in provoke(example) if problem.code == code][:1])


def page(code: str) -> str:
    """Return the page of a code as Markdown: what it means, an example, its message and the fix."""
    explanation = CODES[code]
    parts = [
        f"## {code}",
        f"*{explanation.severity}*",
        explanation.summary,
        "Example:",
        _fenced(explanation.example),
    ]
    if shown := message(code):
        parts += ["Message:", _fenced(shown, "text")]
    parts += [
        "Fix:",
        _fenced(explanation.fix)
        if "\n" in explanation.fix.strip() or _is_code(explanation.fix)
        else explanation.fix,
    ]
    return "\n\n".join(parts) + "\n"


def document() -> str:
    """Return docs/errors.md: the pages of all codes, in alphabetical order."""
    return "\n".join([TITLE, *(page(code) for code in sorted(CODES))])


def _is_code(text: str) -> bool:
    return text.startswith(NOT_RUN) or text.endswith("\n")


def _fenced(text: str, language: str = "") -> str:
    language = language or ("python" if text.startswith(">>>") else "sh" if text.startswith("$") else "yaml")
    return f"```{language}\n{text.rstrip()}\n```"
