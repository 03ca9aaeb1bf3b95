"""Does an ensemble keep a learnt reward from being optimised too far? Best-of-n and policy gradient against KL.

Members err in ways that are planted, or are really fitted to preferences. `steps` are the candidates of a cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.experiment import Arm, Figure
from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec.kinds.reward_model import Combine, Fitting, NominalWorst, RewardModel, Uwo
from rewardspec.learning.combining import combine
from rewardspec.learning.fitting import Pairs, fit, held_losses
from rewardspec.learning.models import Ensemble

TAGS = ("ensembles", "preferences")
STEPS = 65_536
SEEDS = 20
SMOKE_STEPS = 4096

BASELINE, CLAIM = "single", "UWO"

Floats = npt.NDArray[np.float64]

MEMBERS = 5
MOST = 4096
"""Greatest n of best-of-n."""

NS = tuple(2**i for i in range(13))
OPTIMISERS = ("best of n", "policy gradient")
PENALTY = {"best of n": Uwo(uwo=0.5, ddof=0), "policy gradient": Uwo(uwo=0.1, ddof=1)}
"""As Coste et al. have them; their code divides by 5 in one and by 4 in the other."""

WORST = 0.5
"""Weight of the worst member."""

FEATURES, PREFERENCES, SHARPNESS, TASTE = 8, 200, 3.0, 1.5
"""Of the fitted cases: see `labelled`."""

CURVATURE = {"best of n": 0.1, "policy gradient": 1.0}
"""See `gold_reward`. A gradient meets its peak, at a KL of 8; heavy tails go far beyond."""

STRIDE, UPDATES, BATCH, KEPT = 0.05, 200, 512, 5
"""Of the policy gradient: greatest change of the mean in an update, updates, samples of each, one in so many kept."""

PLANTED = {"independent errors": 0.0, "half-shared errors": 0.5, "shared errors": 1.0}
FITTED: dict[str, dict[str, Any]] = {
    "fitted, own pairs": {"own": True},
    "fitted, same pairs": {},
    "fitted, biased teacher": {"biased": True},
    "fitted, own pairs, 25 % wrong": {"own": True, "wrong": 0.25},
    "fitted, same pairs, 25 % wrong": {"wrong": 0.25},
    "fitted, same pairs, 25 % wrong, flips": {"wrong": 0.25, "flips": 0.25},
}
CASES = (*PLANTED, *FITTED)
SETTINGS: list[Setting] = [
    {"name": f"{optimiser}: {case}", "optimiser": optimiser, "case": case}
    for optimiser in OPTIMISERS
    for case in CASES
]

SEEN: dict[str, tuple[float, ...]] = {
    "single": (-0.08, 0.70, 0.78, 0.55, 0.24, 0.17, 0.13),
    "mean": (-0.08, 0.87, 1.20, 1.22, 0.90, 0.38, 0.13),
    "WCO": (-0.08, 0.79, 1.38, 1.95, 2.43, 2.83, 3.15),
}
"""Gold for n = 1, 4, 16, ..., 4096 with independent errors, of a prototype apart from ours; its UWO ends at 3.20."""


def ways(optimiser: str) -> dict[str, Combine]:
    """Return the combinations by name."""
    return {
        "mean": "mean",
        "median": "median",
        "WCO": "wco",
        "UWO": PENALTY[optimiser],
        "nominal-worst, each": NominalWorst(nominal_worst=WORST, worst_over="step"),
        "nominal-worst, over all": NominalWorst(nominal_worst=WORST, worst_over="batch"),
    }


# -- candidates ------------------------------------------------------------------------------------


def planted(number: int, shared: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return `[number]` gold rewards, normal, and `[M, number]` members: gold plus Student t of 2 degrees.

    Args:
        number: Candidates.
        shared: The part of the squared scale of an error that all members have in common: their correlation, where
            errors have a variance.
        rng: What draws.
    """
    gold = rng.normal(size=number)
    common, own = rng.standard_t(2, size=number), rng.standard_t(2, size=(MEMBERS, number))
    return gold, gold + math.sqrt(shared) * common + math.sqrt(1 - shared) * own


