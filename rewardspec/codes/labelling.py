"""The codes of asking people: what a run, its questions or this machine lack."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

LABELLING: dict[str, Explanation] = {
    "asks-nobody": Explanation(
        "`rewardspec label` shows the questions of a run that learns from people's answers. No term of this run's spec "
        "does: its rewards are written down, or learned from a ranking or a simulated teacher.",
        "$ rewardspec label runs/pendulum  # the spec says `preferences: {labels: {teacher: reward}}`",
        "preferences: {labels: {file: answers.jsonl}}, in the spec of a new run",
    ),
    "no-questions": Explanation(
        "A run asks at its refreshes, of what it has stored by then. Before the first one, `after` steps into the run, "
        "there is nothing to show.",
        "$ rewardspec label runs/new",
        "$ rewardspec train --resume runs/new",
    ),
    "no-pictures": Explanation(
        "People compare what they see. The environment makes no pictures, or cannot make them here: a library or a "
        "screen is missing (for MuJoCo, the variable MUJOCO_GL says how it draws: `egl` or `osmesa`).",
        "$ rewardspec label runs/gridworld  # an environment without render_mode='rgb_array'",
        "class World(gymnasium.Env): metadata = {'render_modes': ['rgb_array']}",
    ),
    "not-playable": Explanation(
        "Clips are made by playing an episode again from its seed and its actions. That needs an environment whose "
        "episodes depend on nothing else, in the versions that the run was trained with, and a loop that seeds every "
        "episode, as `rewardspec train` does.",
        "$ rewardspec label runs/noisy  # an environment that draws from the clock",
        "def step(self, action): noise = self.np_random.normal()",
    ),
    "port-taken": Explanation(
        "The page of `rewardspec label` has a port, by default 8765, and something else listens there; or the address "
        "is not one of this machine's.",
        "$ rewardspec label runs/second --port 8765  # while another one runs",
        "$ rewardspec label runs/second --port 0",
    ),
}
