"""Can credit for a return be found, step by step and agent by agent? LaRe's factors beside plain decomposition.

Three parts: how well a decoder of factors tells each agent's reward of each step from the return of its team alone
(CN-6, offline); what agents learn that are paid by it, beside those that are paid the true reward, the return at the
end, or what a decoder of the whole observation says; the same for one arm, Reacher, by its episodic return.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.plots import Band, curves
from benchmarks.records import Cell, Row, Setting, provenance
from rewardspec import RewardLearner, Spec, from_data, load, wrap

TAGS = ("learned", "lare")
STEPS = 192_000
SEEDS = 3
SMOKE_STEPS = 9_600

Floats = npt.NDArray[np.float64]

TEAM, LENGTH = 6, 25

CN_FACTORS = """\
def evaluation_func(observation):
    landmarks = observation[:, 4:16].reshape(-1, 6, 2)
    others = observation[:, 16:26].reshape(-1, 5, 2)
    nearest = np.linalg.norm(landmarks[:, 0], axis=1, keepdims=True)
    apart = np.linalg.norm(others, axis=2)
    touching = np.sum(apart < 0.3, axis=1, keepdims=True)
    crowding = np.min(apart, axis=1, keepdims=True)
    speed = np.linalg.norm(observation[:, 0:2], axis=1, keepdims=True)
    return [nearest, touching, crowding, speed]
"""
"""Written by hand in LaRe's format, as in the independent pilot whose figures stand beside ours; no model's answer."""

REACHER_FACTORS = """\
def evaluation_func(observation, action):
    distance = np.linalg.norm(observation[:, 8:10], axis=1, keepdims=True)
    effort = np.sum(action ** 2, axis=1, keepdims=True)
    speed = np.linalg.norm(observation[:, 6:8], axis=1, keepdims=True)
    return [distance, effort, speed]
