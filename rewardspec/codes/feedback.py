"""The codes of rewards for messages: where a message stands, and the questions about it."""

from __future__ import annotations

from rewardspec.codes.explanation import Explanation

FEEDBACK: dict[str, Explanation] = {
    "not-a-message": Explanation(
        "A `feedback` term pays for what the game says on a step: a text, or a row of bytes, that stands at one place "
        "of the next observation or of the info. Nothing is computed from it.",
        "reward: {feedback: {task: Find the way out., message: next_obs.message + 1}}\n",
        "reward: {feedback: {task: Find the way out., message: next_obs.message}}\n",
    ),
    "no-message": Explanation(
        "Where the spec says that the message stands, this environment has no text and no row of bytes.",
        ">>> RewardLearner('rooms.yaml').wrap(gym.make('CartPole-v1'))  # message: next_obs.message",
        ">>> RewardLearner('rooms.yaml').wrap(gym.make('MiniHack-KeyRoom-S5-v0', "
        "observation_keys=('chars', 'message')))",
    ),
    "needs-messages": Explanation(
        "Environments that live on a device are tensors: they show no messages that a `feedback` term could pay for.",
        ">>> RewardLearner('rooms.yaml').wrap_tensor(tenv)",
        ">>> RewardLearner('rooms.yaml').wrap(env)",
    ),
    "broken-queue": Explanation(
        "The files in which a learner and the annotator beside it keep questions and answers cannot be read: "
        "something else has written into them.",
        "$ echo hello >> runs/rooms/feedback/feedback-1234abcd/answers.jsonl",
        "$ rm runs/rooms/feedback/feedback-1234abcd/answers.jsonl  # what was answered is asked anew",
    ),
}
