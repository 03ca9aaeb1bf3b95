"""Kind `submodular`: what is visited pays by what it adds to the value of a set, with diminishing returns."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from rewardspec.ir import expr as ir
from rewardspec.ir.constants import table_of
from rewardspec.ir.expr import Expr
from rewardspec.kinds.own_set import AXES, CENTRES, Own, Place, lower_own
from rewardspec.lowering import Scope
from rewardspec.sets.check import find_counterexample
from rewardspec.sets.coverage import Coverage as CoverageFunction
from rewardspec.sets.coverage import FacilityLocation, refuse_negative
from rewardspec.sets.family import SetFunction
from rewardspec.sets.ground import Grid, Metric, around
from rewardspec.sets.information import LogDet, diversity, entropy, information
from rewardspec.sets.modular import Modular
from rewardspec.sets.processes import Kernel, covariance, posterior, sample
from rewardspec.sets.saturating import SaturatedSum, collection
from rewardspec.spec.terms import Kind
from rewardspec.spec.values import ExpressionText, Model, Number, Truth, Whole

Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[Whole, Field(ge=1)]
Cell = Annotated[Whole, Field(ge=0)]

MAX_KERNEL = 4_096
"""Items of a function over pairs of items: a table of so many squared is kept."""

MAX_MEMBERS = 20_000_000
"""Cells that all items of a coverage cover, counted for each."""


class Cells(Model):
    """The ground set: cells of a grid that points fall into."""

    of: ExpressionText = Field(
        "next_obs", description="The point: a number, or a vector with a number for each axis."
    )
    counts: tuple[Count, ...] = Field(description="Cells along each axis.", min_length=1, max_length=3)
    low: tuple[Number, ...] = Field((), description="Where the first cell begins, per axis; 0 without.")
    size: Positive | tuple[Positive, ...] = Field(1.0, description="Length of a cell, or per axis.")
    start: Truth = Field(
        True,
        description="Whether the cell in which an episode begins is in the set, unpaid; where the point is read on "
        "next_obs alone.",
    )

    def grid(self) -> Grid:
        """Return the grid.

        Raises:
            ValueError: When axes do not fit, or there are too many cells.
        """
        size = self.size if isinstance(self.size, tuple) else (self.size,) * len(self.counts)
        return Grid(self.counts, self.low, size)


class Draw(Model):
    """Weights drawn from a Gaussian process over the cells' middles, what is below 0 set to 0."""

    kernel: Kernel = Field("matern52", description="Form of the covariance.")
    lengthscale: Positive = Field(description="How far a value reaches.")
    variance: Positive = Field(1.0, description="Variance of a value.")
    lift: Number = Field(0.0, description="Added to every value.")
    seed: Cell = Field(0, description="Draws the values.")


Weight = ExpressionText | tuple[Number, ...] | Draw


class Coverage(Model):
    """Visiting a cell covers cells; what is covered counts once."""

    radius: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="How far a visit covers, in cells or edges."
    )
    metric: Metric = Field("square", description="How the distance of two cells is taken.")
    block: tuple[tuple[Whole, ...], ...] | None = Field(
        None, description="Offsets of the cells that are covered, per axis, in place of a radius."
    )
    edges: tuple[tuple[Cell, Cell], ...] | None = Field(
        None, description="Cells that are next to each other, in place of the grid's geometry."
    )
    members: tuple[tuple[Cell, ...], ...] | None = Field(
        None, description="Per cell, what it covers: numbers of anything that has a weight."
    )
    weight: Weight = Field(
        "1",
        description="What is covered is worth: an expression over the cell's indices i, j, k and middle x, y, z; a "
        "list; or a draw.",
    )

    @model_validator(mode="after")
    def _check_one(self) -> Coverage:
        given = [name for name in ("block", "edges", "members") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"'{given[0]}' and '{given[1]}' both say what a visit covers: keep one")
        return self


class Facility(Model):
    """Each cell is served by the nearest visited one: wholly at no distance, not at all from `reach` on."""

    reach: Positive = Field(description="Distance at which service ends, in cells.")
    weight: Weight = Field("1", description="What serving a cell is worth; as for coverage.")


class Collection(Model):
    """Things lie in cells; of each kind only so many count."""

    map: tuple[str, ...] = Field(
        description="A text for each row of cells, a letter for a thing, a point for none.", max_length=10_000
    )
    caps: dict[str, Annotated[Number, Field(ge=0)]] = Field(description="Letter -> how many count.")


