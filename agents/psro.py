"""PSRO: a population that grows by best responses to itself, for games too large for a payoff table.

    python -m agents.psro --game stag_hunt --set size=3 --oracle exact --meta rae --gamma 0.1 --temperature 1
    python -m agents.psro --game overtaking --meta rae --gamma 0.2
    python -m agents.psro --game examples/games/chicken.yaml --set rounds=3 --oracle exact
    python -m agents.psro --spec team.yaml                      # any PettingZoo environment, paid by the spec
    python -m agents.psro --resume runs/psro-overtaking-rae-0

An iteration: (1) every pair of policies that has not met plays, all of them side by side; means and variances of what
they earned are the empirical game. (2) A meta-solver gives each player a mixture of its policies. (3) Each player
learns a best response to the others' mixture, and it joins the population. With a gamma both (2) and (3) dislike the
risk *between* opponents: how the expected return differs by whom the other turns out to be, own mixing and chance
averaged out.

| `--meta` | mixture |
| --- | --- |
| `rae` | risk-averse equilibrium of the empirical game, with entropy (`--temperature`): everybody keeps some weight |
| `nash` | a Nash equilibrium; of several the one that pays most in sum, symmetric ones first |
| `alpha_rank` | shares of the long run of an evolution (OpenSpiel; `pip install 'rewardspec[alpha-rank]'`) |
| `uniform` | all policies alike (fictitious play) |
| `last` | the newest policy alone (self-play) |

| `--oracle` | best response | for |
| --- | --- | --- |
| `exact` | dynamic programming over histories (`agents/history_tree.py`) | small games of two without chance |
| `ppo` | PPO with advantages weighted by opponent (`agents/population_nets.py`) | games with a batch form |

The gain of a best response over the mixture that it answers is the exploitability, exactly with `exact`; with `ppo` it
is the gain of what was learned, a lower bound.

Source:
    Lanctot et al., "A Unified Game-Theoretic Approach to Multiagent Reinforcement Learning" (NeurIPS 2017) for PSRO;
    Slumbers et al. (arXiv 2205.15434) extend it by risk aversion. How their oracle estimates the risk is not known to
    us: ours is the gradient of the expected return less gamma times the risk between opponents.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from agents.command import placed, read_arguments, run
from agents.kept_game import refuse_other_game
from agents.population import Cell, Floats, Policy, Population
from agents.population_nets import Learning, Make, Nets, learn, simulate
from agents.recording import refuse_other_settings
from rewardspec import Spec
from rewardspec.analysis.optimisers import check_objective
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.games.alpha_rank import alpha_rank
from rewardspec.games.game import Game, Profile, Solving
from rewardspec.games.nash import find_nash, logit_limit
from rewardspec.games.risk import MEASURES, Measure, Risk, measure_risk
from rewardspec.games.solve import Solution, describe, refuse_gamma, solve
from rewardspec.games.text import is_game_file
from rewardspec.spec.agents import RiskSpec
from rewardspec.training import unchanged
from rewardspec.training.folder import RunFolder
from rewardspec.training.versions import versions

Meta = Literal["rae", "nash", "alpha_rank", "uniform", "last"]


@dataclass
class Args:
    """Grow a population of policies by best responses to itself."""

    game: str = "overtaking"
    """stag_hunt, overtaking, or a game file (.yaml)."""
    spec: Path | None = None
    """Spec with `agents:`, in place of a game: its environment, its rewards and its `risk:`."""
    env: str | None = None
    """With a spec: PettingZoo environment, as in mpe2/simple_spread_v3 or package.module; the spec's own without."""
    horizon: int = 100
    """Steps after which an episode of a spec's environment is truncated."""
    set: tuple[str, ...] = ()
    """What the game is made with, as size=3."""
    oracle: Literal["exact", "ppo"] = "ppo"
    meta: Meta = "rae"
    gamma: float = 0.0
    """Dislike of risk between opponents."""
    measure: Measure = "variance"
    level: float = 0.25
    """For the measure cvar."""
    target: float | None = None
    """For the measure lower_partial_moment."""
    temperature: float = 0.1
    """Weight of the entropy in the meta-solver `rae`."""
    iterations: int = 6
    initial: int = 1
    """Random policies to begin with, of each player."""
    episodes: int = 64
    """Of each cell of the empirical game."""
    updates: int = 40
    """Rollouts of PPO for one best response."""
    lanes: int = 256
    """Episodes of a rollout."""
    learning_rate: float = 3e-3
    entropy: float = 0.01
    hidden: tuple[int, ...] = (32, 32)
    seed: int = 0
    folder: Path | None = None
    """Run folder; runs/psro-<game>-<meta>-<seed> without."""
    resume: Path | None = None
    """Run folder of a run to go on with."""
    quiet: bool = False


