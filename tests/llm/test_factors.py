"""Factors from a language model: what is asked, what is refused and told back, what is kept.

The answers here are written by hand and come from a server on this machine; they are no model's.
"""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner

import rewardspec
from rewardspec.cli import app
from rewardspec.encoder.refusal import EncoderError
from rewardspec.errors import LanguageModelError, SpecError
from rewardspec.learning.learner import RewardLearner
from rewardspec.llm.chat_server import ChatServer
from rewardspec.llm.completing import complete_factors
from rewardspec.llm.factors import Question, ask_factors, source_in
from rewardspec.llm.forms import describe, widths_of
from rewardspec.llm.provider import Answer
from rewardspec.llm.scripted import Scripted
from rewardspec.llm.verification import Experience, Verdict, VerificationError, play, verify
from rewardspec.vocabulary import loads

HEAD = "def evaluation_func(observation):\n    "
GOOD = HEAD + "return [observation[:, 0:1], np.abs(observation[:, 1:2])]"
SYNTAX = HEAD + "return [observation[:, 0:1]"
SHAPE = HEAD + "return [observation[:, 0:2]]"
NAN = HEAD + "return [np.log(observation[:, 0:1] - 100)]"


class Walk(gym.Env[Any, Any]):
    """Two numbers walk; the first is paid, the second is not."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.left = self.np_random.normal(size=3), int(self.np_random.integers(5, 12))
        return self.at.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at = self.at + self.np_random.normal(size=3) * 0.2
        self.at[2] = 1.0
        self.left -= 1
        return self.at.copy(), float(self.at[0]), False, self.left == 0, {}


@pytest.fixture(scope="module")
def experience() -> Experience:
    return play(Walk(), episodes=80)


def checked(source: str, experience: Experience, **options: Any) -> Verdict:
    return verify(source, experience, 3, None, "next_state", **options)


QUESTION = Question("Keep the first number high.", "0: first\n1: second\n2: third", 3, None)


def answer_of(source: str) -> str:
    return json.dumps({"Understand": "It walks.", "Analyze": "High is good.", "Functions": source})


class Script:
    """A server that says the next of some answers at each call, and remembers what it was asked."""

    def __init__(self, server: HTTPServer, texts: list[str]) -> None:
        from werkzeug import Request as Seen
        from werkzeug import Response

        self.asked: list[dict[str, Any]] = []

        def handle(request: Seen) -> Response:
            body = request.get_json()
            self.asked.append(body)
            choices = []
            for _ in range(body["n"]):
                choices.append(
                    {"message": {"role": "assistant", "content": texts.pop(0)}, "finish_reason": "stop"}
                )
            usage = {"prompt_tokens": 5, "completion_tokens": 5}
            return Response(json.dumps({"choices": choices, "usage": usage}), content_type="application/json")

        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(handle)
        self.provider = ChatServer(server.url_for("/v1"), "scripted")


# -- the loop ----------------------------------------------------------------------------------------------


def test_each_failure_is_told_back_until_a_source_passes(
    httpserver: HTTPServer, experience: Experience
) -> None:
    """A syntax error, a wrong shape, a factor that is not finite, a good one: exactly four calls."""
    script = Script(httpserver, [answer_of(source) for source in (SYNTAX, SHAPE, NAN, GOOD)])
    asked = ask_factors(script.provider, QUESTION, lambda source: checked(source, experience), candidates=1)
    assert len(script.asked) == asked.calls == 4
    assert asked.source == GOOD
    assert asked.verdict.encoder.names == ("factor_1", "factor_2")
    assert asked.verdict.explained is not None and asked.verdict.explained > 0.8
    told = [body["messages"][-1]["content"] for body in script.asked]
    assert "this is not Python: '[' was never closed" in told[1]
    assert "has the shape (batch, 2), and (batch, 1) is asked for" in told[2]
    assert "is nan at a step that was played" in told[3]
    assert [len(body["messages"]) for body in script.asked] == [1, 3, 3, 3], (
        "the last answer alone goes along"
    )
    assert script.asked[2]["messages"][1]["content"] == answer_of(SHAPE)
    assert [body["temperature"] for body in script.asked] == [1.0, 0.3, 0.3, 0.3]
    assert [body["seed"] for body in script.asked] == [0, 1, 2, 3], "a second try is not the first one again"
    assert script.asked[0]["response_format"]["json_schema"]["schema"]["required"] == [
        "Understand",
        "Analyze",
        "Functions",
    ]
    assert [attempt.source for attempt in asked.attempts] == [SYNTAX, SHAPE, NAN, GOOD]


def test_five_failures_are_an_error_that_lists_them(httpserver: HTTPServer, experience: Experience) -> None:
    script = Script(httpserver, [answer_of(SHAPE)] * 9)
    with pytest.raises(LanguageModelError) as caught:
        ask_factors(script.provider, QUESTION, lambda source: checked(source, experience), candidates=1)
    (problem,) = caught.value.problems
    assert problem.code == "no-factors"
    assert len(script.asked) == 5
    assert len(problem.hints) == 6 and "(batch, 2)" in problem.hints[4]


def test_several_answers_are_made_into_one(experience: Experience) -> None:
    provider = Scripted([answer_of(SHAPE), "no function here", answer_of(GOOD), answer_of(GOOD)])
    asked = ask_factors(provider, QUESTION, lambda source: checked(source, experience), candidates=3)
    assert asked.calls == 2
    warm, merge = provider.requests
    assert (warm.n, warm.temperature, merge.n, merge.temperature) == (3, 1.0, 1, 0.3)
    assert json.loads(merge.messages[1].content) == [answer_of(SHAPE), "no function here", answer_of(GOOD)]
    assert "3 answers" in merge.messages[2].content
    assert warm.prompt.startswith("lare_ask@") and merge.prompt.startswith("lare_merge@")


def test_the_question_says_what_there_is() -> None:
    text = QUESTION.text()
    assert "Keep the first number high." in text and "1: second" in text
    assert "evaluation_func(observation)" in text and "(batch, 3)" in text and "linalg.norm" in text
    assert "`action` one of shape (batch, 2)" in Question("t", "f", 3, 2).text()
    assert "{{" not in text


# -- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        answer_of(GOOD),
        f"Sure!\n{answer_of(GOOD)}\nHope this helps.",
        json.dumps({"Functions": f"```python\n{GOOD}\n```"}),
        f"Here it is:\n```python\n{GOOD}\n```\nIt has two factors.",
        json.dumps({"Functions": GOOD.split("\n")}),
        json.dumps({"Functions": "```python\n" + GOOD + "\n```"}).replace("\\n", "\\\\n"),  # escaped twice
        '{"Functions": "' + GOOD + '"}',  # line breaks as they are, which is not JSON
        GOOD,
    ],
)
def test_a_function_is_found_in_answers_of_many_forms(text: str) -> None:
    assert source_in(Answer(text)) == GOOD


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"Functions": 3}', "I cannot help with that.", '{"Functions": []}', "null"]
)
def test_an_answer_without_a_function_is_refused(text: str) -> None:
    """The released verifier passes an empty list of functions, saves it, and the run dies later."""
    with pytest.raises(VerificationError, match="has no function evaluation_func"):
        source_in(Answer(text))


def test_an_answer_that_was_cut_off_says_so() -> None:
    with pytest.raises(VerificationError, match="cut off"):
        source_in(Answer(GOOD[:-10], "length"))


# -- verification ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (HEAD + "return [1 / observation[:, 0:1]]", "is inf at an extreme, as all 0"),
        (HEAD + "return [np.exp(np.exp(10 * np.abs(observation[:, 0:1])))]", "is inf at a"),
        (HEAD + "return [observation[:, 2:3]]", "is 1 on all of"),
        (HEAD + "return [np.minimum(observation[:, 0:1], -1e6)]", "on all of"),
    ],
)
def test_what_passes_the_language_may_still_be_of_no_use(
    source: str, reason: str, experience: Experience
) -> None:
    with pytest.raises(VerificationError, match=reason):
        checked(source, experience)


def test_factors_that_say_nothing_of_returns_are_refused(experience: Experience) -> None:
    """The copied example passed every check of shapes; it had nothing to do with the task."""
    rng = np.random.default_rng(0)
    unrelated = Experience(
        experience.obs,
        experience.action,
        rng.normal(size=experience.next_obs.shape),
        experience.target,
        experience.lengths,
    )
    with pytest.raises(VerificationError, match="no better than by their mean"):
        checked(
            HEAD + "return [np.sin(50 * observation[:, 1:2]), np.cos(50 * observation[:, 1:2])]", unrelated
        )


@pytest.mark.parametrize("fence", ["```python\n{}\n```", "An example, for another task:\n\n    {}"])
def test_an_example_of_the_prompt_is_not_taken_back(fence: str, experience: Experience) -> None:
    example = "def evaluation_func(obs):\n    first = obs[:, 0:1]\n    return [first, np.abs(obs[:, 1:2])]"
    prompt = fence.format(example.replace("\n", "\n    ") if "    {}" in fence else example)
    renamed = example.replace("obs", "observation").replace("first", "height")
    with pytest.raises(VerificationError, match="shown as an example"):
        checked(renamed, experience, prompts=[prompt])
    assert checked(GOOD, experience, prompts=[prompt]).explained


def test_too_few_steps_are_no_trial() -> None:
    with pytest.raises(LanguageModelError, match="256 steps at least"):
        checked(GOOD, play(Walk(), episodes=3))


def test_the_language_is_asked_first(experience: Experience) -> None:
    with pytest.raises(EncoderError, match="an import is not allowed"):
        checked("import os\n" + GOOD, experience)


# -- what an environment documents -------------------------------------------------------------------------


def test_gymnasiums_tables_become_lines() -> None:
    form = describe(gym.make("CartPole-v1"))
    assert "1: Cart Velocity" in form and "0: Push cart to the left" in form
    assert widths_of(gym.make("CartPole-v1")) == (4, None)
    assert widths_of(gym.make("Pendulum-v1")) == (3, 1)


def test_an_environment_without_tables_is_listed() -> None:
    assert "2: between -inf and inf" in describe(Walk())


def test_prompts_have_no_place_left_open() -> None:
    from rewardspec.llm.prompts import PLACE, load_prompt

    text = load_prompt("lare_ask").text
    assert set(PLACE.findall(text)) == {
        "task", "form", "arguments", "shapes", "functions",
    }  # fmt: skip


# -- into the spec -----------------------------------------------------------------------------------------

OPEN = """
name: walk
signals: {score: {value: 2 * reward}}
reward:
  - latent: {task: Keep the first number high., factors: llm, phase: next_state, target: score, decoder: {hidden: [8]}}