"""

ASKED = Path(__file__).parent.parent / "results" / "lare" / "reacher_qwen.yaml"
"""What Qwen2.5-Coder-1.5B wrote for Reacher, as `rewardspec llm factors` completed it; its answers stand beside it."""

LOSSES: dict[str, dict[str, Any]] = {
    "RD": {"loss": "rd", "factors": "all"},
    "RRD": {"loss": "rrd", "factors": "all"},
    "RRD unbiased": {"loss": "rrd_unbiased", "factors": "all"},
    "LaRe": {"loss": "rrd_unbiased"},
    "LaRe, factors of a 1.5B model": {"loss": "rrd_unbiased"},
}
METHODS = ("dense", *LOSSES, "episodic")
REACHER_STEPS = 30_000
INPUTS = {"factors": "LaRe", "observation": "RD"}
PILOT = {"factors": (0.969, 0.992), "observation": (0.291, 0.570)}
"""Correlation with rewards of steps and with returns, of an independent pilot, seed 0 (1: .981, .993, .306, .636)."""

SETTINGS: list[Setting] = [
    *({"name": f"recovery-{name}", "part": "recovery", "input": name, "steps": 1_500} for name in INPUTS),
    *(
        {"name": f"navigation-{m}", "part": "navigation", "method": m, "steps": STEPS}
        for m in METHODS
        if "1.5B" not in m
    ),
    *({"name": f"reacher-{m}", "part": "reacher", "method": m, "steps": REACHER_STEPS} for m in METHODS),
]


def navigation_spec(method: str) -> Spec:
    """Return what agents of the team are paid by."""
    pays = "own" if method == "dense" else "team"
    reward: list[Any] = [{"markov": "reward"}]
    if method in LOSSES:
        source = {"source": CN_FACTORS, "observation": 26}
        fit = {"learning_rate": 1e-3, "episodes": 64, "updates": 40, "weight_decay": 1e-5}
        latent = {"factors": source, **LOSSES[method], "phase": "next_state", "subsample": 60, "fit": fit}
        reward = [{"latent": {**latent, "after": 9_600, "every": 9_600, "store": 100_000}}]
    env = {"id": "rewardspec/NavigationWorld-v0", "kwargs": {"agents": TEAM, "pays": pays}}
    return from_data({"name": f"navigation-{method}", "discount": 0.99, "env": env, "reward": reward})


def reacher_spec(method: str) -> Spec:
    """Return what the arm is paid by."""
    reward: list[Any] = [{"markov": "reward"}]
    if method in LOSSES:
        factors: Any = {"source": REACHER_FACTORS, "observation": 10, "action": 2}
        if LOSSES[method].get("factors") == "all":
            factors = ["obs", "action", "obs - next_obs"]  # as the authors of RRD have it
        elif "1.5B" in method:
            factors = load(ASKED).to_data()["reward"][0]["latent"]["factors"]
        fit = {"learning_rate": 1e-3, "episodes": 64, "updates": 100}
        latent = {**LOSSES[method], "factors": factors, "subsample": 20, "fit": fit}
        reward = [{"latent": {**latent, "after": 2_048, "every": 2_048, "store": 30_000}}]
    return from_data({"name": f"reacher-{method}", "discount": 0.95, "reward": reward})


def run(setting: Setting, seed: int) -> list[Row]:
    """Make one cell."""
    import torch

    torch.set_num_threads(1)
    if setting["part"] == "recovery":
        return [recovered(setting["input"], min(setting["steps"], 1_500), seed)]
    if setting["part"] == "navigation":
        return [navigated(setting["method"], setting["steps"], seed)]
    return [reached(setting["method"], setting["steps"], seed)]


# -- recovery ------------------------------------------------------------------------------------------------


def played(episodes: int, seed: int) -> tuple[Floats, Floats]:
    """Return `[E, 25, n, 26]` observations after the steps and `[E, 25, n]` rewards of a mixed policy.

    Each episode has a share of steps on which agents go to their nearest landmark, the others are drawn at random: the
    episodes differ, as those of a learning agent do.
    """
    import torch

    from envs.navigation_world import PUSHES, NavigationBatch

    world = NavigationBatch(episodes * TEAM, seed=seed, agents=TEAM)
    generator = torch.Generator().manual_seed(seed)
    obs = world.reset(torch.ones(world.num_envs, dtype=torch.bool))
    greed = torch.rand(episodes, generator=generator).repeat_interleave(TEAM)
    pushes = torch.tensor(PUSHES)
    seen, paid = [], []
    for _ in range(LENGTH):
        towards = (obs[:, 4:6] @ pushes.T).argmax(1)
        drawn = torch.randint(len(PUSHES), (world.num_envs,), generator=generator)
        is_greedy = torch.rand(world.num_envs, generator=generator) < greed
        obs, reward, *_ = world.step(torch.where(is_greedy, towards, drawn))
        seen.append(obs.reshape(episodes, TEAM, -1))
        paid.append(reward.reshape(episodes, TEAM))
    return torch.stack(seen, 1).double().numpy(), torch.stack(paid, 1).double().numpy()


def recovered(given: str, number: int, seed: int) -> Row:
    """Fit a decoder to the returns of teams; return how what it says of steps goes with the true rewards."""
    from rewardspec.encoder.language import read_encoder
    from rewardspec.kinds.latent import Latent
    from rewardspec.learning.decomposition import decompose
    from rewardspec.learning.episodes import episodes_of
    from rewardspec.learning.models import Ensemble
    from rewardspec.llm.verification import evaluate

    obs, rewards = played(number, seed)
    inputs = obs.reshape(-1, obs.shape[-1])
    if given == "factors":
        inputs = evaluate(
            read_encoder(CN_FACTORS, 26, phase="next_state"), inputs, np.zeros((len(inputs), 0)), "next_state"
        )
    per_episode = LENGTH * TEAM
    fitted = number * 13 // 15
    of_fit = slice(0, fitted * per_episode)
    episodes = episodes_of(inputs[of_fit], rewards.ravel()[of_fit], [per_episode] * fitted)
    fit = {"learning_rate": 5e-4, "episodes": 64, "updates": 300, "weight_decay": 1e-5, "held_out": 0.0}
    options = Latent.model_validate(
        {"factors": "all", "loss": "rd", "decoder": {"hidden": [64] * 4}, "fit": fit}
    )
    model = Ensemble(options.decoder, inputs.shape[1], seed)
    decompose(model, episodes, options, np.random.default_rng(seed))
    said = model.reward(inputs[fitted * per_episode :])
    true = rewards[fitted:].ravel()
    said_return, true_return = (values.reshape(-1, per_episode).sum(1) for values in (said, true))
    return {
        "step_r": float(np.corrcoef(said, true)[0, 1]),
        "return_r": float(np.corrcoef(said_return, true_return)[0, 1]),
        "episodes": number,
    }


# -- learning ------------------------------------------------------------------------------------------------


def navigated(method: str, steps: int, seed: int) -> Row:
    """Train a team that shares a policy; return its true return along the way, actions sampled."""
    from agents.device_run import read_tasks
    from agents.ppo_torch import PPO, Args

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(navigation_spec(method).to_yaml(), encoding="utf-8")
        args = Args(
            spec=path, steps=steps, n_envs=192, n_steps=50, learning_rate=1e-3, seed=seed, folder=Path(folder)
        )
        agent = PPO(args, read_tasks(path, None, None, None))
    iterations = max(1, steps // agent.steps)
    curve = [{"steps": 0, "return": team_return(agent, seed)}]
    for i in range(iterations):
        agent.schedule(i, iterations)
        agent.run()
        if (i + 1) % max(1, iterations // 8) == 0 or i + 1 == iterations:
            curve.append({"steps": (i + 1) * agent.steps, "return": team_return(agent, seed)})
    row: Row = {"curve": curve}
    if agent.learner is not None and agent.learner.reports:
        row["explained"] = agent.learner.reports[-1].get("explained")
    return row


def team_return(agent: Any, seed: int, episodes: int = 64) -> float:
    """Return the mean of what teams earn in an episode, all agents and steps, by actions that are sampled."""
    import torch

    from envs.navigation_world import NavigationBatch

    world = NavigationBatch(episodes * TEAM, seed=1_000_003 + seed, agents=TEAM)
    net, generator = agent.net, torch.Generator().manual_seed(seed)
    w = net.weights.split(agent.memory["weights"])
    obs = world.reset(torch.ones(world.num_envs, dtype=torch.bool))
    total = torch.zeros(())
    with torch.no_grad():
        for _ in range(LENGTH):
            head = net.policy(w, net.trunk(w, agent.sight(obs)))
            action = net.sample(w, head, torch.rand(head.shape, generator=generator))
            obs, reward, *_ = world.step(action)
            total += reward.sum()
    return round(float(total) / episodes, 3)


def reached(method: str, steps: int, seed: int) -> Row:
    """Train the arm; return the true return of its training episodes along the way."""
    import gymnasium as gym
    from stable_baselines3 import PPO
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    spec = reacher_spec(method)
    own = [Monitor(gym.make("Reacher-v5")) for _ in range(4)]
    learner = RewardLearner(spec, seed=seed) if method in LOSSES else None

    def made(env: Any) -> Any:
        paid = env if method == "dense" else at_the_end(env)
        return learner.wrap(paid) if learner is not None else wrap(paid, spec)

    model = PPO(
        "MlpPolicy", DummyVecEnv([lambda env=env: made(env) for env in own]), seed=seed, device="cpu", gamma=0.95,
        gae_lambda=0.9, n_steps=512, batch_size=64, learning_rate=1e-3, policy_kwargs={"log_std_init": -0.5},
    )  # fmt: skip
    model.learn(steps, callback=learner.callback() if learner is not None else None)
    each = [env.get_episode_rewards() for env in own]
    number = min(len(returns) for returns in each)
    means = [statistics.fmean(returns[i] for returns in each) for i in range(number)]
    block = max(1, number // 12)
    curve = [
        {"steps": (i + block) * 4 * 50, "return": round(statistics.fmean(means[i : i + block]), 3)}
        for i in range(0, number - block + 1, block)
    ]
    row: Row = {"curve": curve}
    if learner is not None and learner.reports:
        row["explained"] = learner.reports[-1].get("explained")
    return row


def at_the_end(env: Any) -> Any:
    """Return an environment that pays the sum of its rewards when the episode is over, and nothing before."""
    import gymnasium as gym

    class Paying(gym.Wrapper[Any, Any, Any, Any]):
        total = 0.0

        def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
            self.total = 0.0
            return self.env.reset(**options)

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            obs, reward, terminated, truncated, info = self.env.step(action)
            self.total += float(reward)
            return obs, self.total if terminated or truncated else 0.0, terminated, truncated, info

    return Paying(env)


# -- what came of it -----------------------------------------------------------------------------------------

SPANS = {"navigation": (-105.0, -55.0), "reacher": (-45.0, -8.0)}
"""True returns that count as nothing learned and as what the dense reward teaches in these steps."""


def score(rows: Sequence[Row]) -> float:
    """Return the correlation with rewards of steps, or where the last return lies between its bounds."""
    if not rows:
        return 0.0
    if "step_r" in rows[0]:
        return min(max(rows[0]["step_r"], 0.0), 1.0)
    last = rows[0]["curve"][-1]["return"]
    low, high = SPANS["navigation"] if rows[0]["curve"][0]["steps"] == 0 else SPANS["reacher"]
    return min(max((last - low) / (high - low), 0.0), 1.0)


def curve(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the true return over the steps."""
    return [(float(point["steps"]), float(point["return"])) for point in rows[0].get("curve", [])]


