"""Builders of rewards that are learned from a ranking or from preferences; `rewardspec.dsl` has them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from rewardspec.dsl_terms import Reward, Text, Weight, fields_given, term_of

Margin: TypeAlias = "float | Mapping[str, float]"
"""A number, or `{"std": x}` for standard deviations of the factor."""

Combine: TypeAlias = "str | Mapping[str, Any]"
"""A word, or what `uwo` and `nominal_worst` return."""


def heron(
    factors: Sequence[Mapping[str, Any]],
    spread_over: Literal["store", "draw"] = "store",
    emphasis: float = 1.0,
    goes_into: Literal["reward", "value_target"] = "reward",
    segment: int = 1,
    inputs: Sequence[Text] | None = None,
    model: Mapping[str, Any] | None = None,
    fit: Mapping[str, Any] | None = None,
    after: int = 1000,
    every: int = 2000,
    pairs: int = 500,
    store: int = 100_000,
    relabel: bool = True,
    when_tied: Literal["keep", "stop"] = "keep",
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that learns its reward from a ranking of factors, most important first.

    Example:
        >>> ranked = [factor("upright", "obs[0]", {"std": 1.0}), factor("effort", "-abs(action[0])")]
        >>> heron(ranked, segment=25).terms[0]["heron"]["segment"]
        25
    """
    fields: dict[str, Any] = {"factors": factors, "spread_over": spread_over, "emphasis": emphasis}
    fields |= {
        "goes_into": goes_into,
        "segment": segment,
        "inputs": inputs,
        "model": model,
        "fit": fit,
        "after": after,
    }
    fields |= {"every": every, "pairs": pairs, "store": store, "relabel": relabel, "when_tied": when_tied}
    return term_of("heron", fields, name, weight)


