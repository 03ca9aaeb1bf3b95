"""A cell that trains one agent, or one team, by `rewardspec.training`: from the start, or on from a checkpoint."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.records import Setting, scratch
from rewardspec import Spec
from rewardspec.training.folder import RunFolder


def trained(
    experiment: str, setting: Setting, seed: int, spec: Spec, *, policies: str | None = None, **arguments: Any
) -> RunFolder:
    """Train on a spec, or go on from the newest checkpoint of the same cell; return the run folder.

    Args:
        experiment: The experiment's name.
        setting: Its `steps` are how long the training is.
        seed: Seed of everything random.
        spec: What is paid.
        policies: Who of several agents has a policy; None where one agent acts.
        arguments: What `rewardspec.training.loop.train` takes besides; `train_team`, where there are policies.
    """
    from rewardspec.training.loop import resume, train
    from rewardspec.training.team_loop import resume_team, train_team

    folder = RunFolder(scratch(experiment, setting, seed))
    begin: Any = train
    go_on: Any = resume
    if policies is not None:
        begin, go_on = partial(train_team, policies=policies), resume_team
    if folder.is_run:
        go_on(folder.path, show=False)
    else:
        begin(spec, folder.path, steps=setting["steps"], seed=seed, show=False, **arguments)
    return folder
