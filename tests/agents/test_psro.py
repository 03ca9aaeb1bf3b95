"""PSRO: exact best responses against all policies, populations that survive a kill, meta-solvers, what PPO weights."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents.history_tree import Tree, answer, best_policy, returns
from agents.history_tree import grow as grow_tree
from agents.population import Population
from agents.population_nets import Learning, Nets, learn, simulate
from agents.psro import NetEngine, Settings, TreeEngine, empirical_game, grow, meta_solve, run_command
from envs.game_batches import game_batch, parallel_game
from envs.small_games import small_game
from rewardspec.errors import LearningError, MismatchError, UnsupportedError
from rewardspec.games.risk import Risk, measure_risk, risk_weights

EXAMPLES = Path(__file__).parents[2] / "examples" / "games"
CHICKEN = str(EXAMPLES / "chicken.yaml")


def tree_of(name: str, **arguments: Any) -> Tree:
    _, start, move, actions = small_game(name, **arguments)
    return grow_tree(start, move, actions)


def random_policies(tree: Tree, player: int, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    shape = (tree.nodes, tree.actions[player])
    return [rng.dirichlet(np.full(shape[1], 0.5), size=shape[0]) for _ in range(count)]


# -- trees ---------------------------------------------------------------------------------------------------


def test_a_tree_holds_every_history_once() -> None:
    assert tree_of(CHICKEN, rounds=3).nodes == 1 + 4 + 16
    assert tree_of("stag_hunt", size=3).nodes == 9  # bumping into a wall is staying, and who has chosen stays


def test_returns_are_those_of_playing_it_out() -> None:
    """Two rounds of chicken: the sum over all pairs of joint actions, with their probabilities."""
    tree = tree_of(CHICKEN, rounds=2)
    (a,), (b,) = random_policies(tree, 0, 1), random_policies(tree, 1, 1, 1)
    paid = np.array([[[0, -1], [1, -10]], [[0, 1], [-1, -10]]], float)
    mean, square = np.zeros(2), np.zeros(2)
    for x, y, u, v in itertools.product(range(2), repeat=4):
        later = 1 + 2 * x + y
        chance = a[0, x] * b[0, y] * a[later, u] * b[later, v]
        total = paid[:, x, y] + paid[:, u, v]
        mean += chance * total
        square += chance * total**2
    found = returns(tree, (a, b))
    assert found[0] == pytest.approx(mean) and found[1] == pytest.approx(square)


@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_no_policy_beats_the_best_response(player: int, gamma: float) -> None:
    """All 32 deterministic policies of two rounds of chicken, and random mixtures of them."""
    tree, rng = tree_of(CHICKEN, rounds=2), np.random.default_rng(3)
    opponents, p = random_policies(tree, 1 - player, 3), np.array([0.5, 0.3, 0.2])
    table = []
    for choices in itertools.product(range(2), repeat=tree.nodes):
        own = np.eye(2)[list(choices)]
        pairs = [(own, other) if player == 0 else (other, own) for other in opponents]
        table.append([returns(tree, pair)[0][player] for pair in pairs])
    paid = np.array(table)
    found = answer(tree, player, opponents, p, gamma, Risk())
    mixed = [rng.dirichlet(np.full(len(paid), 0.05)) for _ in range(300)]
    value = [
        float(x @ paid @ p) - gamma * measure_risk(Risk(), x, paid, p) for x in [*np.eye(len(paid)), *mixed]
    ]
    assert found.gap <= 1e-8
    assert max(value) <= found.utility + 1e-7
    if gamma == 0.0:
        assert found.utility == pytest.approx(max(value))


def test_a_best_policy_learns_in_the_episode_whom_it_plays() -> None:
    """Against one who always dares or one who always swerves, the second round is a best reply to the first."""
    tree = tree_of(CHICKEN, rounds=2)
    swerves, dares = np.tile([1.0, 0.0], (tree.nodes, 1)), np.tile([0.0, 1.0], (tree.nodes, 1))
    found = best_policy(tree, 0, [swerves, dares], np.array([0.5, 0.5]))
    assert found[0].tolist() == [1.0, 0.0]
    assert found[1].tolist() == [0.0, 1.0] and found[2].tolist() == [
        1.0,
        0.0,
    ]  # dares where the other swerved


def test_a_state_must_tell_whose_doing_it_was() -> None:
    with pytest.raises(UnsupportedError) as caught:
        grow_tree(0, lambda s, acts: (acts[0] ^ acts[1], (0.0, 0.0), False), (2, 2))
    assert caught.value.problems[0].code == "unfit-tree"
    with pytest.raises(UnsupportedError) as caught:
        grow_tree((), lambda s, acts: ((*s, acts), (0.0, 0.0), False), (2, 2), most=100)
    assert caught.value.problems[0].code == "tree-too-large"


@pytest.mark.parametrize("risk", [Risk(), Risk("lower_partial_moment"), Risk("cvar", 0.3)])
def test_weights_of_opponents_are_the_slope_of_the_utility(risk: Risk) -> None:
    rng = np.random.default_rng(0)
    z, p, gamma = rng.normal(size=5), rng.dirichlet(np.ones(5)), 0.7

    def utility(z: Any) -> float:
        return float(z @ p) - gamma * measure_risk(risk, np.ones(1), z[None], p)

    for l, weight in enumerate(risk_weights(risk, z, p, gamma)):  # noqa: E741
        step = np.eye(5)[l] * 1e-6
        assert (utility(z + step) - utility(z - step)) / 2e-6 / p[l] == pytest.approx(weight, abs=1e-5)
    with pytest.raises(UnsupportedError, match="realised variance"):
        risk_weights(Risk("realised_variance"), z, p, gamma)


# -- populations ---------------------------------------------------------------------------------------------


def small_run(path: Path | None, iterations: int = 2) -> tuple[Population, Any]:
    population = Population(2, path)
    engine = TreeEngine(("row", "column"), tree_of(CHICKEN, rounds=2))
    settings = Settings("rae", 0.2, temperature=1.0, iterations=iterations, initial=1, seed=1)
    return population, grow(engine, population, settings)


def test_a_population_cut_off_in_the_middle_says_what_was_lost_and_comes_out_the_same(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    _, found = small_run(whole)
    data = whole.read_bytes()
    lines = data.splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if b'{"end"' in line]
    for cut in (len(b"".join(lines[: ends[1] + 2])) + 30, len(b"".join(lines[: ends[1] + 3])), len(data) - 5):
        place = tmp_path / f"cut-{cut}.jsonl"
        place.write_bytes(data[:cut])
        opened = Population(2, place)
        assert "lost: " in opened.lost and "made anew after iteration" in opened.lost
        assert not Population(2, place).lost  # it has been taken off
        _, again = small_run(place)
        assert place.read_bytes() == data
        for one, other in zip(again.strategies, found.strategies, strict=True):
            assert one == pytest.approx(other)


def test_what_was_cut_off_is_named(tmp_path: Path) -> None:
    place = tmp_path / "population.jsonl"
    small_run(place)
    lines = place.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b'{"end"' in line)
    place.write_bytes(b"".join(lines[: first + 1]) + lines[first + 1][:50])
    assert Population(2, place).lost == (
        "lost: 0 policies and 0 cells of an iteration that was not finished and a policy, cut off after 50 bytes; "
        "they are made anew after iteration 0"
    )


def test_a_population_changed_in_the_middle_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "population.jsonl"
    small_run(place)
    lines = place.read_bytes().splitlines(keepends=True)
    for spoilt in (b"".join([*lines[:2], lines[2].replace(b"0", b"1", 1), *lines[3:]]), b"".join(lines[1:])):
        place.write_bytes(spoilt)
        with pytest.raises(LearningError) as caught:
            Population(2, place)
        assert caught.value.problems[0].code == "broken-population"


def test_means_and_variances_of_cells() -> None:
    population = Population(2)
    for player in range(2):
        population.add_policy(player, np.zeros(1))
    population.add_cell((0, 0), np.array([1.0, 2.0]), np.array([5.0, 4.0]), 10)
    mean, variance = population.tables()
    assert mean.ravel().tolist() == [1.0, 2.0] and variance.ravel().tolist() == [4.0, 0.0]


# -- growing -------------------------------------------------------------------------------------------------


def test_exact_psro_ends_where_nobody_gains_any_more() -> None:
    """Nash meta-solver: the gains are the exploitability, and go to 0."""
    population = Population(2)
    engine = TreeEngine(("row", "column"), tree_of(CHICKEN, rounds=2))
    rows: list[Any] = []
    grow(engine, population, Settings("nash", iterations=5, initial=1, seed=0), rows.append)
    assert max(rows[0]["gain"]) > 0.1 and max(rows[-1]["gain"]) < 1e-5


@pytest.mark.parametrize(
    ("meta", "weights"),
    [("uniform", [0.5, 0.5]), ("last", [0.0, 1.0]), ("rae", None), ("alpha_rank", [0.5, 0.5])],
)
def test_meta_solvers(meta: Any, weights: list[float] | None) -> None:
    population = Population(2)
    for player, number in itertools.product(range(2), range(2)):
        population.add_policy(player, np.array([number]))
    paid = [[0.0, -1.0], [1.0, -10.0]]
    for a, b in itertools.product(range(2), range(2)):
        population.add_cell((a, b), np.array([paid[a][b], paid[b][a]]), np.zeros(2), 1)
    found = meta_solve(population, Settings(meta, 0.5))
    assert found.strategies[0] == pytest.approx(weights or [0.9473, 0.0527], abs=1e-3)
    assert empirical_game(population).is_symmetric


def test_risk_turns_hunters_of_a_population_to_hares() -> None:
    """Two policies each, straight to the stag and straight to the hare: the matrix game's switch at 0.0202."""
    tree = tree_of("stag_hunt", size=3)

    class Straight(TreeEngine):
        def first(self, player: int, number: int, seed: int) -> Any:
            seek = [{"alone": 10.0, "hare": 0.0, "both_hares": 0.0}, {"together": 0.0}][number]
            other = tree_of("stag_hunt", size=3, **seek)
            return best_policy(other, player, [other.uniform(1 - player)], np.ones(1)).astype(np.float32)

    for gamma, expected in ((0.019, 9.89), (0.0215, 3.94)):
        population = Population(2)
        settings = Settings("rae", gamma, temperature=1.0, iterations=0, initial=2)
        found = grow(Straight(("a", "b"), tree), population, settings)
        assert found.expected == pytest.approx([expected] * 2, abs=0.02)