def draw(number: int, optimiser: str, rng: np.random.Generator) -> Floats:
    """Return `[number, D]` features: heavy-tailed (Student t of 3 degrees) for best-of-n, normal for the gradient."""
    shape = (number, FEATURES)
    return rng.standard_t(3, size=shape) if optimiser == "best of n" else rng.normal(size=shape)


def gold_reward(x: Floats, weights: Floats, curvature: float) -> Floats:
    """Return `[N]` rewards of `[N, D]` features: along a direction, less a share of their squares.

    Where models are fitted the square hardly counts; where optimising leads it does.
    """
    return x @ weights - curvature * (x**2).mean(1)


def direction(rng: np.random.Generator) -> Floats:
    """Return `[D]` numbers of norm 1."""
    weights = rng.normal(size=FEATURES)
    return weights / np.linalg.norm(weights)


@dataclass(frozen=True)
class Task:
    """What is optimised.

    Attributes:
        weights: `[D]` of the gold reward.
        members: Takes `[N, D]` features and returns `[M, N]` rewards.
        nominal: The nominal member.
    """

    weights: Floats
    members: Callable[[Floats], Floats]
    nominal: int = 0


def planted_task(shared: float, rng: np.random.Generator) -> Task:
    """Return members whose errors are cubes along directions of their own, in part shared: small near the start."""
    weights, common = direction(rng), direction(rng)
    own = np.stack([direction(rng) for _ in range(MEMBERS)])
    errs = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
    curvature = CURVATURE["policy gradient"]
    return Task(weights, lambda x: gold_reward(x, weights, curvature) + 0.1 * (errs @ x.T) ** 3)


def labelled(weights: Floats, optimiser: str, rng: np.random.Generator, wrong: float, biased: bool) -> Pairs:
    """Return preferences: logistic in `SHARPNESS` times the gold reward's difference, a share of them wrong.

    A biased teacher likes the first feature `TASTE` times more than is right.
    """
    a, b = (draw(PREFERENCES, optimiser, rng) for _ in range(2))
    gold = [gold_reward(x, weights, CURVATURE[optimiser]) for x in (a, b)]
    liked = gold[0] - gold[1] + biased * TASTE * (a - b)[:, 0]
    label = rng.random(PREFERENCES) < 1 / (1 + np.exp(-SHARPNESS * liked))
    label ^= rng.random(PREFERENCES) < wrong
    return Pairs(a[:, None].astype(np.float32), b[:, None].astype(np.float32), label.astype(np.float32))


def fitted_task(
    optimiser: str,
    rng: np.random.Generator,
    *,
    own: bool = False,
    wrong: float = 0.0,
    biased: bool = False,
    flips: float = 0.0,
) -> Task:
    """Return reward models that are fitted to preferences.

    Args:
        optimiser: What decides how features are drawn.
        rng: What draws.
        own: Whether each member has pairs of its own; otherwise only weights and order differ.
        wrong: Share of labels that are wrong.
        biased: Whether the teacher is.
        flips: Share of labels that are turned over in a second fit, 0 for no second fit.
    """
    weights = direction(rng)
    base = draw(4000, optimiser, rng).astype(np.float32)
    form = RewardModel(hidden=(32, 32), ensemble=1 if own else MEMBERS)
    models, losses = [], []
    for _ in range(MEMBERS if own else 1):
        model = Ensemble(form, FEATURES, seed=int(rng.integers(2**31)))
        model.see(base)
        pairs = labelled(weights, optimiser, rng, wrong, biased)
        for share in (0.0, flips) if flips else (0.0,):
            options = Fitting(learning_rate=3e-3, epochs=40, flip_doubtful=share)
            fit(model, pairs, options, rng)
            model.settle(base, held_losses(model, pairs, options.held_out))
        models.append(model)
        losses.append(held_losses(model, pairs, options.held_out))

    def members(x: Floats) -> Floats:
        return np.concatenate([model.members(x) for model in models]).astype(np.float64)

    return Task(weights, members, int(np.concatenate(losses).argmin()))


