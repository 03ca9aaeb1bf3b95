"""Many games of several agents side by side, each agent a row, as stable-baselines3 takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rewardspec.errors import MismatchError, Place, Problem, UnsupportedError, missing_extra
from rewardspec.ir.program import Observe
from rewardspec.parallel_environments import make_parallel_environment
from rewardspec.team.roster import no_such_agent
from rewardspec.wrappers.parallel import ParallelRewardSpec, TeamLike, as_team, wrap_parallel
from rewardspec.wrappers.team_labels import AgentLabel

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError:
    raise missing_extra("stable-baselines3", "sb3", "make_parallel_vec") from None

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

PICTURE = 36
"""Height and width from which an array of bytes is a picture: the least that SB3's CNN takes."""


class Game:
    """One environment that seeds every episode from (stream, number), notes its actions and sums it up at its end.

    An environment whose episodes depend on their seeds and actions alone can therefore be brought back to the middle of
    an episode, in another process, from a few numbers: `where` gives them, `go_back_to` takes them.

    Attributes:
        env: The wrapped environment.
        observations: What each agent saw last.
        episode: The sums of the last episode that ended; None before.
    """

    def __init__(self, env: ParallelRewardSpec) -> None:
        """Take an environment; it is reset by `begin`."""
        self.env = env
        self.observations: dict[str, Any] = {}
        self.episode: dict[str, Any] | None = None
        self._stream, self._number = 0, -1
        self._actions: list[dict[str, Any]] = []
        self._told: dict[str, dict[str, Any]] = {}
        self._success: list[bool] = []
        self._began = time.monotonic()

    def begin(self, stream: int | None = None) -> None:
        """Begin the next episode; a stream begins another sequence of them."""
        if stream is not None:
            self._stream, self._number = stream, -1
        self._number += 1
        self._actions, self._told, self._success = [], {}, []
        drawn = np.random.SeedSequence((self._stream, self._number)).generate_state(1)[0]
        self.observations, _ = self.env.reset(seed=int(drawn >> 1))

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        """Step; when nobody is left, sum the episode up. The next one is begun by whoever asks for it."""
        self._actions.append(actions)
        given = self.env.step(actions)
        self.observations = dict(given[0])
        for name, info in given[4].items():
            if "paid" in info.get("rewardspec", {}):
                self._told[name] = info["rewardspec"]
                said = info.get("is_success", info.get("success"))
                self._success += [] if said is None else [bool(said)]
        if not self.env.agents:
            self.episode = self._sum_up(any(given[2].values()))
        return given

    def _sum_up(self, terminated: bool) -> dict[str, Any]:
        """Return the episode as `Monitor` and the run's progress take it: means over agents, and each one's return."""
        told = list(self._told.values())
        terms: dict[str, list[float]] = {}
        for one in told:
            parts = {"": one["return"], "joint/": one.get("joint", {}), "share/": one.get("share", {})}
            for prefix, totals in parts.items():
                for name, total in totals.items():
                    terms.setdefault(prefix + name, []).append(total)
        return {
            "r": float(np.mean([one["paid"] for one in told])) if told else 0.0,
            "l": len(self._actions),
            "t": round(time.monotonic() - self._began, 3),
            "task_return": float(np.mean([one["task_return"] for one in told])) if told else 0.0,
            "success": all(self._success) if self._success else None,
            "terms": {name: float(np.mean(totals)) for name, totals in terms.items()},
            "measures": {
                **{f"return of {name}": float(one["paid"]) for name, one in self._told.items()},
                "terminated": float(terminated),
            },
        }

    def where(self) -> dict[str, Any]:
        """Return where the environment is, as plain data."""
        actions = [{name: np.asarray(a).tolist() for name, a in step.items()} for step in self._actions]
        state = self.env.run_state()
        return {"stream": self._stream, "number": self._number, "actions": actions, "run_state": state}

    def go_back_to(self, where: Mapping[str, Any]) -> None:
        """Play the episode that `where` describes again, up to the step at which it was taken."""
        self._stream, self._number = int(where["stream"]), int(where["number"]) - 1
        self.begin()
        for step in where["actions"]:
            types = {name: getattr(self.env.action_space(name), "dtype", None) for name in step}
            self.step({name: np.asarray(action, types[name]) for name, action in step.items()})
        self.env.load_run_state(where["run_state"])


