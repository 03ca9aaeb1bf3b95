"""Labels where several agents act: each agent's own, and those of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewardspec.errors import MismatchError, Place, Problem, UnsupportedError, list_names
from rewardspec.labels import refuse_environment
from rewardspec.labels.environment import NEEDED, refuse_names
from rewardspec.team.resolve import KEY
from rewardspec.transition import Transition
from rewardspec.wrappers.labelling import ordered_labels

if TYPE_CHECKING:
    from rewardspec.team.compile import TeamProgram
    from rewardspec.wrappers.seats import Running, Seat

AgentLabel = Callable[[Any, "str | None", Transition], "Mapping[str, bool] | Iterable[str]"]
"""A labelling function: environment, agent (None for all together), transition -> what is true."""


@dataclass(frozen=True)
class TeamLabels:
    """What gives labels, and who needs which.

    Attributes:
        env: The environment, without the spec's wrapper.
        wanted: Per agent, the labels that its own program reads; under None those of the joint one.
        of_others: Per agent, the labels that programs of others read of it.
        label: The user's function; None where the environment says its labels itself.
    """

    env: Any
    wanted: Mapping[str | None, tuple[str, ...]]
    of_others: Mapping[str, tuple[str, ...]]
    label: AgentLabel | None

    @staticmethod
    def of(
        env: Any,
        team: TeamProgram,
        seats: Mapping[str, Seat],
        joint: Running | None,
        label: AgentLabel | None,
    ) -> TeamLabels | None:
        """Return what gives the labels that programs read; None where none reads any.

        Raises:
            MismatchError: `missing-label-function`, `labeller-mismatch`, `unknown-label`.
            UnsupportedError: `parallel-labeller` for a labeller of single environments.
        """
        wanted: dict[str | None, tuple[str, ...]] = {
            name: seat.own.layout.labels for name, seat in seats.items() if seat.own.layout.labels
        }
        if joint is not None and joint.layout.labels:
            wanted[None] = joint.layout.labels
        running = [*(r for seat in seats.values() for r in seat.shown()), *([joint] if joint else [])]
        of_others: dict[str, dict[str, Place]] = {}
        for program in running:
            for field in program.layout.shapes:
                if (
                    field.root == "info"
                    and field.path[:1] == (KEY,)
                    and field.path[2:3] == ("label",)
                    and len(field.path) == 4
                ):
                    of_others.setdefault(str(field.path[1]), {})[str(field.path[3])] = field.place
        if not wanted and not of_others:
            return None
        places = {
            str(f.path[0]): f.place for r in running for f in r.layout.shapes if f.root == "label"
        } | dict(item for found in of_others.values() for item in found.items())
        if label is None:
            _refuse_unlabelled(env, team, places)
        return TeamLabels(env, wanted, {name: tuple(found) for name, found in of_others.items()}, label)

    def read(
        self, step: Any, before: dict[str, Any], after: dict[str, Any], actions: dict[str, Any]
    ) -> dict[str | None, tuple[bool, ...]]:
        """Return the truth values of each program's labels, in its order; tell others' in the step's table."""
        found: dict[str | None, tuple[bool, ...]] = {}
        for name in (*step.acting, None):
            own, told = self.wanted.get(name, ()), self.of_others.get(name or "", ())
            names = tuple(dict.fromkeys((*own, *told)))
            if not names:
                continue
            if name is None:
                transition = Transition(before, actions, after, dict(step.own), info=dict(step.infos))
            else:
                ends = bool(step.terminated.get(name, False)), bool(step.truncated.get(name, False))
                moved = before[name], actions[name], after[name], step.own.get(name, 0.0)
                transition = Transition(*moved, *ends, info=step.infos.get(name, {}))
            said = (
                self.env.unwrapped.labels(name)
                if self.label is None
                else self.label(self.env, name, transition)
            )
            if isinstance(said, Iterator):
                said = list(said)
            truth = dict(zip(names, ordered_labels(said, names), strict=True))
            found[name] = tuple(truth[label] for label in own)
            if told and name is not None:
                step.table[name]["label"] = {label: float(truth[label]) for label in told}
        return found


def _refuse_unlabelled(env: Any, team: TeamProgram, places: Mapping[str, Place]) -> None:
    """Raise where nothing gives the labels that programs read."""
    place = next(iter(places.values()))
    if team.labels == "environment":
        refuse_environment("environment", env, "an environment that says its own labels", NEEDED)
        refuse_names(places, tuple(env.unwrapped.label_names), type(env.unwrapped).__name__)
        return
    if team.labels is not None:
        hint = (
            "Give label=fn to wrap_parallel, or have the environment say its labels: `labels: environment`."
        )
        message = f"the labeller '{team.labels}' reads an environment of one agent"
        raise UnsupportedError(Problem("parallel-labeller", message, place, (hint,)))
    hint = "Pass label=fn to wrap_parallel, or `env: {labels: environment}` where the environment says them."
    message = f"the spec leaves {list_names(places)} to a labelling function, and none is given"
    raise MismatchError(Problem("missing-label-function", message, place, (hint,)))
