"""Is a search's feedback worth anything? Proposals with it, without it, with it swapped, and with a careless judge.

Two tasks whose training is exact or nearly free, so that what is compared is the search and not the luck of training:

- `weights`: five weights with a hidden optimum. The score falls with the distance of the logarithms from it.
- `cliff`: gymnasium's CliffWalking, slippery, solved exactly. What is wanted is a hidden mixture of getting there soon
  and staying away from the cliff; a candidate is scored by the wanted return of the policies that are optimal under it.

The proposer is the mutation operator: no language model is asked. `steps` are the trainings of a search.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiment import Figure
from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec import Spec, loads
from rewardspec.search.candidate import Track, Trained
from rewardspec.search.feedback import Feedback
from rewardspec.search.folder import SearchFolder
from rewardspec.search.judges import ByScore, Careless, Judge, Swapped
from rewardspec.search.loop import Plan, Search, final_scores
from rewardspec.search.mutation import Mutation, Mutator, weights
from rewardspec.search.state import State
from rewardspec.search.trainer import Job, Look, Outcome

TAGS = ("search", "exact")
STEPS = 30
SEEDS = 40
SMOKE_STEPS = 6
CANDIDATES = 6

TASK, METHOD = ("task",), ("arm",)
BASELINE, CLAIM = "open loop", "feedback"
CURVE = ("trainings", "best score of the generation")

ARMS = ("feedback", "open loop", "swapped", "20 % at random", "without the worst")
SETTINGS: list[Setting] = [
    {"name": f"{task}: {arm}", "task": task, "arm": arm} for task in ("weights", "cliff") for arm in ARMS
]

NAMES = "abcde"
WEIGHTS_BASE = "name: five weights\nenv: none\nreward:\n" + "".join(
    f"  - {{markov: 'obs[{i}]', name: {name}, weight: 1}}\n" for i, name in enumerate(NAMES)
)
ONLY_WEIGHTS = Mutation(threshold=0.0, drop=0.0, add=0.0)


class WeightsTrainer:
    """Stands in for training: five weights, and a score that falls with their distance from a hidden optimum.

    Attributes:
        hidden: By term, the logarithm of the best weight.
        trained: Candidates that were trained, in order.
    """

    def __init__(self, seed: int) -> None:
        """Draw the optimum."""
        drawn = np.random.default_rng((20241017, seed)).normal(0.0, 1.0, len(NAMES))
        self.hidden = dict(zip(NAMES, drawn.tolist(), strict=True))
        self.trained: list[str] = []

    def score(self, spec: Spec) -> float:
        """Return exp(-d), d the root mean square distance of the weights' logarithms; a lost term counts as 1e-3."""
        found = weights(spec)
        gaps = [math.log(max(found.get(name, 0.0), 1e-3)) - best for name, best in self.hidden.items()]
        return math.exp(-math.sqrt(sum(gap * gap for gap in gaps) / len(gaps)))

    def train(self, jobs: Sequence[Job], look: Look) -> Iterator[Outcome]:
        """Yield scores, with tracks that rise in proportion to the weights."""
        for job in jobs:
            self.trained.append(job.id)
            trace = {n: Track.of([w * k / 9 for k in range(10)]) for n, w in weights(job.spec).items()}
            yield Outcome(job.id, measured(self.score(job.spec), trace))


def measured(score: float, trace: Mapping[str, Track]) -> Trained:
    """Return a training that came to a score."""
    return Trained({"return": score}, {"return": score}, dict(trace), Track.of([1.0]))


CLIFF_BASE = """\
name: along the cliff
env: {id: CliffWalking-v1, kwargs: {is_slippery: true}}
signals:
  row: floor(next_obs / 12)
  column: next_obs - 12 * floor(next_obs / 12)
propositions: {fell: reward < -50, edge: row == 2, there: terminated}
reward:
  - {markov: -1, name: time}
  - {markov: 'where(fell, -1, 0)', name: fall, weight: 0.1}
  - {markov: column / 11, name: along, weight: 2}
"""
CLIFF_WANTED = """\
name: wanted
propositions: {{fell: reward < -50, edge: floor(next_obs / 12) == 2}}
reward: -1 - where(fell, {fall:.6g}, 0) - where(edge, {edge:.6g}, 0)
"""
DISCOUNT = 0.99


@cache
def cliff() -> Any:
    """Return the world as a table."""
    import gymnasium

    from rewardspec.tabular.world import tabulate

    return tabulate(gymnasium.make("CliffWalking-v1", is_slippery=True))