# -- networks ------------------------------------------------------------------------------------------------


def test_cells_side_by_side_are_cells_one_by_one() -> None:
    """Networks that always do one thing: what a cell earns is the payoff."""
    nets = [Nets(5, 2, ()), Nets(5, 2, ())]
    sure = []
    for action in range(2):
        vector = np.zeros(nets[0].size, np.float32)
        vector[-2 + action] = 100.0  # the bias of the action
        sure.append(vector)
    cells = list(itertools.product(range(2), range(2)))
    mean, square = simulate(
        lambda n, s: game_batch(CHICKEN, n, seed=s), nets, [np.stack(sure)] * 2, cells, 3, 0
    )
    assert mean.tolist() == [[0, 0], [-1, 1], [1, -1], [-10, -10]]
    assert square == pytest.approx(mean**2)


@pytest.mark.parametrize("which", [[0, 0, 1, 1, 2, 2], [2, 0, 2, 2, 1, 2], [1, 1, 1]], ids=str)
def test_a_crowd_does_in_each_lane_what_its_policy_does(which: list[int]) -> None:
    """As many lanes of each or not, in order or not; policies that hardly leave a choice."""
    nets = Nets(5, 3, (8, 8))
    policies = torch.stack([nets.init(seed) for seed in range(3)])
    policies[:, -27:-3] *= 1e5  # weights of the last layer
    generator = torch.Generator().manual_seed(1)
    obs = torch.randn(len(which), 5, generator=generator)
    actions = nets.crowd(policies, torch.tensor(which)).act(obs, generator)
    alone = [int(nets.logits(policies[k], row[None]).argmax()) for k, row in zip(which, obs, strict=True)]
    assert actions.tolist() == alone and len(set(alone)) > 1


