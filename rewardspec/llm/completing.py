"""Complete a spec that leaves factors to a language model: ask, verify, and put what was written into the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from rewardspec.errors import LanguageModelError, Problem
from rewardspec.kinds.latent import Latent
from rewardspec.llm.factors import CANDIDATES, TRIES, Asked, Question, ask_factors
from rewardspec.llm.forms import describe, widths_of
from rewardspec.llm.provider import Provider
from rewardspec.llm.verification import Experience, Verdict, play, verify
from rewardspec.spec.model import Spec
from rewardspec.vocabulary import from_data
from rewardspec.wrappers.single import wrap

AUTO = "auto"


@dataclass(frozen=True)
class Completed:
    """A spec with all of its factors.

    Attributes:
        spec: The spec.
        asked: For each term that was completed, what the model came to.
    """

    spec: Spec
    asked: tuple[Asked, ...]


def complete_factors(
    spec: Spec,
    provider: Provider,
    env: gym.Env[Any, Any],
    *,
    candidates: int = CANDIDATES,
    tries: int = TRIES,
    episodes: int = 240,
    seed: int = 0,
    told: Callable[[str], None] = lambda text: None,
) -> Completed:
    """Return a spec whose every `factors: llm` has become a source that passed verification.

    Args:
        spec: The spec.
        provider: The model that is asked.
        env: The environment, not wrapped: its documentation goes into the prompt, its steps judge the factors.
        candidates: Answers that are asked for at first.
        tries: Sources that are verified, at most, for each term.
        episodes: Episodes of random play on which they are.
        seed: Seeds play, decoder and requests.
        told: Hears of each step.

    Raises:
        LanguageModelError: `no-factors`, `too-little-play`; `nothing-to-ask` where no term leaves factors to a model.
        UnsupportedError: `encoder-widths` where the observation is no vector.
    """
    data = spec.to_data()
    open_terms = list(_open_terms(data["reward"]))
    if not open_terms:
        hint = "A term asks for factors by `latent: {task: ..., factors: llm}`."
        raise LanguageModelError(
            Problem(
                "nothing-to-ask", f"no term of '{spec.name}' leaves its factors to a model", hints=(hint,)
            )
        )
    observation, action = widths_of(env)
    asked: list[Asked] = []
    for fields in open_terms:
        term = Latent.model_validate(fields)
        form = describe(env) if term.observation == AUTO else term.observation
        assert term.task is not None  # the kind asks for it
        question = Question(term.task, form, observation, action)
        told(f"playing up to {episodes} episodes at random")
        experience = _experience(spec, term, env, episodes, seed)
        trial = Trial(experience, observation, action, term.phase, question.text(), seed)
        found = ask_factors(
            provider, question, trial.verify, candidates=candidates, tries=tries, seed=seed, told=told
        )
        asked.append(found)
        encoder = found.verdict.encoder
        fields["factors"] = {
            "source": found.source + "\n",
            "observation": observation,
            **({"action": action} if encoder.reads_action else {}),
            "sha256": encoder.digest,
            "written_by": provider.card.name,
        }
    return Completed(from_data(data), tuple(asked))


@dataclass(frozen=True)
class Trial:
    """What sources for one term are tried on."""

    experience: Experience
    observation: int
    action: int | None
    phase: str
    prompt: str
    seed: int

    def verify(self, source: str) -> Verdict:
        """Return the factors of a source, if they can be learned from; see `verification.verify`."""
        widths = self.observation, self.action
        return verify(source, self.experience, *widths, self.phase, (self.prompt,), self.seed)


def _open_terms(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the fields of every latent term, however deep, that leaves its factors to a model."""
    if isinstance(value, dict):
        fields = value.get("latent")
        if fields == "llm":  # the short form, with the options beside it
            beside = [key for key in value if key in Latent.model_fields]
            value["latent"] = fields = {"factors": "llm", **{key: value.pop(key) for key in beside}}
        if isinstance(fields, dict) and fields.get("factors") == "llm":
            yield fields
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _open_terms(item)


def _experience(spec: Spec, term: Latent, env: gym.Env[Any, Any], episodes: int, seed: int) -> Experience:
    """Return random play in which what is summed up is the term's target."""
    data = {
        key: part
        for key, part in spec.to_data().items()
        if key in ("rewardspec", "name", "signals", "propositions", "env")
    }
    target = from_data({**data, "reward": [{"markov": term.target}]})
    return play(wrap(env, target), episodes=episodes, seed=seed)
