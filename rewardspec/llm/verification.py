"""Whether factors that a model wrote can be learned from: checked on real transitions, before any run depends on them.

A small model that was shown an example gave it back word for word, and passed every check of shapes. So beside these a
source must not repeat a text of its prompt, and its factors must predict the returns of episodes that were not fitted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.backends.array import compile_array
from rewardspec.encoder.canonical import digest
from rewardspec.encoder.language import Encoder, read_encoder
from rewardspec.encoder.source import NAME
from rewardspec.errors import LanguageModelError, Problem
from rewardspec.ir.layout import bind
from rewardspec.ir.program import Program, Term
from rewardspec.transition import Transition

Floats = npt.NDArray[np.float64]

LEAST_STATES = 256
"""Steps on which factors are tried, at least."""

STATES = 4096
"""Steps on which they are tried, at most; more are kept for the returns."""

LEAST_SPREAD = 1e-9
"""Spread below which a factor counts as constant."""

JUDGED = 20
"""Episodes that are needed, at least, for returns to be predicted."""

UPDATES = 300
"""Steps of Adam of the decoder that predicts returns."""


class VerificationError(Exception):
    """A source is refused for what it does; its text is the reason, in words for a model."""


@dataclass(frozen=True)
class Experience:
    """Steps of whole episodes, one after another.

    Attributes:
        obs: `[S, D]` observations before the steps.
        action: `[S, A]`; A is 0 where actions are no vectors.
        next_obs: `[S, D]` observations after them.
        target: `[S]` what adds up to the returns.
        lengths: `[E]` steps of each episode.
    """

    obs: Floats
    action: Floats
    next_obs: Floats
    target: Floats
    lengths: npt.NDArray[np.int64]

    def extremes(self) -> tuple[Floats, Floats]:
        """Return `[6, D]` and `[6, A]`: all 0, the least and greatest of each number, ten times these, all equal."""

        def corners(rows: Floats) -> Floats:
            low, high = rows.min(0), rows.max(0)
            return np.stack([np.zeros_like(low), low, high, 10 * low, 10 * high, np.ones_like(low)])

        return corners(np.concatenate([self.obs, self.next_obs])), corners(self.action)


def play(
    env: gym.Env[Any, Any], target: Any = None, *, steps: int = 12_000, episodes: int = 240, seed: int = 0
) -> Experience:
    """Return what random play shows: whole episodes, up to a number of them and of steps.

    Args:
        env: An environment whose observation is a vector.
        target: `(transition) -> number` that adds up to the return; the environment's reward when None.
        steps: Steps after which no further episode begins; one is played in any case.
        episodes: Episodes at most.
        seed: Seeds the environment and the actions.
    """
    env.action_space.seed(seed)
    rows: list[tuple[Any, Any, Any, float]] = []
    lengths: list[int] = []
    while len(lengths) < episodes and len(rows) < steps:
        obs, _ = env.reset(seed=seed + len(lengths))
        over, first = False, len(rows)
        while not over and len(rows) - first < steps:
            action = env.action_space.sample()
            next_obs, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            paid = float(reward)
            if target is not None:
                paid = target(Transition(obs, action, next_obs, paid, terminated, truncated, info))
            rows.append((obs, action, next_obs, paid))
            obs = next_obs
        lengths.append(len(rows) - first)
    is_vector = isinstance(env.action_space, spaces.Box) and len(env.action_space.shape) == 1
    action = np.array([row[1] for row in rows], np.float64) if is_vector else np.zeros((len(rows), 0))
    seen, after, paid_ = (np.array([row[i] for row in rows], np.float64) for i in (0, 2, 3))
    return Experience(seen, action, after, paid_, np.array(lengths, np.int64))


def evaluate(encoder: Encoder, observation: Floats, action: Floats, phase: str = "state") -> Floats:
    """Return `[S, d]` factors of S steps, by the same program that a run pays from.

    Args:
        encoder: What was read.
        observation: `[S, D]` observations of the encoder's phase.
        action: `[S, A]`.
        phase: Which they are.
    """
    number = len(observation)
    terms = tuple(Term(f"factor_{i}", "factor", expr) for i, expr in enumerate(encoder.factors))
    program = Program("factors", None, (), (), (), (), terms, (), observe="none")
    layout = bind(program, _box(observation), _box(action))
    run = compile_array(layout, number, "numpy", dtype="float64", device="cpu")
    nothing, flags = np.zeros(number), np.zeros(number, np.bool_)
    seen = (None, observation) if phase == "next_state" else (observation, None)
    with np.errstate(all="ignore"):
        step = Transition(seen[0], action, seen[1], nothing, flags, flags)
        _, outcome = run.step(run.init(), step, {})
    return np.stack([np.broadcast_to(np.asarray(paid, np.float64), number) for paid in outcome.terms], axis=1)


def _box(rows: Floats) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, rows.shape[1:], np.float64)


@dataclass(frozen=True)
class Verdict:
    """What verification found.

    Attributes:
        encoder: The factors.
        explained: Share of the variance of held-out R / T that a decoder of them explains; None where it was not
            judged, random play having no returns to tell apart.
    """

    encoder: Encoder
    explained: float | None


def verify(
    source: str,
    experience: Experience,
    observation: int,
    action: int | None,
    phase: str = "state",
    prompts: Sequence[str] = (),
    seed: int = 0,
) -> Verdict:
    """Return a source's factors, if they can be learned from.

    Args:
        source: What a model wrote.
        experience: Steps of the environment.
        observation: Width of the observation.
        action: Width of the action; None where the source may not read it.
        phase: Which observation is read.
        prompts: What the model was shown; functions in it are not to be given back.
        seed: Seeds the decoder.

    Raises:
        EncoderError: It is not in the language.
        VerificationError: It is, and its factors are of no use.
    """
    encoder = read_encoder(source, observation, action, phase)
    if encoder.digest in {found for prompt in prompts for found in _digests(prompt)}:
        raise VerificationError(
            "this is the function that was shown as an example, and not one for this task"
        )
    seen = experience.next_obs if phase == "next_state" else experience.obs
    if len(seen) < LEAST_STATES:
        message = f"factors are tried on {LEAST_STATES} steps at least, and there are {len(seen)}"
        raise LanguageModelError(
            Problem("too-little-play", message, hints=("Play more episodes: --episodes 500",))
        )
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(seen), min(STATES, len(seen)), replace=False)
    corners, pushed = experience.extremes()
    states = np.concatenate([seen[chosen], corners])
    actions = np.concatenate([experience.action[chosen], pushed])
    values = evaluate(encoder, states, actions, phase)
    _check_values(encoder, values, states, len(chosen))
    order = rng.permutation(len(states))
    if not np.array_equal(evaluate(encoder, states, actions, phase), values):
        raise VerificationError("the same steps give other factors the second time")
    if not np.array_equal(evaluate(encoder, states[order], actions[order], phase), values[order]):
        raise VerificationError("the factors of a step depend on where it stands in the batch")
    return Verdict(encoder, _explained(encoder, experience, phase, seed))


def _digests(text: str) -> list[str]:
    """Return the digests of the functions in a text, an example in a prompt for instance."""
    found = []
    for start in re.finditer(rf"^[ \t]*def {NAME}\(", text, re.MULTILINE):
        lines = text[start.start() :].split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        body = [lines[0][indent:]]
        for line in lines[1:]:
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            body.append(line[indent:])
        try:
            tree = ast.parse("\n".join(body))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found += [digest(node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    return found


def _check_values(encoder: Encoder, values: Floats, states: Floats, real: int) -> None:
    """Raise where a factor is not finite, or the same on all real steps."""
    for name, column in zip(encoder.names, values.T, strict=True):
        broken = np.flatnonzero(~np.isfinite(column))
        if len(broken):
            where = int(broken[0])
            shown = ", ".join(
                [f"{value:.3g}" for value in states[where][:12]] + ["..."] * (states.shape[1] > 12)
            )
            kind = (
                "at a step that was played"
                if where < real
                else "at an extreme, as all 0 or the greatest values"
            )
            raise VerificationError(
                f"the factor '{name}' is {column[where]} {kind}: observation = [{shown}]. Every factor must be "
                "finite: add 1e-6 to what is divided by, and bound what is exponentiated"
            )
        if np.ptp(column[:real]) < LEAST_SPREAD:
            raise VerificationError(
                f"the factor '{name}' is {column[0]:.4g} on all of {real} steps: it tells none from another"
            )


def _explained(encoder: Encoder, experience: Experience, phase: str, seed: int) -> float | None:
    """Return how well a decoder of the factors predicts returns of episodes that it was not fitted to.

    Raises:
        VerificationError: No better than a constant does.
    """
    rates = (
        np.add.reduceat(experience.target, np.cumsum(experience.lengths) - experience.lengths)
        / experience.lengths
    )
    if len(rates) < JUDGED or np.ptp(rates) < LEAST_SPREAD:
        return None
    from rewardspec.kinds.latent import Latent
    from rewardspec.learning.decomposition import decompose
    from rewardspec.learning.episodes import episodes_of
    from rewardspec.learning.models import Ensemble

    seen = experience.next_obs if phase == "next_state" else experience.obs
    factors = evaluate(encoder, seen, experience.action, phase)
    episodes = episodes_of(factors, experience.target, experience.lengths)
    fit = {"updates": UPDATES, "learning_rate": 3e-3, "held_out": 0.25}
    options = Latent.model_validate({"factors": "all", "loss": "rd", "decoder": {"hidden": [32]}, "fit": fit})
    model = Ensemble(options.decoder, factors.shape[1], seed)
    report, _ = decompose(model, episodes, options, np.random.default_rng(seed))
    if report.explained is not None and report.explained <= 0:
        raise VerificationError(
            "from these factors the returns of episodes are predicted no better than by their mean: "
            "they have nothing to do with what the task rewards"
        )
    return report.explained
