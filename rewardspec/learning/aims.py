"""What a program leaves to be learned and what that is for: a payment, or a critic's target."""

from __future__ import annotations

from rewardspec.errors import Problem, UnsupportedError
from rewardspec.ir.program import Program
from rewardspec.kinds.feedback import Feedback
from rewardspec.kinds.reward_model import Stored


def settings_of(settings: object) -> Stored | Feedback:
    """Return a learned part's options as what they are.

    Raises:
        UnsupportedError: `needs-learner` for a kind whose learner is an agent.
    """
    if not isinstance(settings, Stored | Feedback):
        message = "a `barfi` term is learned together with the policy, by an agent of its own"
        hints = (
            "Train it: python -m agents.barfi --spec SPEC --folder RUN",
            "Then any algorithm can use what was learned: rewardspec freeze RUN > frozen.yaml",
        )
        raise UnsupportedError(Problem("needs-learner", message, hints=hints))
    return settings


def no_value_target(who: str) -> UnsupportedError:
    """Return the refusal of one whose critic cannot be given what models say."""
    message = f"`goes_into: value_target` is for PPO and A2C of stable-baselines3, not for {who}"
    hint = "Leave it out: the reward is then what the model says, as the paper describes it."
    return UnsupportedError(Problem("value-target", message, hints=(hint,)))


def targets_value(program: Program) -> bool:
    """Return whether what all models say is only what a critic is fitted to.

    Raises:
        UnsupportedError: `value-target` where it is so for some of them.
    """
    aims = [getattr(each.settings, "goes_into", "reward") == "value_target" for each in program.learned]
    if any(aims) and not all(aims):
        paid = program.learned[aims.index(False)].name
        message = (
            f"'{paid}' is paid, and another learned term is the critic's target: a critic has one target"
        )
        hint = "Say `goes_into: value_target` for every learned term, or for none."
        place = program.learned[aims.index(True)].place
        raise UnsupportedError(Problem("value-target", message, place, (hint,)))
    return any(aims)
