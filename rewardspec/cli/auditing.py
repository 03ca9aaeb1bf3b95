"""The command `audit`: can this reward be hacked?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardspec.cli.arguments import SpecPath, open_environment, read_spec
from rewardspec.cli.printing import say, write
from rewardspec.errors import MismatchError, list_names, near_miss

if TYPE_CHECKING:
    from rewardspec.analysis.audit.hacking import Audit, Point
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
            "at random with probability EPS.",
        ),
    ] = "true:0.1",
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
    it turns bad, and what regularisation to the reference can promise.

    Exits with 1 when the proxy is hacked: its optimum is worse than the reference.

    \b
    Example:
      rewardspec audit proxy.yaml --true wanted.yaml --env FrozenLake-v1
      rewardspec audit tomato_proxy.yaml --reference true:0.1 -o curve.svg
    """  # noqa: D301 (\b keeps the lines of the example apart)
    from rewardspec.analysis.audit import hacking
    from rewardspec.analysis.audit.occupancies import DIVERGENCES
    from rewardspec.analysis.compare import choose_discount
    from rewardspec.analysis.starc.joint import join
    from rewardspec.compiler import compile_spec
    from rewardspec.tabular.product import take_product
    from rewardspec.tabular.world import tabulate
    from rewardspec.vocabulary import loads

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
    programs = (compile_spec(true_spec), compile_spec(proxy_spec))
    rate = choose_discount(programs, gamma)
    with open_environment(proxy_spec if proxy_spec.env or env else true_spec, env) as made:
        try:
            world = tabulate(made)
        except MismatchError as error:
            from dataclasses import replace

            (problem,) = error.problems
            hint = "An audit is exact and needs a table; `rewardspec check --env` looks for farmed rewards anywhere."
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