# -- what an oracle is -----------------------------------------------------------------------------------------


class Engine(Protocol):
    """Plays and answers for one sort of policies.

    Attributes:
        agents: Names of the N players.
        is_symmetric: Whether one policy serves all players.
    """

    agents: tuple[str, ...]
    is_symmetric: bool

    def first(self, player: int, number: int, seed: int) -> Policy:
        """Return a policy to begin with."""
        ...

    def earn(self, population: Population, cells: Sequence[Cell], seed: int) -> tuple[Floats, Floats, float]:
        """Return mean and mean square of the returns in cells, `[C, N]`, and how many episodes each was played."""
        ...

    def answer(
        self, population: Population, player: int, profile: Profile, gamma: float, risk: Risk, seed: int
    ) -> tuple[list[Policy], float | None]:
        """Return a best response to the others' mixture: policies, and its utility where that is known exactly."""
        ...


class NetEngine:
    """Networks, played in batches and trained by PPO."""

    def __init__(self, make: Make, learning: Learning, episodes: int, *, warm: bool = False) -> None:
        """Look at the game.

        Args:
            make: Makes it, with a number of copies and a seed.
            learning: How best responses are learned.
            episodes: Of each cell.
            warm: Whether a best response begins with the newest policy, as in self-play, and not anew.
        """
        self.make, self.learning, self.episodes, self.warm = make, learning, episodes, warm
        game = make(1, 0)
        self.agents, self.is_symmetric = game.agents, game.is_symmetric
        self.nets = [
            Nets(
                int(np.prod(game.observation_space(name).shape)),
                int(game.action_space(name).n),
                learning.hidden,
            )
            for name in self.agents
        ]

    def first(self, player: int, number: int, seed: int) -> Policy:
        """Return an untrained network, which does nearly everything alike."""
        return np.asarray(self.nets[player].init(seed + 7919 * (number + 1)).numpy(), np.float32)

    def earn(self, population: Population, cells: Sequence[Cell], seed: int) -> tuple[Floats, Floats, float]:
        """Play all cells side by side."""
        policies = [np.stack(own) for own in population.policies]
        mean, square = simulate(self.make, self.nets, policies, cells, self.episodes, seed)
        return mean, square, float(self.episodes)

    def answer(
        self, population: Population, player: int, profile: Profile, gamma: float, risk: Risk, seed: int
    ) -> tuple[list[Policy], float | None]:
        """Train a network against opponents drawn from the mixture."""
        others = [i for i in range(len(self.agents)) if i != player]
        cells = np.zeros((int(np.prod([len(profile[i]) for i in others])), len(self.agents)), np.int64)
        cells[:, others] = list(np.ndindex(*[len(profile[i]) for i in others]))
        p = np.prod([profile[i][cells[:, i]] for i in others], axis=0)
        met = np.flatnonzero(p > 1e-4)
        found, _ = learn(
            self.make,
            self.nets,
            player,
            [np.stack(own) for own in population.policies],
            cells[met],
            p[met] / p[met].sum(),
            gamma,
            risk,
            self.learning,
            seed,
            population.policies[player][-1] if self.warm else None,
        )
        return [found], None


class TreeEngine:
    """Tables over histories, worked out exactly; two players."""

    is_symmetric = False

    def __init__(self, agents: tuple[str, ...], tree: Any) -> None:
        """Take a tree of `agents.history_tree`."""
        self.agents, self.tree = agents, tree

    def first(self, player: int, number: int, seed: int) -> Policy:
        """Return a policy drawn at random: at every history from the uniform distribution over strategies."""
        rng = np.random.default_rng([seed, player, number])
        shape = (self.tree.nodes, self.tree.actions[player])
        return np.asarray(rng.dirichlet(np.ones(shape[1]), size=shape[0]), np.float32)

    def earn(self, population: Population, cells: Sequence[Cell], seed: int) -> tuple[Floats, Floats, float]:
        """Work the cells out."""
        from agents.history_tree import returns

        found = [returns(self.tree, (_table(population, 0, a), _table(population, 1, b))) for a, b in cells]
        return np.array([mean for mean, _ in found]), np.array([square for _, square in found]), float("inf")

    def answer(
        self, population: Population, player: int, profile: Profile, gamma: float, risk: Risk, seed: int
    ) -> tuple[list[Policy], float | None]:
        """Return the policies that the best response mixes, and its utility."""
        from agents.history_tree import answer

        other = 1 - player
        met = np.flatnonzero(profile[other] > 1e-9)
        p = profile[other][met] / profile[other][met].sum()
        opponents = [_table(population, other, int(k)) for k in met]
        found = answer(self.tree, player, opponents, p, gamma, risk)
        return [np.asarray(policy, np.float32) for policy in found.policies], found.utility


