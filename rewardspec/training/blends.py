"""What a run of BARFI has learned to trust: in words, as a picture, and frozen to a plain spec.

The agent writes `blend.json` into its run folder: names, the features of a state as expressions, and for each learner
its weights, its discount and its primary return; besides the states that the best learner met last, with what was paid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rewardspec.errors import LearningError, Problem, UnsupportedError
from rewardspec.spec.model import Spec
from rewardspec.training.folder import RunFolder
from rewardspec.vocabulary import from_data, load

FILE = "blend.json"
OFF = 0.05
"""Share of what is paid in all below which a part counts as switched off."""

ONE_WAY = 0.8
"""Share of a hint's effect with one sign from which it counts as trusted, or as turned against."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LearnedBlend:
    """What a run has learned.

    Attributes:
        primary: Name of the term that is scored.
        hints: Names of the hints.
        columns: Names of the learned weights, `bias` among them.
        signals: Named expressions that the features are written with.
        features: F features of a state, as expressions.
        phi: `[R, F, K]`, for each learner the weights of the features, for each of the columns.
        discounts: `[R]`, learned.
        returns: `[R]` mean primary return of each learner's last episodes.
        states: `[N, D]` states that the best learner met.
        weights: By column `[N]`, its weight there.
        paid: By term `[N]`, what it paid there before it was weighted.
    """

    primary: str
    hints: tuple[str, ...]
    columns: tuple[str, ...]
    signals: Mapping[str, str]
    features: tuple[str, ...]
    phi: Floats
    discounts: Floats
    returns: Floats
    states: Floats
    weights: Mapping[str, Floats]
    paid: Mapping[str, Floats]

    @property
    def best(self) -> int:
        """The learner with the greatest primary return."""
        return int(self.returns.argmax())

    def to_data(self) -> dict[str, Any]:
        """Return plain data, for the file."""

        def plain(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: plain(part) for key, part in value.items()}
            return value.tolist() if isinstance(value, np.ndarray) else value

        return {name: plain(value) for name, value in vars(self).items()}


def read_blend(place: str | Path) -> LearnedBlend:
    """Return what the run in a folder has learned.

    Raises:
        UnsupportedError: `not-a-run-folder`; `no-blend` when the run is no run of BARFI, or has not saved yet.
        LearningError: `broken-model` when the file is none any more.
    """
    folder = RunFolder(place)
    facts = folder.read_facts()
    path = folder.path / FILE
    if not path.is_file():
        agent = facts.get("agent") or "rewardspec train"
        hint = "`python -m agents.barfi --spec SPEC` learns one, and writes it with every checkpoint."
        text = f"the run in {folder.path}, by {agent}, has no learned blend"
        raise UnsupportedError(Problem("no-blend", text, hints=(hint,)))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        blend = LearnedBlend(
            primary=str(data["primary"]),
            hints=tuple(map(str, data["hints"])),
            columns=tuple(map(str, data["columns"])),
            signals={str(name): str(text) for name, text in data["signals"].items()},
            features=tuple(map(str, data["features"])),
            phi=np.array(data["phi"], float),
            discounts=np.array(data["discounts"], float),
            returns=np.array(data["returns"], float),
            states=np.array(data["states"], float),
            weights={name: np.array(part, float) for name, part in data["weights"].items()},
            paid={name: np.array(part, float) for name, part in data["paid"].items()},
        )
        if blend.phi.shape[1:] != (len(blend.features), len(blend.columns)):
            raise ValueError("its weights do not fit its features")
        return blend
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(Problem("broken-model", f"{path} cannot be read: {error}")) from error


# -- a plain spec --------------------------------------------------------------------------------------------