# -- optimisers ------------------------------------------------------------------------------------


def kl_of_best(n: int) -> float:
    """Return the divergence of the best of n candidates from one candidate, in nats: log n - (n - 1) / n.

    Example:
        >>> round(kl_of_best(16), 4)
        1.8351
    """
    return math.log(n) - (n - 1) / n


def rank_weights(number: int, n: int) -> Floats:
    """Return the chance of each rank, least first, to be the best of n drawn from `number` without replacement.

    Example:
        >>> rank_weights(3, 2).round(3).tolist()
        [0.0, 0.333, 0.667]
    """
    below = np.arange(number - 1, 0, -1)
    falling = np.cumprod(np.concatenate([[n / number], np.maximum(below - n + 1, 0) / below]))
    return falling[::-1]


def best_of(scores: Floats, gold: Floats) -> Row:
    """Return the expected score and gold of the best of n, exactly over the candidates, for every n."""
    order = scores.argsort()
    curve: Row = {"kl": [], "proxy": [], "gold": []}
    for n in NS:
        weights = rank_weights(len(scores), n)
        curve["kl"].append(round(kl_of_best(n), 4))
        curve["proxy"].append(round(float(weights @ scores[order]), 4))
        curve["gold"].append(round(float(weights @ gold[order]), 4))
    return curve


def policy_gradient(task: Task, by: str, rng: np.random.Generator) -> Row:
    """Move the mean of a normal policy along the score-function gradient of a reward; KL is half the mean's square.

    The gold reward is told exactly: a square's expectation is known.
    """
    curvature, how = CURVATURE["policy gradient"], ways("policy gradient").get(by)
    mean = np.zeros(FEATURES)
    curve: Row = {"kl": [], "proxy": [], "gold": []}
    for update in range(UPDATES + 1):
        noise = rng.normal(size=(BATCH, FEATURES))
        x = mean + noise
        if by == "gold":
            pays = gold_reward(x, task.weights, curvature)
        else:
            members = task.members(x)
            worst = int(members.mean(1).argmin()) if by.endswith("over all") else None
            pays = members[0] if how is None else combine(members, how, task.nominal, worst)
        if update % KEPT == 0:
            curve["kl"].append(round(float(mean @ mean / 2), 4))
            curve["proxy"].append(round(float(pays.mean()), 4))
            expected = mean @ task.weights - curvature * (mean @ mean + FEATURES) / FEATURES
            curve["gold"].append(round(float(expected), 4))
        gradient = (pays - pays.mean()) @ noise / BATCH
        mean += STRIDE * gradient / max(float(np.linalg.norm(gradient)), 1.0)
    return curve


def run(setting: Setting, seed: int) -> list[Row]:
    """Return a curve for each combination, for one member, and for the gold reward itself."""
    optimiser, case, rng = setting["optimiser"], setting["case"], np.random.default_rng(seed)
    combinations = ways(optimiser)
    if optimiser == "policy gradient":
        task = (
            planted_task(PLANTED[case], rng)
            if case in PLANTED
            else fitted_task(optimiser, rng, **FITTED[case])
        )
        return [
            {"by": by, **policy_gradient(task, by, np.random.default_rng((seed, 1)))}
            for by in ("gold", "single", *combinations)
        ]
    if case in PLANTED:
        (gold, members), nominal = planted(setting["steps"], PLANTED[case], rng), 0
    else:
        task = fitted_task(optimiser, rng, **FITTED[case])
        x = draw(setting["steps"], optimiser, rng)
        gold, members = gold_reward(x, task.weights, CURVATURE[optimiser]), task.members(x)
        nominal = task.nominal
    rows = [{"by": "gold", **best_of(gold, gold)}, {"by": "single", **best_of(members[0], gold)}]
    for by, how in combinations.items():
        worst = int(members.mean(1).argmin()) if by.endswith("over all") else None
        rows.append({"by": by, **best_of(combine(members, how, nominal, worst), gold)})
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return UWO's gold at the end as a share of what choosing by gold itself would reach; 0 when it is worse."""
    ends = {row["by"]: row["gold"][-1] for row in rows}
    return min(max(ends["UWO"] / ends["gold"], 0.0), 1.0) if ends else 0.0