def _table(population: Population, player: int, number: int) -> Floats:
    """Return a policy in double precision, its rows summing to 1."""
    held = population.policies[player][number].astype(np.float64)
    return np.asarray(held / held.sum(axis=1, keepdims=True))


# -- the loop ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """How a population grows.

    Attributes:
        meta: The meta-solver.
        gamma: Dislike of risk between opponents.
        risk: What is disliked.
        temperature: Of the meta-solver `rae`.
        iterations: Best responses of each player.
        initial: Policies to begin with, of each player.
        seed: Of everything random.
    """

    meta: Meta = "rae"
    gamma: float = 0.0
    risk: Risk = dataclasses.field(default_factory=Risk)
    temperature: float = 0.1
    iterations: int = 6
    initial: int = 1
    seed: int = 0


def grow(
    engine: Engine,
    population: Population,
    settings: Settings,
    say: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Solution:
    """Go on growing a population to its last iteration; return the mixtures that it comes to.

    Args:
        engine: Plays and answers.
        population: Empty, or one that was begun with the same settings.
        settings: How it grows.
        say: Is told each iteration's row: sizes, expected payoffs, variances between and within opponents, gains.

    Raises:
        SpecError: `negative-gamma`.
        UnsupportedError: `unserved-risk`.
    """
    refuse_gamma(settings.gamma)
    refuse_risk(settings.risk)
    if not population.ends:
        for player in range(len(engine.agents)):
            for number in range(settings.initial):
                who = 0 if engine.is_symmetric else player
                population.add_policy(player, engine.first(who, number, settings.seed))
        fill(engine, population, settings.seed)
        population.end({"iteration": 0, "new": settings.initial})
    found = meta_solve(population, settings)
    for iteration in range(len(population.ends), settings.iterations + 1):
        new, gains = 0, []
        answers: dict[int, list[Policy]] = {}
        for player in range(1 if engine.is_symmetric else len(engine.agents)):
            seed = settings.seed * 100_003 + iteration * 101 + player
            answers[player], utility = engine.answer(
                population, player, found.strategies, settings.gamma, settings.risk, seed
            )
            gains.append(utility)
        before = found
        for player in range(len(engine.agents)):
            for policy in answers[0 if engine.is_symmetric else player]:
                if not any(np.array_equal(policy, known) for known in population.policies[player]):
                    population.add_policy(player, policy)
                    new += 1
        fill(engine, population, settings.seed * 100_003 + iteration)
        found = meta_solve(population, settings)
        row = _row(population, before, found, gains, settings, iteration, new)
        population.end(row)
        say(row)
        if not new:  # exact best responses that are there already: nothing can be added any more
            break
    return found


def refuse_risk(risk: Risk) -> None:
    """Raise when no best response is known for a risk.

    Raises:
        UnsupportedError: `unserved-risk`.
    """
    if not risk.is_convex:
        others = ", ".join(name for name in MEASURES if name != risk.measure)
        text = f"no best response of a population is known for the measure {risk.measure}"
        raise UnsupportedError(Problem("unserved-risk", text, hints=(f"There are: {others}.",)))


def fill(engine: Engine, population: Population, seed: int) -> None:
    """Play the cells of which nothing is known yet; in a symmetric game of two, one of a cell and its mirror image."""
    missing = population.missing()
    mirrors = engine.is_symmetric and len(engine.agents) == 2
    todo = [cell for cell in missing if not mirrors or cell[0] <= cell[1]]
    if not todo:
        return
    mean, square, count = engine.earn(population, todo, seed)
    for cell, first, second in zip(todo, mean, square, strict=True):
        if mirrors and cell[0] == cell[1]:  # both sides are the same: what differs is chance
            first, second = np.full(2, first.mean()), np.full(2, second.mean())
        population.add_cell(cell, first, second, count)
        if mirrors and cell[0] != cell[1]:
            population.add_cell(cell[::-1], first[::-1], second[::-1], count)


def empirical_game(population: Population) -> Game:
    """Return the game of mean returns."""
    mean, _ = population.tables()
    names = tuple(f"player_{i}" for i in range(len(population.sizes)))
    actions = tuple(tuple(str(k) for k in range(size)) for size in population.sizes)
    return Game("empirical", names, actions, mean)


def meta_solve(population: Population, settings: Settings) -> Solution:
    """Return the mixtures that the meta-solver gives."""
    game = empirical_game(population)
    neutral = replace(settings, gamma=0.0)
    if settings.meta == "rae":
        solving = Solving(temperature=settings.temperature)
        return solve(game, settings.gamma, risk=settings.risk, solving=solving, rounds=4000, tolerance=1e-9)
    if settings.meta == "nash":
        equilibria = [one for one in find_nash(game, at_most=1) if one.converged]
        return equilibria[0] if equilibria else logit_limit(game)
    if settings.meta == "alpha_rank":
        return alpha_rank(game)
    profile = game.uniform()
    if settings.meta == "last":
        profile = game.pure(*(size - 1 for size in game.shape))
    return describe(game, profile, settings.gamma, neutral.risk, concept=settings.meta)


def utility(game: Game, profile: Profile, player: int, gamma: float, risk: Risk) -> float:
    """Return what a player makes of a profile: expected return less gamma times the risk between opponents."""
    table, p = game.tables[player], game.opponents(player, profile)
    x = profile[player]
    return float(x @ table @ p) - gamma * measure_risk(risk, x, table, p)


def _row(
    population: Population,
    before: Solution,
    found: Solution,
    exact: list[float | None],
    settings: Settings,
    iteration: int,
    new: int,
) -> dict[str, Any]:
    """Return what an iteration came to: `gain` is of the best responses over the mixture that they answered."""
    game = empirical_game(population)
    _, within = population.tables()
    padded = tuple(
        np.pad(part, (0, size - len(part))) for part, size in zip(before.strategies, game.shape, strict=True)
    )
    gains = []
    for player, known in enumerate(exact):
        held = utility(game, padded, player, settings.gamma, settings.risk)
        if known is None:  # the newest policy is what was learned
            tried = list(padded)
            tried[player] = np.eye(game.shape[player])[-1]
            known = utility(game, tuple(tried), player, settings.gamma, settings.risk)
        gains.append(known - held)
    joint = found.strategies[0]
    for part in found.strategies[1:]:
        joint = np.multiply.outer(joint, part)
    return {
        "iteration": iteration,
        "new": new,
        "sizes": list(game.shape),
        "gain": [float(gain) for gain in gains],
        "expected": [float(v) for v in found.expected],
        "variance_between": [float(v) for v in found.variance],
        "variance_within": [float((joint * within[i]).sum()) for i in range(len(game.shape))],
        "strategies": [[float(v) for v in part] for part in found.strategies],
        "residual": float(found.residual),
    }


# -- the command -------------------------------------------------------------------------------------------------


class Team(NamedTuple):
    """What a spec for several agents comes to here."""

    spec: Spec
    digest: str
    make: Callable[[], Any]
    """Makes the environment, paid by the spec."""
    risk: RiskSpec | None
    """The risk that its agents dislike."""


def read_team(path: Path, env_id: str | None = None) -> Team:
    """Return what a spec comes to.

    Args:
        path: The spec.
        env_id: The environment; the one that the spec names without.

    Raises:
        SpecError: When the spec is wrong.
        MismatchError: `no-environment`, as `make_named_environment`, when one is made.
        UnsupportedError: `unserved-risk` when its agents dislike different risks; `unfit-objective`.
    """
    from rewardspec import load
    from rewardspec.parallel_environments import make_named_environment
    from rewardspec.team.compile import compile_team
    from rewardspec.wrappers.parallel import wrap_parallel

    spec = load(path)
    team = compile_team(spec)
    problems = check_objective(spec, "this agent")
    if problems:
        raise UnsupportedError(problems)
    risks = {entry.risk.model_dump_json() if entry.risk else "" for entry in team.entries.values()}
    if len(risks) > 1:
        text = f"the agents of {path} dislike different risks, and a population here has one for all"
        raise UnsupportedError(Problem("unserved-risk", text, team.place))
    plain = team.without_risk()
    risk = next(iter(team.entries.values())).risk
    make = lambda: wrap_parallel(make_named_environment(spec, env_id), plain)  # noqa: E731
    return Team(spec, team.digest(), make, risk)


def make_engine(args: Args) -> Engine:
    """Return what plays and answers, as the arguments say.

    Raises:
        MismatchError: `no-environment`.
        UnsupportedError: `unfit-tree`, `tree-too-large`, `wrong-setting`.
    """
    from envs.game_batches import game_batch

    arguments = read_settings(args.set)
    if args.oracle == "exact" and args.spec is None:
        from agents.history_tree import grow as grow_tree
        from envs.small_games import small_game

        agents, start, move, actions = small_game(args.game, **arguments)
        return TreeEngine(agents, grow_tree(start, move, actions))
    learning = Learning(
        iterations=args.updates,
        lanes=args.lanes,
        learning_rate=args.learning_rate,
        entropy=args.entropy,
        hidden=args.hidden,
    )
    make: Make = lambda n, seed: game_batch(args.game, n, seed=seed, **arguments)  # noqa: E731
    if args.spec is not None:
        from envs.parallel_batch import ParallelBatch

        one = read_team(args.spec, args.env).make
        make = lambda n, seed: ParallelBatch(one, n, seed, horizon=args.horizon)  # noqa: E731
    return NetEngine(make, learning, args.episodes, warm=args.meta == "last")


def read_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE pairs with their values read as JSON, or as text.

    Raises:
        UnsupportedError: `wrong-setting`.

    Example:
        >>> read_settings(["size=3", "alone=-2.5"])
        {'size': 3, 'alone': -2.5}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name.isidentifier():
            raise UnsupportedError(Problem("wrong-setting", f"'{pair}' is not NAME=VALUE, as in size=3"))
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def train(args: Args) -> str:
    """Grow the population that the arguments describe; return what is said in the end."""
    risk, gamma = Risk(args.measure, args.level, args.target), args.gamma
    team = read_team(args.spec, args.env) if args.spec is not None else None
    if team is not None and team.risk is not None:
        wanted = team.risk
        risk, gamma = Risk(wanted.measure, wanted.level, wanted.target), wanted.gamma
    refuse_gamma(gamma)
    refuse_risk(risk)
    engine = make_engine(args)
    said = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(args).items()
        if name not in ("folder", "resume", "quiet")
    }
    facts = {
        "agent": "psro",
        "settings": said,
        **({"digest": None} if team is None else unchanged.facts_of(team.spec, team.digest)),
        "versions": versions(),
    }
    if args.resume is not None:
        folder = RunFolder(args.resume)
        decisive = {name: value for name, value in said.items() if name != "iterations"}  # it may grow on
        refuse_other_settings(folder, "psro", decisive)
        if team is not None:
            unchanged.refuse_other(folder, team.spec, team.digest)
        else:
            refuse_other_game(folder, args.game)
    else:
        folder = RunFolder(args.folder or "runs/psro")
        written = args.spec or (Path(args.game) if is_game_file(args.game) else None)
        folder.create("" if written is None else written.read_text(encoding="utf-8"), facts)
    settings = Settings(args.meta, gamma, risk, args.temperature, args.iterations, args.initial, args.seed)

    def say(row: dict[str, Any]) -> None:
        if not args.quiet:
            print(told(row))

    with folder.lock():
        population = Population(len(engine.agents), folder.path / "population.jsonl")
        if population.lost:
            print(population.lost, file=sys.stderr)
        found = grow(engine, population, settings, say)
        result = {**population.ends[-1], "strategies": [part.tolist() for part in found.strategies]}
        folder.write_result(result)
    return f"{folder.path}: {' and '.join(str(size) for size in population.sizes)} policies"


def told(row: dict[str, Any]) -> str:
    """Return an iteration's row in a line."""
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {' '.join(f'{value:.4g}' for value in row[name])}"
        for name in ("gain", "expected", "variance_between", "variance_within")
    )
    return f"iteration {row['iteration']}: {numbers}"


def run_command(words: Sequence[str]) -> int:
    """Grow a population as a command line says; return the exit status."""

    def read() -> Args:
        args = read_arguments(Args, "psro", words, __doc__)
        name = f"psro-{Path(args.spec or args.game).stem}-{args.meta}-{args.seed}"
        return args if args.resume is not None else placed(args, name)

    return run(read, train)


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