class Saturated(Model):
    """Visits add amounts to groups; a group is worth no more than its cap."""

    amounts: tuple[tuple[Number, ...], ...] = Field(description="Per cell, what it adds to each group.")
    caps: tuple[Number, ...] = Field(description="Per group, the most that counts.")


class Process(Model):
    """A Gaussian process over the cells' middles that visits measure, with noise."""

    kernel: Kernel = Field("matern52", description="Form of the covariance.")
    lengthscale: Positive = Field(description="How far a value reaches, in the units of the points.")
    variance: Positive = Field(1.0, description="Variance of a value.")
    noise: Annotated[Number, Field(ge=0)] = Field(description="Variance of a measurement's noise.")
    known: tuple[Cell, ...] = Field((), description="Cells that were measured before.")
    horizon: Count | None = Field(
        None, description="Distinct cells that are visited at most; may be left out for up to 256 cells."
    )


class Spread(Model):
    """Visits that are unlike each other, by a kernel over the cells' middles."""

    kernel: Kernel = Field("rbf", description="How alike two cells are.")
    lengthscale: Positive = Field(description="How far likeness reaches.")
    variance: Positive = Field(1.0, description="Likeness of a cell to itself.")
    horizon: Count | None = Field(
        None, description="Distinct cells that are visited at most; may be left out for up to 256 cells."
    )


FUNCTIONS = ("coverage", "facility", "collection", "saturated", "information", "entropy", "diversity", "own")


class Submodular(Model):
    """Pays what the visited cell adds to the value of the set of visited cells.

    Formula: r_t = F(A_t + {cell_t}) - F(A_t), A_t the cells visited before; the payments of an episode add up to
    F(visited) - F({start}). F is monotone and its returns diminish, so going where one was pays little or nothing.

    The set is remembered in a summary of bounded size, which the observation is extended by: the task is Markov.

    - `coverage`: weights of the cells that visits cover (within a radius, a block of offsets, edges of a graph).
    - `facility`: how well each cell is served by the nearest visited one.
    - `collection`: things of several kinds, of each kind only so many; `saturated`: the same with amounts.
    - `information`: what the measurements tell about a Gaussian process, logdet(I + K / noise) / 2.
    - `entropy`: of the measurements; `diversity`: logdet(I + K), of a determinantal point process.
    - `own`: any other that is a fold, `{memory: {east: 'max(east, x)'}}`; random sets are tried, and one that pays
      repeats, depends on the order, falls or does not diminish is refused with the sets that show it.

    Source: Prajapat, Mutny, Zeilinger and Krause, "Submodular Reinforcement Learning" (ICLR 2024). Their released code
    keeps repeats in the set of a process as rows of their own, which pay about 3 each; here a set holds a cell once and
    repeats pay 0.
    """

    coverage: Coverage | None = Field(None, description="Cells that visits cover.")
    facility: Facility | None = Field(None, description="How well visits serve all cells.")
    collection: Collection | None = Field(None, description="Things of several kinds that visits collect.")
    saturated: Saturated | None = Field(None, description="Amounts up to a cap.")
    information: Process | None = Field(None, description="What visits tell about a Gaussian process.")
    entropy: Process | None = Field(None, description="Entropy of measurements of a Gaussian process.")
    diversity: Spread | None = Field(None, description="How unlike each other visits are.")
    own: Own | None = Field(None, description="A set function of one's own.")
    cells: Cells = Field(description="The ground set, `cells`: what can be visited.")
    pay: Literal["gain", "alone"] = Field(
        "gain",
        description="What is paid: the gain, or what the cell is worth alone, again at every visit (the modular "
        "baseline).",
    )

    @model_validator(mode="after")
    def _check_one(self) -> Submodular:
        given = [name for name in FUNCTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} are two" if given else "none is given"
            raise ValueError(f"exactly one set function: {', '.join(FUNCTIONS)}; {said}")
        return self


