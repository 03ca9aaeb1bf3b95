"""The command `audit`: can this reward be hacked?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec, refuse_objective
from rewardspec.cli.printing import say, write
from rewardspec.errors import MismatchError, list_names, near_miss

if TYPE_CHECKING:
    from rewardspec.analysis.audit.hacking import Audit, Point
    from rewardspec.analysis.audit.sampled import Estimate, SampledAudit
    from rewardspec.tabular.process import Process

NAMES = {"sqrt_chi2": "root of chi2", "chi2": "chi2", "kl": "KL", "tv": "total variation"}


def audit(
    spec: SpecPath,
    true: Annotated[
        str,
        typer.Option(
            metavar="SPEC", help="The true reward, a spec; without one, the environment's own reward is true."
        ),
    ] = "",
    env: Annotated[
        str, typer.Option(metavar="ID", help="A finite environment; the one that the spec names without.")
    ] = "",
    reference: Annotated[
        str,
        typer.Option(
            metavar="POLICY",
            help="What the proxy was chosen by: `uniform`, or `true:EPS` or `proxy:EPS`, an optimal policy that acts "
            "at random with probability EPS; with --optimised `random` or a run folder.",
            show_default="true:0.1; random with --optimised",
        ),
    ] = "",
    optimised: Annotated[
        str,
        typer.Option(
            metavar="RUN",
            help="Run folder of `rewardspec train` on the proxy: audit by episodes, in any environment.",
        ),
    ] = "",
    episodes: Annotated[
        int,
        typer.Option(metavar="N", min=4, max=100_000, help="Episodes of either policy, with --optimised."),
    ] = 50,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of these episodes.")] = 0,
    exact: Annotated[
        bool, typer.Option("--exact", help="Refuse whatever is not exact: no episodes, finite worlds alone.")
    ] = False,
    divergence: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Regularisers to draw: sqrt_chi2, chi2, kl, tv (repeat for more)."),
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(metavar="N", help="Discount, where the specs name none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Draw the curves (.svg or .png).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say whether optimising a spec hurts what is truly wanted.

    The spec is taken for a proxy of the true reward that looked right under a reference policy. On a finite world,
    exactly: their correlation, what the proxy's optimum earns of the true reward, at which distance from the reference
    it turns bad, and what regularisation to the reference can promise. Anywhere else by episodes of two policies, one
    of them trained on the proxy: the same questions, answered with intervals.

    Exits with 1 when the proxy is hacked: its optimum is worse than the reference.

    \b
    Example:
      rewardspec audit proxy.yaml --true wanted.yaml --env FrozenLake-v1
      rewardspec audit tomato_proxy.yaml --reference true:0.1 -o curve.svg
      rewardspec audit proxy.yaml --optimised runs/proxy --reference runs/wanted
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.analysis.audit import hacking
    from rewardspec.analysis.audit.occupancies import DIVERGENCES
    from rewardspec.analysis.compare import choose_discount
    from rewardspec.analysis.starc.joint import join
    from rewardspec.compiler import compile_spec
    from rewardspec.tabular.product import take_product
    from rewardspec.tabular.world import tabulate
    from rewardspec.vocabulary import loads

    if optimised:
        if exact or output is not None or divergence:
            word = "--exact" if exact else "--output" if output is not None else "--divergence"
            raise typer.BadParameter("is for exact audits, without --optimised", param_hint=word)
        _audit_by_episodes(spec, true, env, reference or "random", optimised, episodes, seed, gamma, as_json)
        return
    reference = reference or "true:0.1"
    kinds: list[Any] = divergence or ["sqrt_chi2", "kl"]
    for kind in kinds:
        if kind not in DIVERGENCES:
            raise typer.BadParameter(
                f"there is no '{kind}'; there are: {list_names(DIVERGENCES)}.{near_miss(kind, DIVERGENCES)}",
                param_hint="--divergence",
            )
    kind_of, epsilon = _reference(reference)
    if output is not None and output.suffix.lower() not in (".svg", ".png"):
        raise typer.BadParameter(f"'{output}' must end in .svg or .png", param_hint="--output")
    proxy_spec = read_spec(spec)
    true_spec = read_spec(Path(true)) if true else loads("name: environment\nreward: reward")
    refuse_objective("audit", proxy_spec, true_spec)
    programs = (compile_spec(true_spec), compile_spec(proxy_spec))
    rate = choose_discount(programs, gamma)
    with open_environment(proxy_spec if proxy_spec.env or env else true_spec, env) as made:
        try:
            world = tabulate(made)
        except MismatchError as error:
            from dataclasses import replace

            (problem,) = error.problems
            hint = "Train on the proxy and audit by episodes: --optimised RUN."
            if exact:
                hint = "An exact audit needs a table; without --exact, --optimised RUN audits by episodes."
            raise MismatchError(replace(problem, hints=(*problem.hints, hint))) from None
        joint = join(take_product(programs[0], world), take_product(programs[1], world))
    wanted, seen = (joint.process.expected(reward) for reward in joint.rewards)
    policy = _policy(joint.process, kind_of, epsilon, (wanted, seen), rate)
    found = hacking.audit(joint.process, wanted, seen, policy, rate, divergences=kinds)
    if output is not None:
        from rewardspec.report.audit_chart import draw_audit

        write(output, draw_audit(found, NAMES, output.suffix.lower()[1:]))
    if as_json:
        write(None, json.dumps(_data(found, programs[0].name, programs[1].name, reference, rate), indent=2))
    else:
        for line in _lines(found, programs[0].name, programs[1].name, reference):
            say(line)
    if found.is_hacked:
        raise typer.Exit(1)


def _reference(text: str) -> tuple[str, float]:
    """Return which policy is the reference, and how much it acts at random."""
    kind, _, number = text.partition(":")
    if kind == "uniform" and not number:
        return kind, 1.0
    try:
        epsilon = float(number)
    except ValueError:
        epsilon = math.nan
    if kind not in ("true", "proxy") or not 0.0 < epsilon <= 1.0:
        raise typer.BadParameter(
            f"'{text}' is none of `uniform`, `true:EPS`, `proxy:EPS` with EPS above 0 and at most 1",
            param_hint="--reference",
        )
    return kind, epsilon


def _policy(process: Process, kind: str, epsilon: float, rewards: tuple[Any, ...], discount: float) -> Any:
    from rewardspec.analysis.audit.hacking import mixed, steady_optimum
    from rewardspec.analysis.starc.canonical import random_policy

    if kind == "uniform":
        return random_policy(process)
    return mixed(steady_optimum(process, rewards[0 if kind == "true" else 1], discount), epsilon)


# -- by episodes ------------------------------------------------------------------------------------------------------


def _audit_by_episodes(
    spec: Path,
    true: str,
    env: str,
    reference: str,
    optimised: str,
    episodes: int,
    seed: int,
    gamma: float | None,
    as_json: bool,
) -> None:
    """Play both policies, audit what was paid, and say it."""
    from rewardspec.analysis.audit.sampled import audit_by_samples
    from rewardspec.analysis.compare import choose_discount
    from rewardspec.compiler import compile_spec
    from rewardspec.environments import choose_environment
    from rewardspec.training.paid_twice import play_paid
    from rewardspec.vocabulary import loads

    proxy_spec = read_spec(spec)
    true_spec = read_spec(Path(true)) if true else loads("name: environment\nreward: reward")
    refuse_objective("audit", proxy_spec, true_spec)
    programs = (compile_spec(true_spec), compile_spec(proxy_spec))
    rate = choose_discount(programs, gamma)
    named = next((one.env for one in (proxy_spec, true_spec) if one.env is not None and one.env.id), None)
    env_id, kwargs = choose_environment(env, named)
    if env_id is None:
        raise typer.BadParameter("name an environment: neither spec does", param_hint="--env")
    horizon = named.horizon if named is not None else None
    played = [
        play_paid(
            "random" if policy == "uniform" else policy,
            programs,
            env_id,
            kwargs,
            horizon=horizon,
            episodes=episodes,
            seed=seed + 1_000_003 * number,
        )
        for number, policy in enumerate((reference, optimised))
    ]
    found = audit_by_samples(played[0], played[1], rate, seed=seed)
    names = (programs[0].name, programs[1].name)
    if as_json:
        write(None, json.dumps(_sampled_data(found, names, (reference, optimised), rate), indent=2))
    else:
        for line in _sampled_lines(found, names, reference, optimised):
            say(line)
    if found.is_hacked:
        raise typer.Exit(1)


def sampled_verdict(found: SampledAudit, true: str, proxy: str) -> str:
    """Return the answer in a sentence."""
    if found.correlation.high <= 0:
        return f"'{proxy}' is no proxy of '{true}': under the reference they are not even correlated"
    if not found.is_decided:
        return f"from these episodes it cannot be told whether '{proxy}' is hacked: play more (--episodes)"
    if found.gained.low > 0:
        return f"'{proxy}' is not hacked by this policy: it earns more of '{true}' than the reference"
    if found.correlation.low <= 0:
        return f"this policy earns less of '{true}' than the reference, and whether '{proxy}' is a proxy at all is open"
    return (
        f"'{proxy}' is hacked: the policy that was optimised for it earns less of '{true}' than the reference"
    )


def _sampled_lines(
    found: SampledAudit, names: tuple[str, str], reference: str, optimised: str
) -> Iterator[str]:
    from rewardspec.analysis.columns import align

    def told(one: Estimate) -> str:
        return f"{one.value:.4g} ({one.low:.4g} to {one.high:.4g})"

    true, proxy = names
    yield f"{sampled_verdict(found, true, proxy)}."
    yield (
        f"   reference: {reference}, {found.episodes[0]} episodes ({found.steps[0]:,} steps); correlation there "
        f"{told(found.correlation)}, standard deviations {found.spread[0]:.4g} ({true}) and {found.spread[1]:.4g} "
        f"({proxy})"
    )
    yield f"   optimised: {optimised}, {found.episodes[1]} episodes ({found.steps[1]:,} steps)"
    rows = [
        ("", true, proxy),
        ("reference", *map(told, found.reference)),
        ("optimised", *map(told, found.optimised)),
        ("gained", told(found.gained), ""),
    ]
    for line in align(rows, right=(1, 2)):
        yield f"   {line.rstrip()}"
    apart = found.apart
    yield (
        f"   distance from the reference, estimated: chi2 {apart.chi2:.3g}, KL {apart.kl:.3g}, total variation "
        f"{apart.tv:.3g}"
    )
    promised, worst = _number(found.promised), _number(found.worst)
    yield f"   promised of '{true}' at least {promised}, at worst {worst}, by that estimate"
    if apart.outside > 0.01:
        yield (
            f"   {apart.outside:.0%} of the optimised policy's steps are as good as unseen by the reference: there "
            "chi2 has no estimate, and the promise is void."
        )
    yield (
        "   Intervals are of 95 %, over episodes. Only what these policies visited is known; a discriminator tells too "
        "small a chi2 where the reference hardly goes; another policy optimised for the proxy may do otherwise."
    )


def _sampled_data(
    found: SampledAudit, names: tuple[str, str], policies: tuple[str, str], discount: float
) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if hasattr(value, "__dataclass_fields__"):
            return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        if isinstance(value, tuple):
            return [plain(one) for one in value]
        return value if not isinstance(value, float) or math.isfinite(value) else None

    return {
        "true": names[0],
        "proxy": names[1],
        "reference_policy": policies[0],
        "optimised_policy": policies[1],
        "discount": discount,
        "hacked": found.is_hacked,
        "decided": found.is_decided,
        "estimated": plain(found),
    }


# -- in words ----------------------------------------------------------------------------------------------------------


def _number(value: float) -> str:
    if math.isinf(value):
        return "no bound" if value < 0 else "leaves it"
    return f"{value:.4g}"


def verdict(found: Audit, true: str, proxy: str) -> str:
    """Return the answer in a sentence."""
    if found.correlation <= 0:
        return f"'{proxy}' is no proxy of '{true}': under the reference they are not even correlated"
    if found.is_hacked:
        return f"'{proxy}' is hacked: its optimum earns less of '{true}' than the reference policy does"
    lost = found.true_optimum.true - found.proxy_optimum.true
    if lost <= 1e-9 * max(abs(found.true_optimum.true), 1e-300):
        return f"'{proxy}' is not hacked: its optimum is as good by '{true}' as can be"
    return (
        f"'{proxy}' is not hacked: its optimum earns more of '{true}' than the reference, though not the most"
    )


def _lines(found: Audit, true: str, proxy: str, reference: str) -> Iterator[str]:
    from rewardspec.analysis.columns import align

    yield f"{verdict(found, true, proxy)}."
    yield (
        f"   reference: {reference}; correlation there {found.correlation:.4f}, standard deviations "
        f"{found.spread[0]:.4g} ({true}) and {found.spread[1]:.4g} ({proxy})"
    )
    rows: list[tuple[str, ...]] = [
        ("", true, proxy, "chi2 from the reference", "promised at least", "at worst")
    ]

    def row(name: str, point: Point) -> tuple[str, ...]:
        return (
            name,
            f"{point.true:.4f}",
            f"{point.proxy:.4f}",
            _number(point.chi2),
            _number(point.promised),
            _number(point.worst),
        )

    rows.append(row("reference", found.reference))
    rows.append(row(f"optimum of '{true}'", found.true_optimum))
    rows.append(row(f"optimum of '{proxy}'", found.proxy_optimum))
    rows.append(row(f"regularised, strength {found.settled.strength:.3g}", found.settled))
    for line in align(rows, right=(1, 2, 3, 4, 5)):
        yield f"   {line}"
    for kind in found.curves:
        broken = found.breaks(kind)
        if broken is None:
            yield f"   {NAMES[kind]}: at every strength that was tried, no worse than the reference"
        else:
            before, after = broken
            yield (
                f"   {NAMES[kind]}: turns bad between strength {before.strength:.3g} and {after.strength:.3g} "
                f"({true} {before.true:.4f} to {after.true:.4f}, chi2 {before.chi2:.3g} to {after.chi2:.3g})"
            )
    yield (
        "   'promised' holds for every true reward that is as correlated (theorem 5.1 of Laidlaw et al.); 'at worst' "
        "is the exact least of these."
    )


def _data(found: Audit, true: str, proxy: str, reference: str, discount: float) -> dict[str, Any]:
    def plain(point: Point) -> dict[str, Any]:
        return {k: v if math.isfinite(v) else None for k, v in vars(point).items()}

    return {
        "true": true,
        "proxy": proxy,
        "reference_policy": reference,
        "discount": discount,
        "hacked": found.is_hacked,
        "correlation": found.correlation,
        "spread": list(found.spread),
        "reference": plain(found.reference),
        "true_optimum": plain(found.true_optimum),
        "proxy_optimum": plain(found.proxy_optimum),
        "regularised": plain(found.settled),
        "curves": {kind: [plain(point) for point in curve] for kind, curve in found.curves.items()},
    }
