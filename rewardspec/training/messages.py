"""What the messages of a run were worth: which were shown how often, their labels, and what a model says of them."""

from __future__ import annotations

from pathlib import Path

from rewardspec.analysis.columns import align
from rewardspec.compiler import compile_spec
from rewardspec.ir.program import Learned
from rewardspec.kinds.feedback import Feedback
from rewardspec.training.credits import Arrays, learned_state
from rewardspec.training.folder import RunFolder
from rewardspec.vocabulary import load

SAID = {"retrieval": "worth", "classification": "probability", "ranking": "score"}
"""Model -> what it says of a message."""

SHOWN = 40
"""Messages that are listed."""


def has_feedback(place: str | Path) -> bool:
    """Return whether a run was paid for messages."""
    folder = RunFolder(place)
    return folder.spec.is_file() and any(
        isinstance(each.settings, Feedback) for each in compile_spec(load(folder.spec)).learned
    )


def describe_messages(place: str | Path) -> str:
    """Return what the models of a run say of the messages that were shown, the best first.

    Raises:
        UnsupportedError: `no-models` where the run has written no checkpoint yet.
        LearningError: `broken-checkpoint`.
    """
    folder = RunFolder(place)
    arrays = learned_state(folder)
    program = compile_spec(load(folder.spec))
    return "\n\n".join(
        _of_term(each, arrays) for each in program.learned if isinstance(each.settings, Feedback)
    )


def _of_term(learned: Learned, arrays: dict[str, Arrays]) -> str:
    """Return the table of one term."""
    import numpy as np

    from rewardspec.learning.feedback import FeedbackSource
    from rewardspec.learning.learner import under
    from rewardspec.learning.message_models import MessageModel

    options = learned.settings
    assert isinstance(options, Feedback)
    model = MessageModel(options, seed=0)
    source = FeedbackSource(learned, model, None, None, np.random.default_rng(0))
    model.take_arrays(under(f"model/{learned.name}/", arrays))
    source.take_state(under(f"source/{learned.name}/", arrays))
    codes = [code for code in model.texts if model.counts(code)]
    said = dict(zip(codes, model.of(codes), strict=True))
    best = sorted(codes, key=lambda code: (-said[code], -source.shown.get(code, 0)))[:SHOWN]
    rows = [("message", "shown", "label", SAID[options.model])]
    for code in best:
        label = source.labels.get(code)
        shown = f"{source.shown.get(code, 0):,}"
        told = "" if label is None else f"{label:g}"
        rows.append((model.texts[code][:60], shown, told, f"{said[code]:.3g}"))
    labels = len(source.pairs) if options.model == "ranking" else len(source.labels)
    what = "pairs" if options.model == "ranking" else "labels"
    head = f"{learned.name}: {len(codes)} messages, {labels} {what}, {source.unread} answers that could not be read"
    more = [f"... and {len(codes) - SHOWN} more"] if len(codes) > SHOWN else []
    return "\n".join([head, *align(rows, right=range(1, 4)), *more])