class Rows:
    """Games side by side whose agents are rows: group by group, game by game, agent by agent.

    Attributes:
        games: The games.
        groups: Group -> its agents. All of a group see and do the same sort of thing.
        observation_space: Group -> space of a row's observation, flat float32 where it is no picture.
        action_space: Group -> space of a row's action.
        alive: Group -> `[rows]` whether the row's agent acts on the next step.
    """

    def __init__(
        self, games: Sequence[Game], groups: Mapping[str, Sequence[str]], *, indicator: bool = False
    ) -> None:
        """Lay the rows out.

        Args:
            games: Games of the same agents.
            groups: Group -> agents.
            indicator: Whether a vector observation ends with one truth value for each agent of the group: which it is.

        Raises:
            UnsupportedError: `unfit-spaces` when agents of a group differ.
        """
        self.games = list(games)
        self.groups = {group: tuple(names) for group, names in groups.items()}
        env = self.games[0].env
        for group, names in self.groups.items():
            refuse_different(env, names, group)
        self._indicated = {
            group: indicator and len(names) > 1 and not _is_picture(env.observation_space(names[0]))
            for group, names in self.groups.items()
        }
        self._spaces = {group: env.observation_space(names[0]) for group, names in self.groups.items()}
        self.observation_space = {group: self._row_space(group) for group in self.groups}
        self.action_space = {group: env.action_space(names[0]) for group, names in self.groups.items()}
        self.alive: dict[str, Booleans] = {}

    def rows(self, group: str) -> int:
        """Return the number of rows of a group."""
        return len(self.games) * len(self.groups[group])

    def reset(self, seed: int | None = None) -> dict[str, Any]:
        """Begin every game anew; game i plays the stream `seed + i`."""
        for i, game in enumerate(self.games):
            game.begin(None if seed is None else seed + i)
        return self.now()

    def now(self) -> dict[str, Any]:
        """Return what every row sees; zeros for agents that do not act."""
        self.alive = {
            group: np.array([name in game.env.agents for game in self.games for name in names])
            for group, names in self.groups.items()
        }
        return {
            group: np.stack(
                [
                    self.encode(group, k, game.observations.get(name) if name in game.env.agents else None)
                    for game in self.games
                    for k, name in enumerate(names)
                ]
            )
            for group, names in self.groups.items()
        }

    def step(
        self, actions: Mapping[str, Any]
    ) -> dict[str, tuple[Any, Floats, Booleans, list[dict[str, Any]]]]:
        """Step all games; one that nobody is left in begins its next episode at once.

        Args:
            actions: Group -> `[rows, ...]`; what stands in rows of agents that do not act is not read.

        Returns:
            Group -> observations, rewards `[rows]`, whether the row's episode is over `[rows]`, infos. The last info of
            an agent has `terminal_observation` and `TimeLimit.truncated`; that of the game's first row of all has
            `episode` when the game is over. Rows of agents that did not act are paid 0 and are over.
        """
        acted = {group: here.copy() for group, here in self.alive.items()}
        rewards = {group: np.zeros(self.rows(group), np.float32) for group in self.groups}
        over = {group: ~here for group, here in acted.items()}
        infos: dict[str, list[dict[str, Any]]] = {
            group: [{} for _ in range(self.rows(group))] for group in self.groups
        }
        first = next(iter(self.groups))
        for i, game in enumerate(self.games):
            taken = {
                name: actions[group][i * len(names) + k]
                for group, names in self.groups.items()
                for k, name in enumerate(names)
                if acted[group][i * len(names) + k]
            }
            given = game.step(taken)
            for group, names in self.groups.items():
                for k, name in enumerate(names):
                    row = i * len(names) + k
                    if not acted[group][row] or name not in given[1]:
                        continue
                    ended, cut = bool(given[2][name]), bool(given[3][name])
                    rewards[group][row], over[group][row] = given[1][name], ended or cut
                    infos[group][row] = dict(given[4][name])
                    if ended or cut:
                        infos[group][row]["terminal_observation"] = self.encode(group, k, given[0][name])
                        infos[group][row]["TimeLimit.truncated"] = cut and not ended
            if not game.env.agents:
                infos[first][i * len(self.groups[first])]["game"] = game.episode
                game.begin()
        seen = self.now()
        return {group: (seen[group], rewards[group], over[group], infos[group]) for group in self.groups}

    def encode(self, group: str, k: int, obs: Any) -> Any:
        """Return a row's observation: flat float32, or a picture as it is; zeros for None."""
        space = self.observation_space[group]
        if obs is None:
            return np.zeros(space.shape, space.dtype)
        if _is_picture(self._spaces[group]):
            return obs
        flat = np.asarray(spaces.flatten(self._spaces[group], obs), np.float32).reshape(-1)
        if not self._indicated[group]:
            return flat
        which = np.zeros(len(self.groups[group]), np.float32)
        which[k] = 1.0
        return np.concatenate([flat, which])

    def _row_space(self, group: str) -> spaces.Space[Any]:
        space = self._spaces[group]
        if _is_picture(space):
            return space
        try:
            flat: Any = spaces.flatten_space(space)
            low, high = flat.low.reshape(-1), flat.high.reshape(-1)
        except (NotImplementedError, AttributeError):
            text = f"agents of '{group}' see {space}, which is no vector"
            raise UnsupportedError(Problem("unfit-spaces", text)) from None
        extra = len(self.groups[group]) if self._indicated[group] else 0
        return spaces.Box(
            np.concatenate([low, np.zeros(extra)]).astype(np.float32),
            np.concatenate([high, np.ones(extra)]).astype(np.float32),
            dtype=np.float32,
        )


