"""The page `rewardspec watch` writes: one episode of a trained agent, and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardspec.analysis.team_explain import TEAM
from rewardspec.errors import Problem, UnsupportedError
from rewardspec.report.page import page, table, text
from rewardspec.report.player import player
from rewardspec.report.recording import Episode, record
from rewardspec.training.folder import RunFolder, write_whole
from rewardspec.training.loop import load_agent
from rewardspec.training.team_loop import is_team_run


def watch(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    attempts: int = 1,
    deterministic: bool = False,
    agent: str = "",
) -> Path:
    """Let a run's agent play an episode and write it as one HTML page, which needs nothing else.

    Args:
        folder: The run folder; a run that is not finished plays with its newest checkpoint.
        out: Where to write the page; `watch.html` in the run folder when not given.
        seed: Seed of the environment and of the agent's choices: the same seed shows the same episode.
        attempts: Episodes to play at most; the first success is shown, or else the last.
        deterministic: Whether the agent always takes its likeliest action.
        agent: Of a run of several agents, whose rewards the page tells: an agent, or `joint`; the first where empty.

    Returns:
        Where the page is.

    Raises:
        UnsupportedError: `not-a-run-folder`, `spec-changed`, `nothing-trained`, `wrong-setting`.
        MismatchError: `no-such-agent`.
        MissingExtraError: Something that renders is not installed.
    """
    run = RunFolder(folder)
    if is_team_run(run):
        from rewardspec.report.team_recording import record_team

        episode, played, chosen = record_team(
            run, agent, seed=seed, attempts=attempts, deterministic=deterministic
        )
    elif agent:
        text = f"the run in {run.path} is of one agent, and none of it is called '{agent}'"
        raise UnsupportedError(Problem("wrong-setting", text))
    else:
        chosen = ""
        model, env = load_agent(folder, seen=True)
        try:
            episode, played = record(model, env, seed=seed, attempts=attempts, deterministic=deterministic)
        finally:
            env.close()  # type: ignore[no-untyped-call]
    place = Path(out) if out is not None else run.path / "watch.html"
    content = watch_page(run, episode, played=played, seed=seed, agent=chosen)
    write_whole(place, lambda file: file.write(content.encode()))
    return place


def watch_page(run: RunFolder, episode: Episode, *, played: int, seed: int, agent: str = "") -> str:
    """Return the page of one episode, as one of several agents is paid for it where `agent` says whom."""
    facts = run.read_facts()
    settings = facts["settings"]
    body, script = player(episode)
    name = episode.program.name
    whose = "" if not agent else "what all together are paid" if agent == TEAM else f"as {agent} is paid"
    parts = [
        f"<h1>{text(name)} on {text(episode.env_id)}{': ' * bool(whose)}{text(whose)}</h1>",
        f'<p class="lead">{outcome(episode)} Trained with {text(algorithm(settings))} for '
        f"{run.latest_steps():,} of {settings['steps']:,} steps (seed {settings['seed']}). "
        f"{_chosen(played, seed)}</p>",
        body,
        "<h2>The spec</h2>",
        f"<pre>{text(run.spec.read_text())}</pre>",
        "<h2>The run</h2>",
        facts_table(facts),
    ]
    return page(f"{name}: an episode", "\n".join(parts), script=script)


def algorithm(settings: Mapping[str, Any]) -> str:
    """Return what a run was trained with."""
    if "policies" not in settings:
        return str(settings["algo"].upper())
    shared = {
        "shared": "one policy for all",
        "entry": "a policy for each entry",
        "independent": "a policy each",
    }
    return f"PPO, {shared[settings['policies']]}"


def outcome(episode: Episode) -> str:
    """Return how an episode went, as HTML."""
    steps = len(episode.steps) - 1
    how = "ended by itself" if episode.terminated else "was cut by the time limit"
    told = {True: '<b class="yes">A success</b>', False: '<b class="no">No success</b>', None: "An episode"}
    return (
        f"{told[episode.success]} in {steps:,} steps; it {how}. The spec paid {episode.spec_return:.4g}, "
        f"the environment itself {episode.own_return:.4g}."
    )


def facts_table(facts: Mapping[str, Any]) -> str:
    """Return settings, digest and versions of a run as an HTML table."""
    settings = facts["settings"]
    agent = ", ".join(f"{name} {value}" for name, value in settings["agent"].items())
    rows = [
        ("algorithm", f"{algorithm(settings)}, {settings['n_envs']} environments side by side"),
        ("arguments", agent),
        ("seed", settings["seed"]),
        ("program", f"digest {facts['digest']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())),
    ]
    return table(
        (),
        [(text(name), f'<span style="white-space:normal">{text(value)}</span>') for name, value in rows],
    )


def _chosen(played: int, seed: int) -> str:
    if played == 1:
        return f"This is the first episode played with seed {seed}."
    return f"This is episode {played} played with seed {seed}; those before it were no successes."