class CliffTrainer:
    """Solves the world under a candidate exactly, and scores the policies that are optimal under it.

    The price of a fall and of a step at the edge are drawn: what is wanted is not what the candidates begin with.

    Attributes:
        fall: What a fall costs, in steps.
        edge: What a step at the edge costs besides.
    """

    def __init__(self, seed: int) -> None:
        """Draw what is wanted."""
        from rewardspec.tabular.solve import evaluate, solve, uniform

        rng = np.random.default_rng((20241018, seed))
        self.fall, self.edge = float(10 ** rng.uniform(0.5, 2.0)), float(rng.uniform(0.0, 1.0))
        wanted = CLIFF_WANTED.format(fall=self.fall, edge=self.edge)
        self._wanted = self._product(loads(wanted))
        anyhow = uniform(np.ones_like(solve(self._wanted, DISCOUNT).optimal))
        self._best = solve(self._wanted, DISCOUNT).value
        self._random = self._from_start(evaluate(self._wanted, anyhow, DISCOUNT))

    def _product(self, spec: Spec) -> Any:
        from rewardspec import compile_spec
        from rewardspec.tabular.product import take_product

        return take_product(compile_spec(spec), cliff())

    def _from_start(self, values: Any) -> float:
        return float(cliff().start @ values[0])

    def score(self, spec: Spec) -> float:
        """Return what is wanted of the optimal policies, 0 for acting at random and 1 for the best; not below 0."""
        from rewardspec.tabular.solve import evaluate, solve

        optimal = solve(self._product(spec), DISCOUNT).optimal
        wanted = self._from_start(evaluate(self._wanted, optimal, DISCOUNT))
        return max(0.0, (wanted - self._random) / (self._best - self._random))

    def train(self, jobs: Sequence[Job], look: Look) -> Iterator[Outcome]:
        """Yield scores; the tracks are the weights, since nothing is learned little by little."""
        for job in jobs:
            trace = {n: Track.of([w]) for n, w in weights(job.spec).items()}
            yield Outcome(job.id, measured(self.score(job.spec), trace))


# -- a cell --------------------------------------------------------------------------------------------


def base_of(task: str) -> str:
    """Return the text of the spec that a task's searches begin with."""
    return WEIGHTS_BASE if task == "weights" else CLIFF_BASE


def specs(setting: Setting) -> list[Spec]:
    """Return the spec that a search begins with."""
    return [loads(base_of(setting["task"]))]


