"""An episode of a run of several agents, as one of them is paid for it."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from rewardspec.analysis.team_explain import TEAM
from rewardspec.errors import MismatchError, Problem, list_names, near_miss
from rewardspec.parallel_environments import make_parallel_environment
from rewardspec.report.recording import (
    LONGEST,
    MOST_FRAMES,
    Camera,
    Episode,
    Picture,
    Step,
    crop,
    name_action,
)
from rewardspec.training.folder import RunFolder
from rewardspec.training.team_loop import Playing, load_policies
from rewardspec.wrappers.parallel import ParallelRewardSpec, wrap_parallel


def record_team(
    run: RunFolder, agent: str = "", *, seed: int = 0, attempts: int = 1, deterministic: bool = False
) -> tuple[Episode, int, str]:
    """Let a run's agents play, and return an episode as one of them was paid for it, its number, and that agent.

    Args:
        run: The run folder; a run that is not finished plays with its newest checkpoint.
        agent: Whose rewards are told: an agent's own program, or `joint` for what all together are paid; the first
            agent's where empty.
        seed: Seed of the environment and of the agents' choices.
        attempts: Episodes to play at most; the first that the environment calls a success, or else the last.
        deterministic: Whether every agent always takes its likeliest action.

    Raises:
        MismatchError: `no-such-agent`.
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`.
    """
    import torch

    playing = load_policies(run)
    env = _make(playing)
    try:
        known = [*env.possible_agents, *([TEAM] if env.team.joint is not None else [])]
        chosen = agent or known[0]
        if chosen not in known:
            hint = f"There are: {list_names(known)}.{near_miss(chosen, known)}"
            raise MismatchError(Problem("no-such-agent", f"nobody is called '{chosen}' here", hints=(hint,)))
        torch.manual_seed(seed)
        for number in range(1, max(1, attempts) + 1):
            episode = _play(env, playing, chosen, seed if number == 1 else None, deterministic)
            if episode.success is not False:
                break
        return episode, number, chosen
    finally:
        env.close()


def _make(playing: Playing) -> ParallelRewardSpec:
    """Return the run's environment, with pictures where it can draw them."""
    settings = playing.settings
    arguments: dict[str, Any] = dict(settings.env_kwargs)
    made = make_parallel_environment(settings.env_id, trusted=True, **arguments)
    if "rgb_array" in made.metadata.get("render_modes", ()):
        with contextlib.suppress(MismatchError):  # it takes no render mode: pictures are not drawn then
            drawing = {**arguments, "render_mode": "rgb_array"}
            made = make_parallel_environment(settings.env_id, trusted=True, **drawing)
    return wrap_parallel(made, playing.team, detail=True)


def _play(
    env: ParallelRewardSpec, playing: Playing, chosen: str, seed: int | None, deterministic: bool
) -> Episode:
    """Play to the end of the chosen one's episode; of the joint program's, until nobody is left."""
    seen, infos = env.reset(seed=seed)
    paid = env.running([chosen] if chosen != TEAM else [])[chosen]
    nothing = dict.fromkeys((term.name for term in paid.program.terms), 0.0)
    told = paid.describe()
    steps = [Step("", 0.0, nothing, (), told["state"], told["verdict"])]
    camera = Camera(lambda: _picture(env))
    pictures: list[Picture | None] = [camera.shoot()]
    every, terminated = 1, False
    success: bool | None = None
    while env.agents and len(steps) < LONGEST:
        acting = list(env.agents)
        actions = {name: playing.act(name, seen[name], deterministic) for name in acting}
        seen, _, terminations, truncations, infos = env.step(actions)
        said = [info.get("is_success", info.get("success")) for info in infos.values()]
        success = all(said) if said and None not in said else success
        if chosen not in (*acting, TEAM):  # it has not joined yet
            continue
        told = paid.describe()
        own = float(paid.last_transition.reward) if paid.last_transition is not None else 0.0
        action = ", ".join(name_action(actions[name]) for name in acting if chosen in (name, TEAM))
        steps.append(Step(action, own, told["terms"], tuple(told["true"]), told["state"], told["verdict"]))
        left = chosen != TEAM and (terminations[chosen] or truncations[chosen])
        is_last = left or not env.agents
        pictures.append(camera.shoot() if is_last or (len(steps) - 1) % every == 0 else None)
        if sum(picture is not None for picture in pictures) > MOST_FRAMES:
            every *= 2
            pictures = [picture if i % every == 0 else None for i, picture in enumerate(pictures)]
        if is_last:
            terminated = any(terminations.values()) if chosen == TEAM else bool(terminations[chosen])
            break
    shown, env_id = tuple(crop(pictures)), playing.settings.env_id
    return Episode(paid.program, env_id, tuple(steps), shown, terminated, success, camera.trouble)


def _picture(env: ParallelRewardSpec) -> Picture | None:
    """Return what the environment shows now."""
    if getattr(env.unwrapped, "render_mode", None) != "rgb_array":
        return None
    shown: Any = env.render()
    return None if shown is None else np.asarray(shown, np.uint8)[..., :3]
