"""Lints of rewards that are learned from comparisons: rankings, ensembles, segments, teachers."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from rewardspec.analysis.subject import Subject
from rewardspec.errors import Problem, list_names
from rewardspec.ir import expr as ir
from rewardspec.ir.expr import Expr
from rewardspec.ir.program import Learned
from rewardspec.kinds.feedback import Feedback
from rewardspec.kinds.heron import Factor, Heron, Spread
from rewardspec.kinds.latent import Latent
from rewardspec.kinds.preferences import Preferences, Ranking, Teacher
from rewardspec.kinds.reward_model import Refreshing
from rewardspec.lowering import Path

LARGEST_EMPHASIS = 1e3
"""How much more one level may be stressed than another before the others are lost beside it."""


def lint_ensembles(subject: Subject) -> Iterator[Problem]:
    """Yield models of one member where several are meant to disagree."""
    for path, _, body in subject.of_kind(Refreshing):
        if body.model.ensemble > 1:
            continue
        if body.model.is_pessimistic:
            yield subject.finding(
                "ensemble-of-one",
                "warning",
                "the model has one member, so its least, median and mean are the same, and it has no spread",
                (*path, "model", "combine"),
                ("Say `ensemble: 5` for members that can disagree, or `combine: mean`.",),
            )
        if body.fit.flip_doubtful > 0:
            yield subject.finding(
                "ensemble-of-one",
                "warning",
                "the model has one member, so no pair is disputed, and no label is turned over for it",
                (*path, "fit", "flip_doubtful"),
                ("Say `ensemble: 5` in the model, or leave `flip_doubtful` out.",),
            )


def lint_flips(subject: Subject) -> Iterator[Problem]:
    """Yield combinations that pay for disagreement beside labels that are turned over until members agree."""
    for path, _, body in subject.of_kind(Refreshing):
        if body.fit.flip_doubtful > 0 and body.model.ensemble > 1 and _heeds_disagreement(body):
            yield subject.finding(
                "flips-against-doubt",
                "info",
                "labels that the members contradict are turned over, which makes members alike; this combination "
                "looks at where they differ",
                (*path, "fit", "flip_doubtful"),
                ("Take `smoothing: 0.1` for labels that may be wrong, or `combine: mean` beside the flips.",),
            )


def lint_segments(subject: Subject) -> Iterator[Problem]:
    """Yield segments that no episode holds, and first refreshes that find no two of them."""
    for path, _, body in subject.of_kind(Refreshing):
        where = (*path, "segment")
        if subject.horizon is not None and body.segment > subject.horizon:
            yield subject.finding(
                "segment-beyond-horizon",
                "warning",
                f"a segment has {body.segment} steps, an episode at most {subject.horizon}: there are none to compare",
                where,
                (f"A segment lies in one episode: say at most {subject.horizon} steps.",),
            )
        elif body.after < 2 * body.segment:
            yield subject.finding(
                "refresh-before-segments",
                "warning",
                f"the first refresh is after {body.after} steps, and two segments have {2 * body.segment}",
                (*path, "after"),
                (f"Say `after: {20 * body.segment}`, so that there are segments to choose from.",),
            )


def lint_rankings(subject: Subject) -> Iterator[Problem]:
    """Yield factors of a ranking that decide nothing, or leave nothing to the others."""
    for path, factors, values in _compared(subject):
        idle = yield from _idle_factors(subject, path, factors, values)
        yield from _deaf_factors(subject, path, factors, values, idle)
        margins = [factor for factor in factors if _size(factor) > 0]
        if len(factors) == 1 and margins:
            yield subject.finding(
                "margin-of-one-factor",
                "info",
                f"'{factors[0].name}' is the only factor: its margin hands no pair on, it only leaves close pairs out",
                (*path, 0, "margin"),
                (
                    "Rank a second factor, which decides those pairs, or leave the margin out to learn from all.",
                ),
            )
        elif margins and len(factors) - len(idle) > 1:
            yield subject.finding(
                "cyclic-ranking",
                "info",
                f"with the margin of '{margins[0].name}' the order may go in circles: a over b, b over c, c over a",
                (*path, factors.index(margins[0]), "margin"),
                (
                    "No reward fits such circles; `cycle_rate` in the log says how many triples form one. "
                    "Factors that count levels need no margin.",
                ),
            )


def _idle_factors(
    subject: Subject, path: Path, factors: Sequence[Factor], values: Sequence[Expr]
) -> Generator[Problem, None, set[int]]:
    """Yield factors that never decide; return their indices."""
    idle: set[int] = set()
    for i, (factor, value) in enumerate(zip(factors, values, strict=True)):
        interval = subject.ranges.of(value)
        if interval.is_constant:
            idle.add(i)
            yield subject.finding(
                "constant-factor",
                "info" if len(factors) > 1 else "warning",
                f"'{factor.name}' is always {interval.low:g}, so it never tells two segments apart",
                (*path, i, "value"),
                ("Leave it out, or correct the `range` of the signal that it reads.",),
            )
            continue
        if interval.is_bounded and not isinstance(factor.margin, Spread) and factor.margin >= interval.width:
            idle.add(i)
            yield subject.finding(
                "margin-beyond-range",
                "warning",
                f"'{factor.name}' lies in {interval} and its margin is {factor.margin:g}: it never decides",
                (*path, i, "margin"),
                (f"Say a margin below {interval.width:g}, or in standard deviations, as in `{{std: 0.5}}`.",),
            )
            continue
        for j in range(i):
            if j not in idle and _same_order(values[j], value) and _covers(factors[j], factor):
                idle.add(i)
                yield subject.finding(
                    "repeated-factor",
                    "warning",
                    f"'{factor.name}' compares what '{factors[j].name}' has compared before it: it never decides",
                    (*path, i, "value"),
                    ("Leave it out, or give it a smaller margin than the first.",),
                )
                break
    return idle


def _deaf_factors(
    subject: Subject, path: Path, factors: Sequence[Factor], values: Sequence[Expr], idle: set[int]
) -> Iterator[Problem]:
    """Yield the first factor after which the others are heard on exact ties alone."""
    for i, (factor, value) in enumerate(zip(factors[:-1], values, strict=False)):
        rest = [later.name for k, later in enumerate(factors) if k > i and k not in idle]
        if i not in idle and rest and _size(factor) == 0 and not is_whole(value):
            yield subject.finding(
                "decides-alone",
                "info",
                f"any difference in '{factor.name}' decides: {list_names(rest)} matter only where it is exactly equal",
                (*path, i),
                ("With a margin, as in `margin: {std: 0.5}`, close pairs are left to the next factor.",),
            )
            return


def lint_emphasis(subject: Subject) -> Iterator[Problem]:
    """Yield an emphasis on a first factor that does not count levels, or whose levels are too far apart."""
    for path, _, body in subject.of_kind(Heron):
        learned = _learned(subject, path)
        if body.emphasis == 1.0 or learned is None:
            continue
        value, name = learned.measures[0][1], body.factors[0].name
        levels = subject.ranges.of(value)
        if (
            levels.is_bounded
            and (most := max(body.emphasis, 1 / body.emphasis) ** levels.width) > LARGEST_EMPHASIS
        ):
            yield subject.finding(
                "emphasis-too-large",
                "warning",
                f"'{name}' lies in {levels}: at one end rewards are stressed {most:.2g} times as much as at the other",
                (*path, "emphasis"),
                (
                    f"An emphasis of {LARGEST_EMPHASIS ** (1 / levels.width):.3g} stresses them 1000 times as much.",
                ),
            )
        elif not is_whole(value):
            yield subject.finding(
                "emphasis-without-levels",
                "info",
                f"the emphasis is raised to the power of '{name}', which need not be a whole number",
                (*path, "emphasis"),
                (
                    "It is meant for a first factor that counts levels, such as tests passed. Use floor(x), or say 1.",
                ),
            )


def lint_value_targets(subject: Subject) -> Iterator[Problem]:
    """Yield models that only a critic hears of where nothing else is paid."""
    if any(not _reads_learned(term.expr) for term in subject.program.terms):
        return
    for path, _, body in subject.of_kind(Heron):
        if body.goes_into == "value_target":
            yield subject.finding(
                "value-target-alone",
                "warning",
                "this term pays nothing, and there is no other: advantages are of rewards of 0",
                (*path, "goes_into"),
                (
                    "The script that it repeats pays the environment's reward: add `- markov: reward`. "
                    "Or leave `goes_into` out.",
                ),
            )


def lint_teachers(subject: Subject) -> Iterator[Problem]:
    """Yield teachers whose labels are wrong as often as right."""
    for path, _, body in subject.of_kind(Preferences):
        if isinstance(body.labels, Teacher) and body.labels.mistakes >= 0.5:
            yield subject.finding(
                "labels-worse-than-chance",
                "error",
                f"{body.labels.mistakes:.0%} of the labels are turned over: what is learned is chance, or the reverse",
                (*path, "labels", "mistakes"),
                ("Say less than 0.5; 0.1 is what B-Pref's mistaken teacher does.",),
            )


def lint_returns(subject: Subject) -> Iterator[Problem]:
    """Yield rewards learned from returns of episodes that all have one length."""
    for path, _, _ in subject.of_kind(Latent):
        if subject.horizon is not None and subject.ends_early is False and not subject.program.ends:
            number = subject.horizon
            yield subject.finding(
                "equal-lengths",
                "info",
                f"every episode has {number} steps: a reward of c a step and one of {number} c at the end are the same"
                " to what is learned",
                (*path, "factors"),
                (
                    "What it pays is right up to such a constant: do not carry it over to where episodes end early.",
                ),
            )


def lint_feedback(subject: Subject) -> Iterator[Problem]:
    """Yield messages that are paid without end, and options that the model does not read."""
    for path, _, body in subject.of_kind(Feedback):
        if body.power <= 1:
            yield subject.finding(
                "message-paid-again",
                "warning",
                f"a message that is shown again is paid 1 / n^{body.power:g} of its value at the n-th time: "
                "what it pays in an episode has no bound",
                (*path, "power") if "power" in body.model_fields_set else path,
                ("Say a power above 1; the paper's is 3.",),
            )
        if body.model == "retrieval":
            unread = [name for name in ("network", "fit") if name in body.model_fields_set]
            for name in unread:
                yield subject.finding(
                    "network-unread",
                    "info",
                    f"`model: retrieval` fits no network, so '{name}' is not read",
                    (*path, name),
                    ("Say `model: classification` or `model: ranking`, or leave it out.",),
                )


def rankings(subject: Subject) -> Iterator[tuple[Path, Sequence[Factor]]]:
    """Yield every ranking: where its list stands, and its factors."""
    for path, _, body in subject.of_kind(Refreshing):
        if isinstance(body, Heron):
            yield (*path, "factors"), body.factors
        elif isinstance(body, Preferences) and isinstance(body.labels, Ranking):
            yield (*path, "labels", "ranking"), body.labels.ranking


def _compared(subject: Subject) -> Iterator[tuple[Path, Sequence[Factor], Sequence[Expr]]]:
    """Yield every ranking with what its factors compute."""
    for path, factors in rankings(subject):
        learned = _learned(subject, path[:-1] if path[-1] == "factors" else path[:-2])
        if learned is not None:
            yield path, factors, [value for _, value in learned.measures]


def _learned(subject: Subject, path: Path) -> Learned | None:
    """Return what the learned term at a path declares."""
    settings = next(term.body for where, term in subject.terms if where == path)
    place = subject.spec.place(path)
    fitting = [one for one in subject.program.learned if one.settings == settings]
    return next((one for one in fitting if one.place == place), fitting[0] if fitting else None)


def _heeds_disagreement(body: Refreshing) -> bool:
    """Say whether a combination pays less where members differ; a median and a mean do not."""
    return body.model.is_pessimistic and body.model.combine != "median"


def _reads_learned(expr: Expr) -> bool:
    """Say whether an expression depends on what a model says."""
    return any(isinstance(node, ir.Field) and node.root == "learned" for node in ir.walk(expr))


def _size(factor: Factor) -> float:
    """Return a margin's number, whatever its unit."""
    return factor.margin.std if isinstance(factor.margin, Spread) else factor.margin


