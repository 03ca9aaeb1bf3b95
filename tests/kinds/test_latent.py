"""Kind `latent`: what the networks see, what is decomposed, and what is refused. Learning itself: tests/learning."""

from __future__ import annotations

import pytest

from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError
from rewardspec.ir.program import Learned, Program
from rewardspec.ir.show import show_expr
from rewardspec.kinds.latent import Latent, factor_names
from rewardspec.vocabulary import loads

SOURCE = """\
reward:
  latent:
    factors:
      observation: 4
      action: 2
      source: |
        def evaluation_func(observation, action):
            near = -np.linalg.norm(observation[:, 0:2], axis=1)
            return [near, np.sum(action ** 2, axis=1)[:, None]]
"""


def program(text: str) -> Program:
    return compile_spec(loads(text))


def only(text: str) -> Learned:
    (learned,) = program(text).learned
    return learned


def seen(text: str) -> list[str]:
    return [show_expr(value) for value in only(text).inputs or ()]


def code(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        program(text)
    return caught.value.problems[0].code


def test_factors_are_expressions_with_or_without_a_name() -> None:
    text = "reward: {latent: [{name: near, value: '-norm(obs[0:2])'}, sum(action ** 2)]}"
    assert seen(text) == ["-norm(obs[0:2])", "sum(action ** 2)"]
    settings = only(text).settings
    assert isinstance(settings, Latent)
    assert factor_names(settings, 2) == ("near", "sum(action ** 2)")
    assert factor_names(settings, 5) == tuple(f"input {i}" for i in range(5)), "one of them was a vector"


def test_a_source_becomes_the_same_expressions() -> None:
    assert seen(SOURCE) == [
        "-sqrt(obs[0] * obs[0] + obs[1] * obs[1])",
        "action[0] ** 2 + action[1] ** 2",
    ]
    settings = only(SOURCE).settings
    assert isinstance(settings, Latent)
    assert factor_names(settings, 2) == ("near", "factor_2")


def test_a_source_reads_the_observation_of_its_phase() -> None:
    assert (
        seen(SOURCE + "    phase: next_state\n")[0]
        == "-sqrt(next_obs[0] * next_obs[0] + next_obs[1] * next_obs[1])"
    )


def test_what_is_decomposed_is_the_environments_own_return_or_what_is_said() -> None:
    assert [show_expr(value) for _, value in only("reward: {latent: all}").measures] == ["reward"]
    said = only("reward: {latent: {factors: all, target: info.score}}").measures
    assert [show_expr(value) for _, value in said] == ["info.score"]


@pytest.mark.parametrize(("phase", "roots"), [("state", ("obs", "action")), ("next_state", ("next_obs",))])
def test_all_is_the_whole_of_what_the_phase_has(phase: str, roots: tuple[str, ...]) -> None:
    learned = only(f"reward: {{latent: {{factors: all, phase: {phase}}}}}")
    assert learned.inputs is None
    assert learned.whole == roots


def test_what_a_model_has_not_been_asked_for_cannot_be_trained() -> None:
    assert code("reward: {latent: {task: Reach., factors: llm}}") == "factors-not-asked"


def test_a_digest_holds_a_source_to_what_it_said() -> None:
    held = SOURCE.replace("      action: 2\n", f"      action: 2\n      sha256: '{'0' * 64}'\n")
    assert code(held) == "encoder-changed"


def test_an_error_in_a_source_is_the_specs_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"line 3, `return .*`: 'open' cannot be called"):
        program(SOURCE.replace("np.sum(action ** 2, axis=1)[:, None]", "open('x')"))