def search(setting: Setting, seed: int, folder: Path) -> State:
    """Make one search in a folder."""
    task, arm = setting["task"], setting["arm"]
    text = base_of(task)
    feedback = Feedback(is_open=arm == "open loop", bad=arm != "without the worst")
    plan = Plan(max(1, setting["steps"] // CANDIDATES), CANDIDATES, finals=1, seed=seed, feedback=feedback)
    judge: Judge = ByScore("return")
    if arm == "swapped":
        judge = Swapped(judge)
    if arm == "20 % at random":
        judge = Careless(judge, 0.2, seed)
    trainer = WeightsTrainer(seed) if task == "weights" else CliffTrainer(seed)
    mutator = Mutator(ONLY_WEIGHTS if task == "weights" else None)
    place = SearchFolder(folder)
    place.create(text, {"proposer": mutator.name, "date": ""})
    return Search(place, loads(text), plan, mutator, trainer, judge).run()


def run(setting: Setting, seed: int) -> list[Row]:
    """Make a search; return a row for each generation, and what came out in the last one."""
    with tempfile.TemporaryDirectory() as folder:
        state = search(setting, seed, Path(folder) / "search")
    judge, rows = ByScore("return"), []
    for generation, choice in sorted(state.choices.items()):
        scores = [score for c in state.trained(generation) if (score := judge.score(c)) is not None]
        rows.append(
            {
                "steps": generation * CANDIDATES,
                "best": round(max(scores), 5),
                "mean": round(float(np.mean(scores)), 5),
                "comparisons": choice.comparisons,
            }
        )
    rows[-1]["final"] = round(max(final_scores(state, "return")), 5)
    rows[-1]["refused"] = len(state.refusals)
    return rows


def score(rows: Sequence[Row]) -> float:
    """Return the score of the spec that came out: 1 is the hidden optimum."""
    return float(rows[-1]["final"]) if rows else 0.0


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the best score of each generation."""
    return [(row["steps"], row["best"]) for row in rows]


# -- page ----------------------------------------------------------------------------------------------


def finals(cells: Sequence[Cell], task: str, arm: str) -> dict[int, float]:
    """Return by seed what came out."""
    mine = [c for c in cells if c.setting["task"] == task and c.setting["arm"] == arm]
    return {cell.seed: score(cell.rows) for cell in mine if cell.rows}


def paired(cells: Sequence[Cell], task: str, one: str, two: str) -> tuple[int, int, int]:
    """Return in how many seeds the first arm ended above the second, at it, and below it."""
    first, second = finals(cells, task, one), finals(cells, task, two)
    gaps = [first[seed] - second[seed] for seed in first if seed in second]
    return sum(g > 0 for g in gaps), sum(g == 0 for g in gaps), sum(g < 0 for g in gaps)


def rising(cells: Sequence[Cell], task: str, arm: str) -> tuple[int, int]:
    """Return in how many seeds the best score never fell from one generation to the next, and of how many."""
    mine = [c for c in cells if c.setting["task"] == task and c.setting["arm"] == arm and c.rows]
    best = [[row["best"] for row in cell.rows] for cell in mine]
    return sum(curve == sorted(curve) for curve in best), len(best)


def _share(part: int, of: int) -> str:
    return f"{part}/{of}"


TARGETS = (
    (
        "1. The prompt of a generation holds the best and the worst of the one before, differences and traces; three "
        "messages; the same bytes from records",
        "tests/search/test_asking.py",
    ),
    (
        "2. 49 queries for K = 6, N = 5, by 2N(K - 1) - 1",
        "held; what is really asked is never more (20 pairs of K and N in tests/search/test_search.py)",
    ),
    (
        "6. Where half of the trainings crash as many are judged; a search that cannot go on says why",
        "tests/search/test_search.py",
    ),
)


def measured_targets(cells: Sequence[Cell]) -> list[Figure]:
    """Return the targets of a rebuild that are measured here, on five weights."""
    rose, of = rising(cells, "weights", "feedback")
    above, *_ = paired(cells, "weights", "feedback", "open loop")
    lower = paired(cells, "weights", "swapped", "feedback")[2]
    careless, untold = (
        list(finals(cells, "weights", arm).values()) for arm in ("20 % at random", "open loop")
    )
    n = len(finals(cells, "weights", "open loop"))
    gap = round(float(np.mean(careless) - np.mean(untold)), 3) if careless and untold else None
    rows: list[tuple[str, str, str | float | None, bool | None]] = [
        (
            "3. five weights: searches whose best score never fell",
            ">= 9/10",
            _share(rose, of) if of else None,
            rose >= 0.9 * of if of else None,
        ),
        (
            "3. five weights: searches with feedback above the best of 30 without",
            ">= 8/10",
            _share(above, n) if n else None,
            above >= 0.8 * n if n else None,
        ),
        (
            "4. five weights: searches that swapped preferences lower",
            "most",
            _share(lower, n) if n else None,
            lower >= 0.9 * n if n else None,
        ),
        (
            "5. five weights: a judge who is careless in 20 % of generations, less the open loop",
            ">= 0",
            gap,
            gap >= 0 if gap is not None else None,
        ),
    ]
    return [Figure(what, "our target", "derived", theirs, ours, holds) for what, theirs, ours, holds in rows]


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Return the targets beside what was measured."""
    return measured_targets(cells)


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page."""
    lines = [
        "# Searching for a reward: is the feedback worth anything?",
        "",
        "<!-- Made by `python -m benchmarks report search` -->",
        "",
        "The loop of ICPL (Yu et al., arXiv 2410.17233) over specs, with the mutation operator in the place of a"
        f" language model, {CANDIDATES} candidates in each of 5 generations, and training that is exact or nearly free:"
        " what is compared is the search. No language model and no person took part, so nothing here is a result of"
        " the paper's. Equal seeds have equal tasks and equal first draws.",
        "",
        "- **weights**: five weights, a hidden optimum; the score is exp(-d), d the root mean square distance of the"
        " logarithms.",
        "- **cliff**: CliffWalking, slippery, solved exactly under each candidate; the score is the wanted return of"
        " the optimal policies, 0 for acting at random, 1 for the best. Terms come and go, thresholds move.",
        "",
        "| task | arm | seeds | final, mean ± sd | median | above the open loop : as good : below | never fell |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for setting in SETTINGS:
        task, arm = setting["task"], setting["arm"]
        found = np.array(list(finals(cells, task, arm).values()))
        if not found.size:
            continue
        against = " : ".join(map(str, paired(cells, task, arm, BASELINE))) if arm != BASELINE else ""
        rose = _share(*rising(cells, task, arm))
        spread = found.std(ddof=1) if found.size > 1 else 0.0
        lines.append(
            f"| {task} | {arm} | {found.size} | {found.mean():.3f} ± {spread:.3f} | {np.median(found):.3f} | {against}"
            f" | {rose} |"
        )
    lines += [
        "",
        "*swapped* tells the worst for the best; the choice at the end is right. *20 % at random* draws best and worst"
        " in a fifth of the generations. *without the worst* leaves the worst spec out of the feedback. *never fell*:"
        " searches whose best score of a generation was never below that of the one before.",
        "",
        "## Targets",
        "",
        "| target | asked | measured | held |",
        "| --- | --- | --- | --- |",
    ]
    for figure in measured_targets(cells):
        held = "" if figure.holds is None else "yes" if figure.holds else "**no**"
        ours = "not measured" if figure.ours is None else figure.ours
        lines.append(f"| {figure.what} | {figure.theirs} | {ours} | {held} |")
    lines += [f"| {what} | | {where} | by test |" for what, where in TARGETS]
    lines += ["", provenance(cells)]
    return "\n".join(lines) + "\n"