def test_a_crowd_draws_by_the_probabilities() -> None:
    nets = Nets(1, 3, ())
    policies = torch.tensor([[0.0] * 3 + [0.7, 0.2, 0.1], [0.0] * 3 + [0.1, 0.1, 0.8]])
    policies[:, 3:] = policies[:, 3:].log()
    which = torch.arange(2).repeat(4000)
    actions = nets.crowd(policies, which).act(torch.zeros(8000, 1), torch.Generator().manual_seed(0))
    shares = [torch.bincount(actions[which == k]) / 4000 for k in range(2)]
    assert shares[0].tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.03)
    assert shares[1].tolist() == pytest.approx([0.1, 0.1, 0.8], abs=0.03)


def test_cells_side_by_side_are_those_of_a_loop_over_the_road() -> None:
    """Networks that hardly leave a choice, from the same starts: means and mean squares agree."""
    nets, episodes = Nets(9, 3, (8,)), 4
    policies = np.stack([nets.init(seed).numpy() for seed in range(3)])
    policies[:, -27:-3] *= 1e5
    policies[2, -3] = 1e9  # stays in its lane
    cells = [(0, 1), (2, 2), (1, 1), (1, 0), (2, 0)]
    made: list[Any] = []

    def make(lanes: int, seed: int) -> Any:
        made.append(game_batch("overtaking", lanes, seed=seed, dtype="float64"))
        return made[-1]

    mean, square = simulate(make, [nets, nets], [policies, policies], cells, episodes, 5)
    env = parallel_game("overtaking")
    for c, pair in enumerate(cells):
        totals = np.zeros((episodes, 2))
        for e in range(episodes):
            seen, _ = env.reset(options={"start": made[0].starts[c * episodes + e].tolist()})
            while env.agents:
                logits = [
                    nets.logits(torch.from_numpy(policies[k]), torch.from_numpy(seen[agent])[None])
                    for k, agent in zip(pair, env.agents, strict=True)
                ]
                chosen = [int(part.argmax()) for part in logits]
                seen, paid, *_ = env.step(dict(zip(env.agents, chosen, strict=True)))
                totals[e] += list(paid.values())
        assert mean[c] == pytest.approx(totals.mean(axis=0), abs=1e-4)
        assert square[c] == pytest.approx((totals**2).mean(axis=0), abs=1e-3)
    assert np.ptp(mean) > 1.0  # some crash, some do not


