"""The codes of what a trained agent's episodes say against its spec: signs of a farmed reward."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

FARMING: dict[str, Explanation] = {
    "farmed-loop": Explanation(
        "Half or more of all that the trained agent is paid (potentials apart) is paid for going round: from a "
        "situation back to the very same one, the spec's memory included, three times an episode or more. Standing "
        "still is a loop of one step. The warning names the term, and of a reward machine the edges, that pay.",
        "$ rewardspec train bucket.yaml   # markov: 0.22 if on_bucket else reward",
        "$ rewardspec train bucket.yaml   # once: on_bucket",
        "warning",
    ),
    "farmed-state": Explanation(
        "Half or more of all that the trained agent is paid (potentials apart) is paid for coming back to places "
        "where it was before in the same episode, to one of them three times or more. The spec's memory is another "
        "each time (a counter runs), or else this would be told as a loop.",
        "$ rewardspec train visits.yaml   # markov: 1 + 0.1 * visits on the same cell",
        "$ rewardspec train visits.yaml   # submodular coverage of the cells",
        "warning",
    ),
    "concentrated-reward": Explanation(
        "One term has 95 % or more of all that the terms earned in the trained agent's episodes, and another one that "
        "could pay paid nothing at all. Left out are potentials and terms that can only take.",
        "$ rewardspec train alive.yaml   # markov: 1, beside a goal that pays 1",
        "$ rewardspec train alive.yaml   # the goal pays more than an episode of staying alive",
        "warning",
    ),
    "rising-without-success": Explanation(
        "Over the run the spec's return rose (the last third of the rows of progress is above the first by three "
        "standard errors and a fifth), and the rate of successes, which the environment tells, did not: it rose by 2 "
        "points at most and is below a half.",
        "$ rewardspec train door.yaml   # pays for every step beside the door",
        "$ rewardspec train door.yaml   # pays progress towards the door as a potential",
        "warning",
    ),
}