def arms(cell: Cell) -> list[Arm]:
    """Return each combination's gold at the end, as a share of what choosing by gold itself would reach."""
    ends = {row["by"]: row["gold"][-1] for row in cell.rows}
    gold = ends.pop("gold")
    return [Arm(cell.name, by, min(max(end / gold, 0.0), 1.0)) for by, end in ends.items()]


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Return what a prototype apart from ours saw with independent errors beside ours, at the greatest n."""
    told = []
    mine = [cell for cell in cells if cell.name == "best of n: independent errors"]
    for by, theirs in SEEN.items():
        ends = [next(row["gold"][-1] for row in cell.rows if row["by"] == by) for cell in mine]
        told.append(
            Figure(
                f"best of 4096, independent errors, {by}: gold",
                "a prototype apart from ours",
                "independent",
                theirs[-1],
                round(float(np.median(ends)), 2) if ends else None,
                abs(float(np.median(ends)) - theirs[-1]) <= 0.2 if ends else None,
                "",
                "holds within 0.2",
            )
        )
    return told


# -- page ------------------------------------------------------------------------------------------


def law(kl: Sequence[float], gold: Sequence[float], optimiser: str) -> tuple[float, float, float]:
    """Fit the law of Gao et al. to a curve; return alpha, beta and the share of variance it explains.

    With d the root of KL, gold less its start is d (alpha - beta d) for best-of-n, d (alpha - beta log d) otherwise.
    """
    d = np.sqrt(np.array(kl[1:]))
    gained = np.array(gold[1:]) - gold[0]
    bends = d**2 if optimiser == "best of n" else d * np.log(d)
    columns = np.stack([d, -bends], 1)
    (alpha, beta), *_ = np.linalg.lstsq(columns, gained, rcond=None)
    left = gained - columns @ (alpha, beta)
    return float(alpha), float(beta), float(1 - (left**2).sum() / ((gained - gained.mean()) ** 2).sum())


def gathered(cells: Sequence[Cell], optimiser: str, case: str, by: str) -> tuple[Floats, Floats, Floats]:
    """Return `[n]` KL, its mean over the seeds, and `[seeds, n]` proxy and gold; of no length without cells."""
    mine = [c for c in cells if c.setting["optimiser"] == optimiser and c.setting["case"] == case]
    rows = [row for cell in mine for row in cell.rows if row["by"] == by]
    kl, proxy, gold = (np.array([row[what] for row in rows]) for what in ("kl", "proxy", "gold"))
    return kl.mean(0) if len(rows) else kl, proxy, gold


def interval(values: Floats) -> float:
    """Return two standard errors of the mean of `[seeds]` values."""
    return float(2 * values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


SAME = 1e-3
"""Differences of gold up to this are none."""

SHOWN = ("single", *ways("best of n"), "gold")


def _table(cells: Sequence[Cell], optimiser: str) -> list[str]:
    lines = [f"| members | {' | '.join(SHOWN)} |", f"| --- |{' ---: |' * len(SHOWN)}"]
    for case in CASES:
        row = []
        for by in SHOWN:
            _, _, gold = gathered(cells, optimiser, case, by)
            if not gold.size:
                row.append("")
                continue
            low, middle, high = np.quantile(gold[:, -1], (0.25, 0.5, 0.75))
            row.append(f"{middle:.2f} [{low:.2f}, {high:.2f}]; {np.median(gold, 0).max():.2f}")
        lines.append(f"| {case} | {' | '.join(row)} |")
    return lines


def _against_seen(cells: Sequence[Cell]) -> list[str]:
    lines = [
        "| | " + " | ".join(f"n = {n:,}" for n in NS[::2]) + " |",
        f"| --- |{' ---: |' * len(NS[::2])}",
    ]
    for by in ("single", "mean", "WCO", "UWO"):
        _, _, gold = gathered(cells, "best of n", "independent errors", by)
        if gold.size:
            ours = [f"{column.mean():.2f} ± {interval(column):.2f}" for column in gold.T[::2]]
            lines.append(f"| {by} | {' | '.join(ours)} |")
        seen = [f"{value:.2f}" for value in SEEN.get(by, ())] or [""] * 6 + ["3.20"]
        lines.append(f"| {by}, there | {' | '.join(seen)} |")
    return lines


def _laws(cells: Sequence[Cell]) -> list[str]:
    lines = ["| | by | alpha | beta | explained |", "| --- | --- | ---: | ---: | ---: |"]
    for optimiser in OPTIMISERS:
        for case in ("shared errors", "fitted, same pairs", "fitted, same pairs, 25 % wrong"):
            for by in ("single", "mean", "UWO"):
                kl, _, gold = gathered(cells, optimiser, case, by)
                if len(kl) > 3:
                    alpha, beta, share = law(kl.tolist(), np.median(gold, 0).tolist(), optimiser)
                    lines.append(f"| {optimiser}: {case} | {by} | {alpha:.2f} | {beta:.2f} | {share:.2f} |")
    return lines


PANELS = ("independent errors", "shared errors", "fitted, same pairs", "fitted, same pairs, 25 % wrong")


def picture(place: Path, cells: Sequence[Cell]) -> None:
    """Draw gold against KL, median and quartiles over seeds; dotted, the proxy that a single member sees."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rewardspec"  # the same figures make the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 4, figsize=(13, 6), layout="constrained", sharex="row")
    for line, optimiser in zip(axes, OPTIMISERS, strict=True):
        for panel, case in zip(line, PANELS, strict=True):
            best = 1.0
            for colour, by in enumerate(("single", "mean", "WCO", "UWO", "nominal-worst, each", "gold")):
                kl, proxy, gold = gathered(cells, optimiser, case, by)
                if not gold.size:
                    continue
                low, middle, high = np.quantile(gold, (0.25, 0.5, 0.75), axis=0)
                style = {"color": "0.6" if by == "gold" else f"C{colour}"}
                panel.plot(kl, middle, label=by, **style)
                panel.fill_between(kl, low, high, alpha=0.2, linewidth=0, **style)
                if by == "single":
                    panel.plot(kl, np.median(proxy, 0), linestyle=":", label="single, proxy", **style)
                best = max(best, float(middle.max()))
            panel.set(title=f"{optimiser}: {case}", ylim=(-best, 1.1 * best))
            panel.title.set_fontsize(9)
            panel.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel("gold reward")
    for panel in axes[1]:
        panel.set_xlabel("KL from the start, nats")
    axes[0][0].legend(frameon=False, fontsize=8)
    place.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(place, metadata={"Date": None})
    pyplot.close(figure)