def last(cell: Cell) -> float:
    """Return the true return at the end."""
    return float(cell.rows[0]["curve"][-1]["return"])


def report(cells: Sequence[Cell], folder: Path) -> str:
    """Return the page, and draw the curves into its folder."""
    lines = [
        "# Credit from returns: factors beside whole observations",
        "",
        "<!-- Made by `python -m benchmarks report lare` -->",
        "",
        "LaRe (Qu et al., AAAI 2025): a reward for each step is learned from the returns of episodes alone, through a"
        " few factors. The factors here are written by hand in the form that LaRe asks a language model for; they are"
        " compiled as a model's would be. RD and RRD learn from the whole observation. Among the factors are the parts"
        " of the true reward: this is what good factors are worth, not whether a model finds them. On Reacher there is"
        " one arm whose factors a model wrote, Qwen2.5-Coder-1.5B: its distance takes a difference for a position, so"
        " that it is none.",
        "",
        "## Is the reward of a step found?",
        "",
        f"Cooperative navigation with {TEAM} agents, offline: 1,300 episodes of a mixed policy, 300 updates of 64"
        " episodes, a decoder of four layers of 64; the target is the return of the team. Pearson's correlation on 200"
        " episodes that were not fitted, with the reward of each agent on each step and with returns.",
        "",
        "| decoder's input | seed | rewards of steps | returns | independent pilot, seed 0: steps, returns |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for cell in (cell for cell in cells if cell.setting["part"] == "recovery"):
        steps, returns = PILOT[cell.setting["input"]]
        row = cell.rows[0]
        lines.append(
            f"| {cell.setting['input']} | {cell.seed} | {row['step_r']:.3f} | {row['return_r']:.3f} |"
            f" {steps}, {returns} |"
        )
    pictures = []
    for part, title, what in (
        ("navigation", "Agents of a team", "cooperative navigation, PPO with one policy for all agents; the team's true"
         " return of an episode, actions sampled, after the last update"),
        ("reacher", "An arm by itself", "Reacher-v5, PPO, an episode's return paid when it is over to all but `dense`;"
         " the true return of the last twelfth of the training episodes"),
    ):  # fmt: skip
        mine = [cell for cell in cells if cell.setting["part"] == part]
        if not mine:
            lines += ["", f"Not run yet: {part}."]
            continue
        lines += ["", f"## {title}", ""]
        lines += [
            f"{what[0].upper()}{what[1:]}. Mean over seeds, least and greatest; the gain is from `episodic` (0) to"
            " `dense` (1).",
            "",
            "| paid by | seeds | true return | gain |",
            "| --- | ---: | ---: | ---: |",
        ]
        means = {
            m: statistics.fmean(last(c) for c in mine if c.setting["method"] == m)
            for m in METHODS
            if any(c.setting["method"] == m for c in mine)
        }
        bands = []
        for method, mean in means.items():
            of_method = [cell for cell in mine if cell.setting["method"] == method]
            values = [last(cell) for cell in of_method]
            gain = ""
            if {"dense", "episodic"} <= set(means) and means["dense"] != means["episodic"]:
                gain = f"{(mean - means['episodic']) / (means['dense'] - means['episodic']):.2f}"
            lines.append(
                f"| {method} | {len(values)} | {mean:.1f} ({min(values):.1f} to {max(values):.1f}) | {gain} |"
            )
            bands.append(Band(method, [curve(cell.rows) for cell in of_method]))
        picture = folder / f"lare-{part}.svg"
        curves(picture, bands, "environment steps", "true return", title)
        pictures.append(f"![{title}](lare-{part}.svg)")
    lines += ["", *pictures, "", provenance(cells)]
    return "\n".join(lines) + "\n"