def test_ppo_answers_a_mixture_and_fears_its_risk() -> None:
    """Daring earns 0.73 against one who dares in 3 of 100 games, where swerving earns -0.03: the neutral learner dares.

    With gamma 0.5 it costs 0.5 (0.97 * 0.03 * 11^2) = 1.76 in variance, and swerving hardly anything.
    """
    nets = [Nets(5, 2, (8,)), Nets(5, 2, (8,))]
    opponents = np.zeros((2, nets[1].size), np.float32)
    opponents[0, -2] = opponents[1, -1] = 100.0
    how = Learning(iterations=40, lanes=256, learning_rate=2e-2, hidden=(8,), minibatches=2)
    swerves = []
    for gamma in (0.0, 0.5):
        vector, _ = learn(
            lambda n, s: game_batch(CHICKEN, n, seed=s), nets, 0, [opponents, opponents],
            np.array([[0, 0], [0, 1]]), np.array([0.97, 0.03]), gamma, Risk(), how, 0,
        )  # fmt: skip
        mean, _ = simulate(
            lambda n, s: game_batch(CHICKEN, n, seed=s), nets, [vector[None], opponents], [(0, 0)], 200, 1
        )
        swerves.append(1.0 - mean[0, 0])  # against one who swerves, daring earns 1 and swerving 0
    assert swerves[0] < 0.1 and swerves[1] > 0.7  # best are 0 and 0.86


def test_symmetric_networks_share_a_population() -> None:
    engine = NetEngine(
        lambda n, s: game_batch("stag_hunt", n, seed=s, size=3), Learning(iterations=2, lanes=16), 8
    )
    population = Population(2)
    grow(engine, population, Settings("uniform", iterations=2, seed=0))
    assert population.sizes == (3, 3)
    mean, _ = population.tables()
    assert mean[1] == pytest.approx(mean[0].T)


# -- the command ---------------------------------------------------------------------------------------------


def test_a_run_leaves_a_folder_and_is_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = [
        "--game",
        CHICKEN,
        "--set",
        "rounds=2",
        "--oracle",
        "exact",
        "--gamma",
        "0.2",
        "--temperature",
        "1",
        "--iterations",
        "2",
    ]
    assert run_command([*words, "--folder", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "iteration 1: gain" in said and "policies" in said
    result = json.loads((folder / "result.json").read_text())
    assert result["residual"] < 1e-6 and len(result["strategies"]) == 2
    place = folder / "population.jsonl"
    data = place.read_bytes()
    place.write_bytes(data[:-40])
    assert run_command(["--resume", str(folder)]) == 0
    assert "lost: " in capsys.readouterr().err and place.read_bytes() == data
    assert run_command(["--resume", str(folder), "--gamma", "0.3", "--seed", "1"]) == 1
    refused = capsys.readouterr().err
    assert "gamma is 0.2 there and 0.3 here, seed is 0 there and 1 here [settings-changed]" in refused
    assert place.read_bytes() == data
    assert run_command(["--resume", str(folder), "--iterations", "3"]) == 0, "it may grow on"
    assert place.read_bytes().startswith(data[:100])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--gamma", "-1"], "negative-gamma"),
        (["--measure", "realised_variance"], "unserved-risk"),
        (["--game", "overtakin"], "no-environment"),
        (["--game", "overtaking", "--oracle", "exact"], "no-environment"),
        (["--game", "stag_hunt", "--set", "size"], "wrong-setting"),
        (["--game", "stag_hunt", "--set", "size=9", "--oracle", "exact"], "tree-too-large"),
    ],
)
def test_what_cannot_be_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert run_command([*words, "--folder", str(tmp_path / "run")]) == 1
    assert f"[{code}]" in capsys.readouterr().err