def surely(wins: int, losses: int) -> bool:
    """Return whether a sign test of wins against losses is below 0.05 on both sides together.

    Example:
        >>> surely(15, 5), surely(14, 6)
        (True, False)
    """
    number = wins + losses
    tail = sum(math.comb(number, i) for i in range(min(wins, losses) + 1)) / 2**number
    return 2 * tail < 0.05


def _better(cells: Sequence[Cell]) -> list[str]:
    """Return per case which combinations end above a single member, by how many seeds."""
    lines = [
        "| | above a single member at the end | below it | no telling |",
        "| --- | --- | --- | --- |",
    ]
    for optimiser in OPTIMISERS:
        for case in CASES:
            told: Mapping[int, list[str]] = {1: [], -1: [], 0: []}
            _, _, single = gathered(cells, optimiser, case, "single")
            for by in ways(optimiser):
                _, _, gold = gathered(cells, optimiser, case, by)
                if not gold.size or len(single) != len(gold):
                    continue
                gap = gold[:, -1] - single[:, -1]
                wins, losses = int((gap > SAME).sum()), int((gap < -SAME).sum())
                sign = int(np.sign(wins - losses)) * surely(wins, losses)
                told[sign].append(f"{by} {wins}:{losses}")
            lines.append(f"| {optimiser}: {case} | {' | '.join(', '.join(told[i]) for i in (1, -1, 0))} |")
    return lines


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    cells = sorted(cells, key=lambda cell: cell.seed)
    name = "overoptimisation.svg"
    picture(folder / name, cells)
    lines = [
        "# Ensembles against overoptimisation",
        "",
        "<!-- Made by `python -m benchmarks report overoptimisation` -->",
        "",
        f"A reward learnt from preferences is right where it was learnt and wrong elsewhere; what is optimised goes"
        f" elsewhere. {MEMBERS} members, combined in the ways of a spec's `combine`, are optimised by best-of-n and by"
        f" policy gradient; the gold reward tells what that came to. KL of best-of-n is log n - (n - 1) / n, to n ="
        f" {MOST:,}, with expectations exact over {STEPS:,} candidates. The policy is a normal one with a mean that"
        f" {UPDATES} updates of at most {STRIDE} move, by the"
        f" score-function gradient of {BATCH} samples each; KL is half"
        " the mean's square. After Coste et al., *Reward Model"
        " Ensembles Help Mitigate Overoptimization* (ICLR 2024); UWO"
        " with their factors, 0.5 for best-of-n and 0.1 for the"
        " gradient; nominal-worst (*Reward-Robust RLHF*) with weight"
        f" {WORST}, the worst member of each candidate, or the one whose mean is least over all candidates, over the"
        " batch of an update in the gradient. *Single* is the first member; *gold* optimises the gold reward itself.",
        "",
        "The toy's constants (curvature, tails, number of pairs) were chosen after a small trial, so that"
        " overoptimisation shows; a first policy gradient, over a table of candidates, collapsed and was replaced.",
        "",
        "- *Errors* are added to gold: for best-of-n, heavy-tailed"
        " ones (Student t of 2 degrees) to a normal gold reward;"
        " for the gradient, cubes along a direction. Each member has its own, or all have the same.",
        f"- *Fitted*: Bradley-Terry networks of our `fit`, {PREFERENCES} preferences between candidates of {FEATURES}"
        " features, heavy-tailed for best-of-n; each member on pairs of its own, or all on the same. Gold goes along a"
        " direction, less a share of the squares. A *biased teacher* likes one feature too much, and all"
        " members learn it. *25 % wrong* labels; *flips*: a second"
        " fit turns over at most a quarter of the labels, those"
        " that the ensemble contradicts most.",
        "",
        f"![Gold against KL]({name})",
        "",
    ]
    for optimiser in OPTIMISERS:
        lines += [
            f"## {optimiser.capitalize()}: gold at the end",
            "",
            "Median [quartiles] over the seeds; greatest median on the way.",
            "",
            *_table(cells, optimiser),
            "",
        ]
    lines += [
        "## Where it helps, and where it does not",
        "",
        "Wins and losses, seed by seed, against the single member; told by a sign test at 0.05. Where errors are"
        " shared wholly, members say the same, and no combination can help. Most of what a biased teacher teaches is"
        " such an error: in the median every combination ends below where it began. Flips make labels better and"
        " members alike: they help a single member and the mean under the gradient, and in best-of-n they take away"
        " the disagreement that UWO looks at.",
        "",
        *_better(cells),
        "",
        "## Against an independent prototype",
        "",
        "Best-of-n with independent errors, mean ± two standard errors; *there*: one run or few, measured for this"
        " project, not from this repository.",
        "",
        *_against_seen(cells),
        "",
        "## The law",
        "",
        "Gao et al. write gold as d (alpha - beta d) for best-of-n and d (alpha - beta log d) for policy gradients, d"
        " the root of KL. Fitted to the medians; *explained* is the share of variance.",
        "",
        *_laws(cells),
        "",
        provenance(cells),
    ]
    return "\n".join(lines) + "\n"