def freeze(place: str | Path, learner: int | None = None) -> Spec:
    """Return a plain spec that pays what a learner of a run has learned to pay, for any algorithm.

    Each term is multiplied by its weight, an expression over the observation. The spec's discount is the learned one;
    its tests are left out, since they were written for what was there before.

    Args:
        place: The run folder.
        learner: Which of the learners; the one with the greatest primary return when not given.

    Raises:
        UnsupportedError: `no-blend`; as `read_blend`; `wrong-setting` when there is no such learner.
    """
    blend = read_blend(place)
    chosen = blend.best if learner is None else learner
    if not 0 <= chosen < len(blend.phi):
        text = f"the run has {len(blend.phi)} learners, numbered from 0, and none is number {chosen}"
        raise UnsupportedError(Problem("wrong-setting", text))
    data = load(RunFolder(place).spec).to_data()
    used = np.abs(blend.phi[chosen]).max(1) > 0
    names = {i: f"blend_{i}" for i, text in enumerate(blend.features) if used[i] and text != "1"}
    signals = {**blend.signals, **{name: blend.features[i] for i, name in names.items()}}

    def weight(column: str) -> str:
        numbers = blend.phi[chosen][:, blend.columns.index(column)]
        parts = [
            f"{number:.6g} * {names[i]}" if i in names else f"{number:.6g}"
            for i, number in enumerate(numbers)
            if abs(number) > 0
        ]
        return f"sum([{', '.join(parts or ['0'])}])"

    terms: list[dict[str, Any]] = []
    if "bias" in blend.columns:
        terms.append({"markov": weight("bias"), "name": "bias"})
    for name, inner in _parts(data).items():
        if name in blend.columns or (name == blend.primary and "primary" in blend.columns):
            column = name if name in blend.columns else "primary"
            if set(inner) == {"markov"}:
                terms.append({"markov": f"{weight(column)} * ({inner['markov']})", "name": name})
            else:
                terms.append({"product": [{"markov": weight(column)}, inner], "name": name})
        else:
            terms.append({**inner, "name": name})
    kept = {
        key: value for key, value in data.items() if key not in ("reward", "tests", "discount", "signals")
    }
    return from_data(
        {
            **kept,
            "name": f"{data.get('name', 'reward')}-frozen",
            "description": f"What BARFI has learned to pay for '{blend.primary}' with the hints "
            f"{', '.join(blend.hints)}: learner {chosen}, primary return {blend.returns[chosen]:.4g}.",
            "discount": round(float(blend.discounts[chosen]), 6),
            "signals": {**data.get("signals", {}), **(signals if names else {})},
            "reward": terms,
        }
    )