def preferences(
    labels: Mapping[str, Any] | None = None,
    statistic: Literal["partial_return", "regret"] = "partial_return",
    segment: int = 25,
    budget: int | None = None,
    inputs: Sequence[Text] | None = None,
    model: Mapping[str, Any] | None = None,
    fit: Mapping[str, Any] | None = None,
    after: int = 1000,
    every: int = 2000,
    pairs: int = 500,
    store: int = 100_000,
    relabel: bool = True,
    when_tied: Literal["keep", "stop"] = "keep",
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that learns its reward from which of two segments is preferred."""
    fields: dict[str, Any] = {"labels": labels, "statistic": statistic, "segment": segment}
    fields |= {"budget": budget, "inputs": inputs, "model": model, "fit": fit, "after": after}
    fields |= {"every": every, "pairs": pairs, "store": store, "relabel": relabel, "when_tied": when_tied}
    return term_of("preferences", fields, name, weight)


def subgoals(
    subgoals: Sequence[str] | Literal["discover"],
    task: str = "",
    judge: Mapping[str, Any] | None = None,
    bonus: float = 1.0,
    repeat: Literal["never", "always"] = "never",
    shaping: Literal["bonus", "potential"] = "bonus",
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that pays when a judge says that a subgoal was reached.

    Example:
        >>> reached = subgoals(["pick up the key"], judge={"oracle": ["obs[0] > 0"]}, bonus=0.5)
        >>> reached.terms[0]["subgoals"]["judge"]
        {'oracle': ['obs[0] > 0']}
    """
    fields: dict[str, Any] = {"task": task, "subgoals": subgoals, "judge": judge, "bonus": bonus}
    return term_of("subgoals", fields | {"repeat": repeat, "shaping": shaping}, name, weight)


def latent(
    factors: Literal["all", "llm"] | Mapping[str, Any] | Sequence[Text | Mapping[str, Any]],
    task: str | None = None,
    observation: str = "auto",
    target: Text = "reward",
    decoder: Mapping[str, Any] | None = None,
    loss: Literal["rd", "rrd", "rrd_unbiased"] = "rrd_unbiased",
    subsample: int = 64,
    phase: Literal["state", "next_state"] = "state",
    fit: Mapping[str, Any] | None = None,
    after: int = 1000,
    every: int = 2000,
    store: int = 100_000,
    relabel: bool = True,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that learns a reward per step from the returns of whole episodes, through factors.

    Example:
        >>> latent(["norm(obs[0:2])", "sum(action ** 2)"]).terms[0]["latent"]
        {'factors': ['norm(obs[0:2])', 'sum(action ** 2)']}
    """
    fields: dict[str, Any] = {"factors": factors, "task": task, "observation": observation, "target": target}
    fields |= {"decoder": decoder, "loss": loss, "subsample": subsample, "phase": phase, "fit": fit}
    fields |= {"after": after, "every": every, "store": store, "relabel": relabel}
    return term_of("latent", fields, name, weight)


def feedback(
    task: str,
    message: Text = "next_obs.message",
    model: Literal["retrieval", "classification", "ranking"] = "retrieval",
    judge: Mapping[str, Any] | None = None,
    power: float = 3.0,
    cutoff: float | None = None,
    as_released: bool = False,
    empty: Literal["ignore", "ask"] = "ignore",
    longest: int = 256,
    queue: int = 10_000,
    pairs: int = 100,
    network: Mapping[str, Any] | None = None,
    fit: Mapping[str, Any] | None = None,
    after: int = 1000,
    every: int = 2000,
    relabel: bool = True,
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that pays for the game's messages, by what a language model thinks of them.

    Example:
        >>> feedback("Find the way out.", "info.message", judge={"oracle": ["unlock"]}).terms[0]["feedback"]["judge"]
        {'oracle': ['unlock']}
    """
    fields: dict[str, Any] = {"task": task, "message": message, "model": model, "judge": judge}
    fields |= {"power": power, "cutoff": cutoff, "as_released": as_released, "empty": empty}
    fields |= {"longest": longest, "queue": queue, "pairs": pairs, "network": network, "fit": fit}
    return term_of("feedback", fields | {"after": after, "every": every, "relabel": relabel}, name, weight)


def encoder(
    source: str,
    observation: int,
    action: int | None = None,
    sha256: str | None = None,
    written_by: str | None = None,
) -> dict[str, Any]:
    """Return factors in NumPy's manner: the text of `evaluation_func`, which is compiled and never run."""
    fields: dict[str, Any] = {"source": source, "observation": observation, "action": action}
    return fields_given(**fields, sha256=sha256, written_by=written_by)


def networks(
    hidden: Sequence[int] = (64, 64),
    activation: Literal["relu", "tanh"] = "relu",
    ensemble: int = 1,
    combine: Combine = "mean",
) -> dict[str, Any]:
    """Return an ensemble of small networks that make a reward of factors."""
    return fields_given(hidden=hidden, activation=activation, ensemble=ensemble, combine=combine)


def decomposing(
    learning_rate: float = 1e-3,
    episodes: int = 64,
    updates: int = 200,
    held_out: float = 0.1,
    weight_decay: float = 0.0,
) -> dict[str, Any]:
    """Return how networks are fitted to returns."""
    given = {"learning_rate": learning_rate, "episodes": episodes, "updates": updates}
    return fields_given(**given, held_out=held_out, weight_decay=weight_decay)


def barfi(
    primary: Text,
    auxiliary: Mapping[str, Text],
    blend: Mapping[str, Any] | None = None,
    discount: Literal["learned", "fixed"] = "learned",
    *,
    name: str | None = None,
    weight: Weight | None = None,
) -> Reward:
    """Return a term that blends a primary reward with hints that may be wrong.

    Example:
        >>> barfi("reward", {"effort": "-norm(action)"}).terms[0]["barfi"]["primary"]
        'reward'
    """
    fields: dict[str, Any] = {"primary": primary, "auxiliary": auxiliary, "blend": blend}
    return term_of("barfi", fields | {"discount": discount}, name, weight)


def blend(
    features: str = "fourier(3)",
    of: Sequence[Text] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    terms: Sequence[Literal["bias", "primary", "auxiliary"]] = ("bias", "primary", "auxiliary"),
) -> dict[str, Any]:
    """Return the weights of a blend."""
    return fields_given(features=features, of=of, low=low, high=high, terms=terms)


def factor(name: str, value: Text, margin: Margin = 0.0) -> dict[str, Any]:
    """Return a factor of a ranking; larger is better."""
    return fields_given(name=name, value=value, margin=margin or None)


# -- where labels come from ------------------------------------------------------------------------------


def ranking(*ranking: Mapping[str, Any]) -> dict[str, Any]:
    """Return labels by a ranking of factors, most important first."""
    return fields_given(ranking=ranking)


def teacher(
    teacher: Text = "reward",
    rationality: float | None = None,
    myopia: float = 1.0,
    mistakes: float = 0.0,
    skip_below: float | None = None,
    equal_within: float = 0.0,
) -> dict[str, Any]:
    """Return labels by a simulated teacher who sees a reward, with the faults of people."""
    given = {"teacher": teacher, "rationality": rationality, "myopia": myopia, "mistakes": mistakes}
    return fields_given(**given, skip_below=skip_below, equal_within=equal_within)


def answers(file: str) -> dict[str, Any]:
    """Return labels by people, from a file of answers."""
    return fields_given(file=file)


# -- the model -------------------------------------------------------------------------------------------


def reward_model(
    hidden: Sequence[int] = (64, 64),
    activation: Literal["relu", "tanh"] = "relu",
    ensemble: int = 1,
    combine: Combine = "mean",
    standardise: bool = True,
) -> dict[str, Any]:
    """Return an ensemble of small networks that give each step a number."""
    given = {"hidden": hidden, "activation": activation, "ensemble": ensemble, "combine": combine}
    return fields_given(**given, standardise=standardise)


def uwo(uwo: float, ddof: Literal[0, 1] = 0) -> dict[str, Any]:
    """Return how members combine: their mean minus a factor times their variance."""
    return fields_given(uwo=uwo, ddof=ddof)


def nominal_worst(nominal_worst: float, worst_over: Literal["step", "batch"] = "step") -> dict[str, Any]:
    """Return how members combine: a nominal member, mixed with the worst one."""
    return fields_given(nominal_worst=nominal_worst, worst_over=worst_over)


def fit(
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    epochs: int = 10,
    patience: int = 3,
    held_out: float = 0.1,
    weight_decay: float = 0.0,
    centring: float = 0.0,
    smoothing: float = 0.0,
    flip_doubtful: float = 0.0,
    adaptive_margin: bool = False,
) -> dict[str, Any]:
    """Return how a reward model is fitted to pairs."""
    given = {"learning_rate": learning_rate, "batch_size": batch_size, "epochs": epochs, "patience": patience}
    given |= {"held_out": held_out, "weight_decay": weight_decay, "centring": centring}
    given |= {"smoothing": smoothing, "flip_doubtful": flip_doubtful, "adaptive_margin": adaptive_margin}
    return fields_given(**given)