def fresh_stream() -> int:
    """Return the number of a stream of episodes that nobody has asked for."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def refuse_different(env: ParallelRewardSpec, names: Sequence[str], group: str) -> None:
    """Raise when agents that are to share a policy see or do different sorts of thing.

    Raises:
        UnsupportedError: `unfit-spaces`, which names them.
    """
    for what, space_of in (("see", env.observation_space), ("do", env.action_space)):
        different = [name for name in names if space_of(name) != space_of(names[0])]
        if different:
            odd = different[0]
            hints = (
                "Give them policies of their own: `--policies entry` or `independent`, or choose those that are alike: "
                "agents='adversary_*'.",
            )
            message = (
                f"'{names[0]}' and '{odd}' cannot share a policy ({group}): they {what} {space_of(names[0])} and "
                f"{space_of(odd)}"
            )
            raise UnsupportedError(Problem("unfit-spaces", message, hints=hints))


def _is_picture(space: spaces.Space[Any]) -> bool:
    shape = space.shape or ()
    return space.dtype == np.uint8 and len(shape) == 3 and min(shape[:2]) >= PICTURE


def make_games(
    env: str | Callable[[], Any],
    spec: TeamLike,
    n_envs: int,
    *,
    label: AgentLabel | None = None,
    observe: Observe | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    trusted: bool = True,
) -> list[Game]:
    """Return games side by side, wrapped by one compiled spec; schedules count the steps of all.

    `trusted` says whether the name may be that of a module, whose code is run.
    """
    if n_envs < 1:
        raise UnsupportedError(
            Problem("too-few-environments", f"n_envs must be at least 1, and this is {n_envs}")
        )
    given: object = env
    if not (isinstance(given, str) or callable(given)):
        hint = "Give a name, or a function that makes one: make_parallel_vec(lambda: MyGame(), spec)."
        message = (
            f"`make_parallel_vec` makes the environments itself, and a {type(given).__name__} is one already"
        )
        raise UnsupportedError(Problem("not-an-environment", message, hints=(hint,)))
    team = as_team(spec)
    games = []
    for _ in range(n_envs):
        inner = (
            make_parallel_environment(env, trusted=trusted, **(env_kwargs or {}))
            if isinstance(env, str)
            else env()
        )
        wrapped = wrap_parallel(inner, team, label=label, observe=observe)
        wrapped.count_together(n_envs)
        games.append(Game(wrapped))
    return games


def make_parallel_vec(
    env: str | Callable[[], Any],
    spec: TeamLike,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    agents: str = "*",
    others: Callable[[str, Any], Any] | None = None,
    indicator: bool = False,
    label: AgentLabel | None = None,
    observe: Observe | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> VecEnv:
    r"""Return a stable-baselines3 vector in which every agent of every game is a row, for one policy of all.

    Args:
        env: Name of a PettingZoo environment (see `make_parallel_environment`), or a function that makes one.
        spec: A spec with or without `agents:`.
        n_envs: Games side by side.
        seed: Game i plays the stream of episodes `seed + i`; None for fresh randomness.
        agents: Name or pattern of the agents that are rows.
        others: How the rest act: `(agent, observation) -> action`; at random without.
        indicator: Whether an observation ends with one truth value per agent: which it is.
        label: As for `wrap_parallel`.
        observe: As for `wrap_parallel`.
        env_kwargs: Arguments for the environment when `env` is a name.

    Returns:
        The vector. An episode is over for a row when its agent is; `info["episode"]` sums it up as `Monitor` does.

    Raises:
        UnsupportedError: `unfit-spaces`: agents that differ in their spaces cannot be rows of one vector.
        MismatchError: `no-such-agent`, and as `wrap_parallel`.

    Example:
        >>> from rewardspec.vocabulary import loads
        >>> venv = make_parallel_vec("mpe2/simple_spread_v3", loads("reward: reward"), n_envs=2, seed=0)
        >>> venv.reset().shape
        (6, 18)
    """
    games = make_games(env, spec, n_envs, label=label, observe=observe, env_kwargs=env_kwargs)
    known = games[0].env.possible_agents
    names = [name for name in known if fnmatchcase(name, agents)]
    if not names:
        raise MismatchError(no_such_agent(agents, known, Place()))
    return AgentRows(games, names, seed, indicator, others)


class AgentRows(VecEnv):
    """Agents as rows of a vector; made by `make_parallel_vec`.

    Attributes:
        rows: The games and their layout.
    """

    def __init__(
        self,
        games: Sequence[Game],
        names: Sequence[str],
        seed: int | None = None,
        indicator: bool = False,
        others: Callable[[str, Any], Any] | None = None,
    ) -> None:
        """Take the games; the first reset begins them."""
        rest = [name for name in games[0].env.possible_agents if name not in names]
        groups = {"rows": names, **{f"other {name}": [name] for name in rest}}
        self.rows = Rows(games, groups, indicator=indicator)
        self.names, self._rest, self._others = tuple(names), rest, others
        self._begun = False
        self._stream = fresh_stream() if seed is None else seed
        self._returns = np.zeros(self.rows.rows("rows"))
        self._lengths = np.zeros(self.rows.rows("rows"), np.int64)
        for name in rest:
            games[0].env.action_space(name).seed(seed)
        super().__init__(
            self.rows.rows("rows"), self.rows.observation_space["rows"], self.rows.action_space["rows"]
        )

    def reset(self) -> Any:
        """Begin every game anew."""
        seen = self.rows.reset(self._stream if not self._begun else None)
        self._begun = True
        self._returns[:], self._lengths[:] = 0.0, 0
        return seen["rows"]

    def step_async(self, actions: Any) -> None:
        """Keep the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, Floats, Booleans, list[dict[str, Any]]]:
        """Step all games: observations, rewards, whether rows are over, infos."""
        acted = self.rows.alive["rows"].copy()
        actions: dict[str, Any] = {"rows": self._actions}
        for name in self._rest:
            actions[f"other {name}"] = [self._act(name, game) for game in self.rows.games]
        seen, rewards, over, infos = self.rows.step(actions)["rows"]
        self._returns += rewards
        self._lengths += acted
        for row in np.flatnonzero(over & acted):
            ended = {"r": float(self._returns[row]), "l": int(self._lengths[row]), "t": 0.0}
            infos[row]["episode"] = ended
            self._returns[row], self._lengths[row] = 0.0, 0
        return seen, rewards, over, infos

    def _act(self, name: str, game: Game) -> Any:
        if name not in game.env.agents:
            return None
        if self._others is not None:
            return self._others(name, game.observations[name])
        return self.rows.games[0].env.action_space(name).sample()

    def close(self) -> None:
        """Close every environment."""
        for game in self.rows.games:
            game.env.close()

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Have game i play the stream `seed + i` from the next reset on."""
        self._stream, self._begun = fresh_stream() if seed is None else seed, False
        return [None if seed is None else seed + i for i in range(len(self.rows.games))]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of each row's environment."""
        return [getattr(game.env, attr_name) for game in self._games_of(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of each row's environment."""
        for game in self._games_of(indices):
            setattr(game.env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call a method of each row's environment."""
        return [getattr(game.env, method_name)(*args, **kwargs) for game in self._games_of(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return whether rows keep episodes' sums, as SB3 asks of `Monitor`; they do."""
        return [wrapper_class.__name__ == "Monitor" for _ in self._games_of(indices)]

    def _games_of(self, indices: Any) -> list[Game]:
        rows = range(self.num_envs) if indices is None else np.atleast_1d(indices)
        return [self.rows.games[int(row) // len(self.names)] for row in rows]