def _parts(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the terms that were blended, by name and without it."""
    reward = data["reward"]
    terms = reward if isinstance(reward, list) else [reward]
    first = terms[0]
    if isinstance(first, dict) and "barfi" in first:
        body = first["barfi"] if isinstance(first["barfi"], dict) else {**first, "primary": first["barfi"]}
        hints = {name: {"markov": text} for name, text in body["auxiliary"].items()}
        return {"primary": {"markov": body["primary"]}, **hints}
    from rewardspec.compiler import term_names

    spec = from_data(dict(data))
    found = {}
    for name, term in zip(term_names(spec), terms, strict=True):
        whole = term if isinstance(term, dict) else {"markov": term}
        found[name] = {key: value for key, value in whole.items() if key != "name"}
    return found


# -- words ---------------------------------------------------------------------------------------------------


def describe(blend: LearnedBlend) -> str:
    """Return in words what the best learner's blend trusts, and where."""
    effects = {name: _weight(blend, name) * paid for name, paid in blend.paid.items()}
    effects["bias"] = _weight(blend, "bias")
    sizes = {name: float(np.abs(effect).mean()) for name, effect in effects.items()}
    whole = sum(sizes.values()) or 1.0
    lines = [
        f"Learner {blend.best} of {len(blend.returns)}: primary return {blend.returns[blend.best]:.4g}, "
        f"learned discount {blend.discounts[blend.best]:.3f}."
    ]
    weight = _weight(blend, blend.primary)
    lines.append(
        f"{blend.primary}: scored. Its weight is {_range(weight)}; it makes {sizes[blend.primary] / whole:.0%} of what "
        "is paid."
    )
    lines += [
        _of_hint(blend, name, _weight(blend, name), effects[name], sizes[name] / whole)
        for name in blend.hints
    ]
    if "bias" in blend.columns:
        where = _where(blend.states, effects["bias"])
        lines.append(f"bias: {_range(effects['bias'])}, {sizes['bias'] / whole:.0%} of what is paid{where}.")
    return "\n".join(lines)


def verdict(effect: Floats, paid: Floats, share: float) -> str:
    """Return what became of a hint, in a word or two.

    Args:
        effect: What it pays after it was weighted, per state.
        paid: What it pays by itself.
        share: Its share of what is paid.

    Example:
        >>> verdict(np.array([1.0, 2.0]), np.array([1.0, 1.0]), 0.5)
        'trusted'
        >>> verdict(np.array([-1.0, -2.0]), np.array([1.0, 1.0]), 0.5)
        'turned against'
        >>> verdict(np.array([1.0, -1.0]), np.array([1.0, 1.0]), 0.01)
        'switched off'
        >>> verdict(np.array([9.0, -0.1, -0.1]), np.array([9.0, 1.0, 1.0]), 0.5)  # of three states in one
        'trusted where it counts, turned against elsewhere'
    """
    if not np.abs(paid).any():
        return "never paid anything where the learner goes"
    if share < OFF:
        return "switched off"
    along = np.abs(effect[effect * paid > 0]).sum() / max(np.abs(effect).sum(), 1e-30)
    often = float((effect * paid > 0)[paid != 0].mean())
    if along >= ONE_WAY:
        return "trusted" if often >= 0.5 else "trusted where it counts, turned against elsewhere"
    if along <= 1 - ONE_WAY:
        return "turned against" if often <= 0.5 else "turned against where it counts, trusted elsewhere"
    return "trusted in places, turned against in others"


def _of_hint(blend: LearnedBlend, name: str, weight: Floats, effect: Floats, share: float) -> str:
    said = verdict(effect, blend.paid[name], share)
    if not np.abs(blend.paid[name]).any():
        return f"{name}: {said}; its weight is {_range(weight)}."
    return (
        f"{name}: {said}. Its weight is {_range(weight)}{_where(blend.states, weight)}; "
        f"it makes {share:.0%} of what is paid."
    )


def _weight(blend: LearnedBlend, name: str) -> Floats:
    column = "primary" if name == blend.primary else name
    if column in blend.weights:
        return blend.weights[column]
    return np.full(len(blend.states), 0.0 if name == "bias" else 1.0)


def _range(weight: Floats) -> str:
    low, middle, high = np.quantile(weight, (0.05, 0.5, 0.95))
    if high - low < 1e-9:
        return f"{middle:.3g} everywhere"
    return f"{middle:.3g} in the median ({low:.3g} to {high:.3g})"


def _where(states: Floats, weight: Floats) -> str:
    """Return where a weight is greatest and least, by the median of the states at both ends."""
    if len(states) < 20 or np.ptp(weight) < 1e-9:
        return ""
    low, high = np.quantile(weight, (0.1, 0.9))

    def middle(chosen: npt.NDArray[np.bool_]) -> str:
        return ", ".join(f"{part:.2g}" for part in np.median(states[chosen], axis=0)[:6])

    return f", greatest about ({middle(weight >= high)}) and least about ({middle(weight <= low)})"


# -- a picture -----------------------------------------------------------------------------------------------


def draw(blend: LearnedBlend, place: Path) -> None:
    """Draw the weights over the states that the best learner met, a panel for each, into an SVG or PNG file.

    With two numbers of a state both are axes and the weight is the colour; otherwise the horizontal axis is the number
    that goes with the weight most.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names: Sequence[str] = blend.columns
    figure, rows = pyplot.subplots(
        1, len(names), figsize=(3.4 * len(names), 3), layout="constrained", squeeze=False
    )
    for axes, name in zip(rows[0], names, strict=True):
        weight, states = blend.weights[name], blend.states
        title = f"{blend.primary} (primary)" if name == "primary" else name
        if states.shape[1] == 2:
            most = max(float(np.abs(weight).max()), 1e-9)
            dots = axes.scatter(*states.T, c=weight, s=8, cmap="coolwarm", vmin=-most, vmax=most)
            figure.colorbar(dots, ax=axes)
            axes.set(xlabel="state[0]", ylabel="state[1]", title=f"weight of {title}")
        else:
            spread = states.std(0) > 0
            with np.errstate(invalid="ignore", divide="ignore"):
                along = [
                    abs(np.corrcoef(states[:, i], weight)[0, 1]) if ok else 0.0 for i, ok in enumerate(spread)
                ]
            part = int(np.nan_to_num(along).argmax())
            axes.scatter(states[:, part], weight, s=6, alpha=0.5)
            axes.axhline(0, color="0.5", linewidth=0.8)
            axes.set(xlabel=f"state[{part}]", ylabel="weight", title=f"weight of {title}")
    figure.savefig(place)
    pyplot.close(figure)