"""


def test_a_spec_is_completed_with_what_was_found_and_trains(tmp_path: Any) -> None:
    provider = Scripted([answer_of(NAN), answer_of(GOOD)])
    completed = complete_factors(loads(OPEN), provider, Walk(), candidates=1, episodes=60)
    text = completed.spec.to_yaml()
    (tmp_path / "complete.yaml").write_text(text)
    again = rewardspec.load(tmp_path / "complete.yaml")
    factors = again.to_data()["reward"][0]["latent"]["factors"]
    assert factors["source"] == GOOD + "\n" and factors["written_by"] == "scripted"
    assert factors["sha256"] == completed.asked[0].verdict.encoder.digest
    assert "        def evaluation_func(observation):\n" in text, "the source can be read in the file"
    learner = RewardLearner(again)
    assert learner.wrap(Walk()) is not None and learner.split.columns[0].inputs == slice(0, 2)


def test_the_command_writes_the_completed_spec_and_records_the_answers(
    httpserver: HTTPServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = "def evaluation_func(observation, action):\n    return [observation[:, 0:1], observation[:, 2:3] ** 2]"
    script = Script(httpserver, [answer_of(SHAPE), answer_of(good)])
    monkeypatch.setenv("REWARDSPEC_LLM", httpserver.url_for("/v1"))
    monkeypatch.setenv("REWARDSPEC_LLM_MODEL", "written by hand")
    reward = "{latent: {task: Hold the pendulum up., factors: llm}}"
    (tmp_path / "open.yaml").write_text(f"name: up\nenv: {{id: Pendulum-v1}}\nreward: {reward}\n")
    command = ["llm", "factors", str(tmp_path / "open.yaml"), "-o", str(tmp_path / "complete.yaml")]
    command += ["--candidates", "1", "--episodes", "5", "--records", str(tmp_path / "records.jsonl")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert (
        len(script.asked) == 2 and "refused: " in done.output and "2 factors after 2 requests" in done.output
    )
    factors = rewardspec.load(tmp_path / "complete.yaml").to_data()["reward"][0]["latent"]["factors"]
    assert factors["source"] == good + "\n" and factors["written_by"] == "written by hand"
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and len(script.asked) == 2, "what is recorded is not asked again"


def test_a_spec_that_asks_for_nothing_says_so() -> None:
    with pytest.raises(LanguageModelError, match="leaves its factors to a model"):
        complete_factors(loads("name: plain\nreward: reward"), Scripted([]), Walk())


def test_what_is_asked_without_a_task_is_an_error_of_the_spec() -> None:
    with pytest.raises(SpecError, match="'task' says what the model is asked"):
        loads("reward: {latent: llm}")