def _covers(first: Factor, second: Factor) -> bool:
    """Say whether a pair that the first factor leaves open is left open by the second, of the same value."""
    same_unit = isinstance(first.margin, Spread) == isinstance(second.margin, Spread)
    return _size(first) == 0 or (same_unit and _size(first) <= _size(second))


def _same_order(a: Expr, b: Expr) -> bool:
    """Say whether two values differ alike between any two segments, in the one direction or in the other."""
    return a == b or ir.Unary("neg", a) == b or a == ir.Unary("neg", b)


def is_whole(expr: Expr) -> bool:
    """Say whether an expression surely is a whole number: a truth value, a count, or made of such.

    Example:
        >>> is_whole(ir.Compare("gt", ir.Field("reward"), ir.ZERO)), is_whole(ir.Field("reward"))
        (True, False)
    """
    match expr:
        case ir.Const(value):
            return float(value).is_integer()
        case ir.Field(root):
            return root in ("terminated", "truncated", "label")
        case ir.Holds() | ir.Compare() | ir.Logic() | ir.Ended():
            return True
        case ir.Unary(_, x):
            return is_whole(x)
        case ir.Binary(op, a, b):
            return op == "floordiv" or (op in ("add", "sub", "mul") and is_whole(a) and is_whole(b))
        case ir.Where(_, a, b):
            return is_whole(a) and is_whole(b)
        case ir.Combine(_, args):
            return all(is_whole(arg) for arg in args)
        case ir.Call(name, args):
            return name in ("floor", "ceil", "sign") or (name == "abs" and is_whole(args[0]))
        case ir.Reduce(op, x):
            return op in ("count", "any", "all") or (op in ("sum", "min", "max") and is_whole(x))
    return False