SPEC = """\
env: {id: mpe2/simple_spread_v3, kwargs: {N: 2, max_cycles: 5}}
agents:
  default: {reward: 'reward - 0.1 * mean(others.reward)', risk: {gamma: 0.5}}
"""


def test_a_specs_agents_play_by_its_rewards_and_its_risk(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(SPEC)
    folder = tmp_path / "run"
    words = ["--spec", str(tmp_path / "team.yaml"), "--updates", "1", "--lanes", "4", "--episodes", "2"]
    assert (
        run_command([*words, "--iterations", "1", "--horizon", "5", "--folder", str(folder), "--quiet"]) == 0
    )
    assert json.loads((folder / "result.json").read_text())["sizes"] == [2, 2]


def test_a_specs_arguments_hold_no_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "team.yaml").write_text(SPEC.replace("N: 2", "N: 2, log_dir: here"))
    words = ["--spec", str(tmp_path / "team.yaml"), "--folder", str(tmp_path / "run"), "--iterations", "0"]
    assert run_command(words) == 1
    assert "the spec gives its environment a path, kwargs.log_dir: 'here'" in capsys.readouterr().err
    assert run_command([*words, "--env", "mpe2/simple_spread_v3"]) == 1
    assert "unexpected keyword argument 'log_dir'" in capsys.readouterr().err, (
        "trusted: it reached the environment"
    )


def test_a_population_of_another_spec_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, folder = tmp_path / "team.yaml", tmp_path / "run"
    place.write_text(SPEC)
    words = [
        "--updates",
        "1",
        "--lanes",
        "2",
        "--episodes",
        "1",
        "--iterations",
        "0",
        "--horizon",
        "5",
        "--quiet",
    ]
    assert run_command(["--spec", str(place), *words, "--folder", str(folder)]) == 0
    assert run_command(["--resume", str(folder)]) == 0
    for text, code in (
        (SPEC.replace("gamma: 0.5", "gamma: 0.6"), "spec-changed"),
        (f"objective: limit_average\n{SPEC}", "unfit-objective"),
    ):
        place.write_text(text)
        assert run_command(["--resume", str(folder)]) == 1
        assert f"[{code}]" in capsys.readouterr().err


GAME = """\
game: chicken
players: {row: [swerve, dare], column: [swerve, dare]}
payoffs: {row: [[0, -1], [1, -10]], column: [[0, 1], [-1, -10]]}
"""


def test_a_population_of_another_game_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, folder = tmp_path / "chicken.yaml", tmp_path / "run"
    place.write_text(GAME)
    words = ["--game", str(place), "--oracle", "exact", "--iterations", "1", "--quiet"]
    assert run_command([*words, "--folder", str(folder)]) == 0
    place.write_text(f"# played and paid as before\n{GAME}description: two cars\nsolve: {{temperature: 2}}\n")
    assert run_command(["--resume", str(folder)]) == 0
    before = (folder / "population.jsonl").read_bytes()
    for old, new, said in (
        ("[-1, -10]]}", "[-1, -11]]}", "'column' gets -11 at row dare, column dare; it was -10"),
        (
            "row: [swerve, dare]",
            "row: [swerve, go]",
            "actions of 'row' are swerve, go; they were swerve, dare",
        ),
        ("column:", "other:", "its players are row, other; they were row, column"),
    ):
        place.write_text(GAME.replace(old, new))
        assert run_command(["--resume", str(folder), "--iterations", "2"]) == 1
        refused = capsys.readouterr().err
        assert said in refused and "[spec-changed]" in refused
    assert (folder / "population.jsonl").read_bytes() == before


def test_no_wrapper_pays_a_dislike_of_risk() -> None:
    from rewardspec import loads, wrap_parallel
    from rewardspec.parallel_environments import make_parallel_environment
    from rewardspec.team.compile import compile_team

    env, spec = make_parallel_environment("mpe2/simple_spread_v3", N=2), loads(SPEC)
    with pytest.raises(UnsupportedError, match="no wrapper can pay that"):
        wrap_parallel(env, spec)
    assert wrap_parallel(env, compile_team(spec).without_risk()).possible_agents == ["agent_0", "agent_1"]


def test_small_games_are_of_two() -> None:
    with pytest.raises(MismatchError, match="3 players"):
        small_game(str(EXAMPLES / "three_hunters.yaml"))