def lower(term: Submodular, scope: Scope) -> Expr:
    """Return the gain of the set that the term declares."""
    name = next(name for name in FUNCTIONS if getattr(term, name) is not None)
    try:
        grid = term.cells.grid()
    except ValueError as error:
        scope.problem("unfit-set-function", str(error), "cells")
        return ir.ZERO
    before = len(scope.draft.problems)
    place = _place(scope, term.cells, grid)
    item = _number_of(place, grid)
    first = _at_observation(item) if term.cells.start and term.pay == "gain" else None
    if term.own is not None:
        begin = (
            None
            if first is None
            else Place(tuple(_moved(index) for index in place.indices), _moved(place.inside))
        )
        return lower_own(term.own, grid, scope, place, begin, alone=term.pay == "alone")
    try:
        function = _MAKERS[name](getattr(term, name), grid, scope)
    except ValueError as error:
        scope.problem("unfit-set-function", str(error), name)
        return ir.ZERO
    if len(scope.draft.problems) > before:
        return ir.ZERO
    if function.size != grid.size:
        text = f"the set function has {function.size} items, and there are {grid.size} cells"
        scope.problem("unfit-set-function", text, name)
        return ir.ZERO
    if term.pay == "alone":
        function = Modular(function)
    elif isinstance(function, LogDet) and function.each < 0:
        # The other families are monotone and submodular by their construction.
        found = find_counterexample(function, trials=200)
        if found is not None:
            hint = "Raise the noise: from 0.0585 on the entropy of a measurement is never negative."
            scope.problem("unfit-set-function", str(found), name, hints=(hint,))
            return ir.ZERO
    return scope.grown(function, item, first, scope.at())


# -- the ground set ------------------------------------------------------------------------------------------


def _place(scope: Scope, cells: Cells, grid: Grid) -> Place:
    """Return the cell that the point falls into."""
    nowhere = Place((ir.ZERO,) * len(grid.counts), ir.FALSE)
    point = scope.expression(cells.of, "cells", "of")
    if any(
        isinstance(node, ir.Memory | ir.StateTable | ir.OutputTable | ir.Holds | ir.Ended)
        for node in ir.walk(point)
    ):
        text = "a cell is read on the transition alone, not on propositions or what the spec remembers"
        scope.problem("unfit-set-function", text, "cells", "of")
        return nowhere
    axes = len(grid.counts)
    if isinstance(point, ir.Vector) and len(point.items) != axes:
        text = f"the point has {len(point.items)} numbers, and the grid {axes} axes"
        scope.problem("unfit-set-function", text, "cells", "of")
        return nowhere
    indices: list[Expr] = []
    inside: list[Expr] = []
    for axis, (count, low, size) in enumerate(zip(grid.counts, grid.low, grid.cell, strict=True)):
        place = point if axes == 1 else _component(point, axis)
        share: Expr = ir.Binary("sub", place, ir.Const(low)) if low else place
        share = ir.Binary("div", share, ir.Const(size)) if size != 1 else share
        index = ir.Call("floor", (share,))
        inside += [ir.Compare("ge", index, ir.ZERO), ir.Compare("lt", index, ir.Const(float(count)))]
        indices.append(index)
    return Place(tuple(indices), ir.conjunction(tuple(inside)))


def _number_of(place: Place, grid: Grid) -> Expr:
    """Return the number of the cell, -1 beyond the grid."""
    number: Expr = ir.ZERO
    for axis, index in enumerate(place.indices):
        stride = float(np.prod(grid.counts[axis + 1 :], dtype=np.float64))
        number = ir.Binary("add", number, ir.scale(ir.Const(stride), index))
    return ir.Where(place.inside, number, ir.Const(-1.0))


def _component(point: Expr, axis: int) -> Expr:
    if isinstance(point, ir.Vector):
        return point.items[axis]
    return ir.Index(point, (axis,))


def _at_observation(item: Expr) -> Expr | None:
    """Return an item read on the observation before the step; None where it is not read on next_obs alone."""
    fields = [node for node in ir.walk(item) if isinstance(node, ir.Field)]
    if not fields or any(node.root != "next_obs" for node in fields):
        return None

    return _moved(item)


def _moved(expr: Expr) -> Expr:
    """Return an expression over next_obs as one over obs."""

    def move(node: Expr) -> Expr:
        return ir.Field("obs", node.path, place=node.place) if isinstance(node, ir.Field) else node

    return ir.rewrite(expr, move)


# -- set functions -------------------------------------------------------------------------------------------

Floats = npt.NDArray[np.float64]


def _weights(weight: Any, grid: Grid, scope: Scope, *path: str) -> Floats:
    """Return a weight for each cell; problems of an expression are noted."""
    if isinstance(weight, Draw):
        _refuse_large(grid)
        kernel = covariance(grid.centres(), weight.kernel, weight.lengthscale, weight.variance)
        drawn = sample(kernel, np.random.default_rng(weight.seed))
        return np.asarray(
            np.maximum(drawn + weight.lift, 0.0).round(9), np.float64
        )  # the same on every machine
    if isinstance(weight, tuple):
        return np.array(weight, np.float64)
    axes = len(grid.counts)
    names: dict[str, Expr] = {name: ir.Field("info", (name,)) for name in (*AXES[:axes], *CENTRES[:axes])}
    expr = scope.expression(weight, *path, roots=(), names=names)
    columns = np.concatenate([grid.indices(), grid.centres()], axis=1).T
    return table_of(expr, dict(zip(names, columns, strict=True)), grid.size)


def _refuse_large(grid: Grid) -> None:
    if grid.size > MAX_KERNEL:
        raise ValueError(
            f"{grid.size:,} cells are too many for a table of all pairs: at most {MAX_KERNEL:,}. Choose larger cells"
        )


def _coverage(term: Coverage, grid: Grid, scope: Scope) -> SetFunction:
    weights = _weights(term.weight, grid, scope, "coverage", "weight")
    if term.members is not None:
        return CoverageFunction([list(row) for row in term.members], weights)
    if term.edges is not None:
        beside: list[list[int]] = [[] for _ in range(grid.size)]
        for a, b in term.edges:
            if max(a, b) >= grid.size:
                raise ValueError(f"the edge ({a}, {b}) leads beyond the {grid.size} cells")
            beside[a].append(b)
            beside[b].append(a)
        return CoverageFunction(around(beside, int(term.radius)), weights)
    reach = (2 * term.radius + 1) ** len(grid.counts)
    if min(reach, grid.size) * grid.size > MAX_MEMBERS:
        raise ValueError(
            f"{grid.size:,} cells that cover about {reach:,.0f} each are too many: choose larger cells"
        )
    if term.block is not None:
        if any(len(offset) != len(grid.counts) for offset in term.block):
            raise ValueError(f"offsets of a block have {len(grid.counts)} numbers, one for each axis")
        return CoverageFunction(grid.block(term.block), weights)
    return CoverageFunction(grid.near(term.radius, term.metric), weights)


def _facility(term: Facility, grid: Grid, scope: Scope) -> SetFunction:
    _refuse_large(grid)
    weights = _weights(term.weight, grid, scope, "facility", "weight")
    refuse_negative(weights, "the weight of cell")
    places = grid.indices().astype(np.float64)
    distance = np.sqrt(((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=2))
    return FacilityLocation(np.maximum(1.0 - distance / term.reach, 0.0) * weights)


def _collection(term: Collection, grid: Grid, scope: Scope) -> SetFunction:
    letters = "".join(term.map)
    if len(letters) != grid.size:
        raise ValueError(f"the map has {len(letters)} cells, and the grid {grid.size}")
    kinds = list(term.caps)
    unknown = sorted(set(letters) - {*kinds, "."})
    if unknown:
        raise ValueError(f"'{unknown[0]}' lies on the map and has no cap")
    return collection(
        [kinds.index(letter) if letter != "." else -1 for letter in letters], list(term.caps.values())
    )


def _saturated(term: Saturated, grid: Grid, scope: Scope) -> SetFunction:
    if len({len(row) for row in term.amounts}) > 1:
        raise ValueError("every cell has as many amounts as there are caps")
    return SaturatedSum(term.amounts, term.caps)


def _kernel(term: Process | Spread, grid: Grid) -> Floats:
    _refuse_large(grid)
    kernel = covariance(grid.centres(), term.kernel, term.lengthscale, term.variance)
    return np.round(kernel, 12)  # the same on every machine, for digests


def _process(term: Process, grid: Grid) -> Floats:
    kernel = _kernel(term, grid)
    if not term.known:
        return kernel
    if max(term.known) >= grid.size:
        raise ValueError(f"cell {max(term.known)} is known, and there are {grid.size}")
    if term.noise == 0:
        raise ValueError("noise is 0: it must be above 0 for what was measured before to leave a kernel")
    return np.round(posterior(kernel, term.known, term.noise), 12)


def _information(term: Process, grid: Grid, scope: Scope) -> SetFunction:
    return information(_process(term, grid), term.noise, term.horizon)


def _entropy(term: Process, grid: Grid, scope: Scope) -> SetFunction:
    return entropy(_process(term, grid), term.noise, term.horizon)


def _diversity(term: Spread, grid: Grid, scope: Scope) -> SetFunction:
    return diversity(_kernel(term, grid), term.horizon)


_MAKERS: dict[str, Any] = {
    "coverage": _coverage,
    "facility": _facility,
    "collection": _collection,
    "saturated": _saturated,
    "information": _information,
    "entropy": _entropy,
    "diversity": _diversity,
}

KIND = Kind(Submodular, "cells", lower)
