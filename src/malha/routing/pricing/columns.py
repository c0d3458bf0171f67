"""The configuration LP: one variable for every way to ship a whole basket, made as they are needed. Pure.

    minimise    sum of cost(p) x(p)
    such that   the plans of each basket add up to how many of it there are
                the plans take no more of a SKU from a location than there is
                x >= 0

Its duals of the stock rows are what a unit is worth where it is. Columns come from `baskets.cheapest_plans`, which for
any prices pi >= 0 also gives a lower bound on the LP, and so on what any plans of whole orders cost:

    L(pi) = sum of count(o) * cheapest(o, pi)  -  sum of pi * stock        (weak duality)

The best of these bounds is the certificate; it needs no trust in the LP solver. Prices are asked for between the last
best ones and the LP's own (Wentges' smoothing), which keeps them from jumping. Counts and stock are right-hand sides:
a later question starts from the columns and the basis of the one before.
"""

import time
from collections.abc import Mapping
from typing import NamedTuple

import highspy
import numpy as np

from malha.routing.pricing.baskets import Baskets, Flags, Floats, Ints, cheapest_plans, costs_of

OK = highspy.HighsStatus.kOk
FEASIBLE = 2  # of a solution, in HiGHS' numbers
OPTIMAL = highspy.HighsModelStatus.kOptimal
INFINITE = highspy.kHighsInf
NOTHING = 1e-9  # of a plan
SMOOTH = 0.5
MANY_ROWS = 800  # of stock; beyond, the interior point method is faster than any simplex


class SolverFailed(Exception):
    """The linear programme was not solved; says what the solver said."""


class Prices(NamedTuple):
    """What came out. `bound` <= the LP's optimum <= `objective`; costs in the unit of the baskets."""

    prices: Floats  # (locations, SKUs) of the best bound
    bound: float
    objective: float
    rounds: int
    columns: int
    seconds: float

    @property
    def gap(self) -> float:
        """Return how far the bound may be from the LP's optimum, relatively."""
        return max(0.0, self.objective - self.bound) / max(abs(self.bound), 1e-9)


class Configurations:
    """A configuration LP over fixed baskets, for changing counts and stock."""

    def __init__(self, groups: Mapping[int, Baskets], shape: tuple[int, int]) -> None:
        """Take baskets by their number of lines, and (locations, SKUs)."""
        self.groups = dict(sorted(groups.items()))
        self.shape = shape
        self.first: dict[int, int] = {}  # number of lines -> the row of its first basket
        rows = 0
        for n, group in self.groups.items():
            self.first[n] = rows
            rows += len(group)
        self.baskets = rows
        self.columns: dict[int, tuple[Ints, Ints]] = {}
        self._seen: set[tuple[int, bytes]] = set()
        self._plans: list[tuple[int, int, Ints]] = []  # by column: (lines, basket in its group, locations)
        self._costs: list[float] = []
        self._stock_row = np.full(shape, -1, dtype=np.int64)
        self._rows = rows
        self._solver = _solver()
        for _ in range(rows):
            self._solver.addRow(0.0, 0.0, 0, np.empty(0, dtype=np.int32), np.empty(0))
        self._stock_pairs: list[tuple[int, int]] = []
        self._stock = np.zeros(shape)
        self._center: Floats | None = None
        self._give_up_all()

    def _give_up_all(self) -> None:
        """Start with the plans that ship nothing, so that there is always a solution."""
        for n, group in self.groups.items():
            which = np.arange(len(group))
            at = np.full((len(group), n), self.shape[0], dtype=np.int64)
            self._add(n, which, at)

    def suggest(self, n: int, at: Ints) -> None:
        """Add a plan for every basket of n lines: the location of each line."""
        self._add(n, np.arange(len(at)), at)

    def _add(self, n: int, which: Ints, at: Ints) -> int:
        """Add plans of baskets of n lines as columns, as far as they are new."""
        packed = at.astype(np.int16)
        fresh = [
            k for k, basket in enumerate(which) if (self.first[n] + int(basket), packed[k].tobytes()) not in self._seen
        ]
        if not fresh:
            return 0
        which, at = which[fresh], at[fresh]
        group = self.groups[n]
        costs = costs_of(group, which, at)
        skus, units = group.skus[which], group.units[which]
        starts: list[int] = []
        indexes: list[int] = []
        values: list[float] = []
        nowhere = self.shape[0]
        for k, basket in enumerate(which.tolist()):
            self._seen.add((self.first[n] + basket, at[k].astype(np.int16).tobytes()))
            self._plans.append((n, basket, at[k]))
            starts.append(len(indexes))
            indexes.append(self.first[n] + basket)
            values.append(1.0)
            taken: dict[int, float] = {}
            for location, sku, quantity in zip(at[k].tolist(), skus[k].tolist(), units[k].tolist(), strict=True):
                if location < nowhere:
                    row = self._row_of(location, sku)
                    taken[row] = taken.get(row, 0.0) + quantity
            indexes += taken.keys()
            values += taken.values()
        self._costs += costs.tolist()
        number = len(fresh)
        self._solver.addCols(
            number,
            costs,
            np.zeros(number),
            np.full(number, INFINITE),
            len(indexes),
            np.array(starts, dtype=np.int32),
            np.array(indexes, dtype=np.int32),
            np.array(values),
        )
        return number

    def _row_of(self, location: int, sku: int) -> int:
        row = int(self._stock_row[location, sku])
        if row < 0:
            row = self._rows
            self._rows += 1
            self._stock_row[location, sku] = row
            self._stock_pairs.append((location, sku))
            self._solver.addRow(
                -INFINITE, float(self._stock[location, sku]), 0, np.empty(0, dtype=np.int32), np.empty(0)
            )
        return row

    def solve(
        self,
        counts: Mapping[int, Floats],
        stock: Floats,
        *,
        tolerance: float = 1e-3,
        rounds: int = 40,
        seconds: float = INFINITE,
        start: Floats | None = None,
    ) -> Prices:
        """Return prices for so many of each basket, by number of lines, and so much stock: (locations, SKUs).

        Ends when bound and objective are within `tolerance` of one another, or after so many rounds or seconds.

        Raises:
            SolverFailed: HiGHS did not solve a linear programme.
        """
        began = time.perf_counter()
        locations, skus = self.shape
        self._stock = np.asarray(stock, dtype=np.float64)
        closed = np.zeros((locations + 1, skus), dtype=np.bool_)
        closed[:locations] = self._stock <= 0
        prices = np.zeros((locations + 1, skus))
        known = start if start is not None else self._center
        if known is not None:
            prices[:locations] = known
        self._center = center = prices[:locations].copy()
        self._restate(counts)
        best, objective = -INFINITE, INFINITE
        best_prices = center
        duals: Floats | None = None
        done = 0
        while done < rounds:
            done += 1
            bound, added = self._round(counts, prices, closed, duals)
            if bound > best:
                best = bound
                best_prices = prices[:locations].copy()
                center = best_prices
            if objective - best <= tolerance * max(abs(best), 1e-9):
                break
            if time.perf_counter() - began > seconds:
                break
            if duals is None or added:
                objective, duals = self._optimise()
                raw = self._raw_prices(duals)
                smooth = SMOOTH
            else:
                smooth *= 0.5  # nothing new at these prices: nearer to the LP's own
            prices[:locations] = (1 - smooth) * raw + smooth * center
        self._center = best_prices
        return Prices(best_prices, best, objective, done, len(self._plans), time.perf_counter() - began)

    def _restate(self, counts: Mapping[int, Floats]) -> None:
        """Write the right-hand sides."""
        amounts = np.concatenate([counts[n] for n in self.groups]) if self.groups else np.empty(0)
        pairs = np.array(self._stock_pairs, dtype=np.int64).reshape(-1, 2)
        limits = self._stock[pairs[:, 0], pairs[:, 1]]
        rows = np.concatenate([np.arange(self.baskets), self._stock_row[pairs[:, 0], pairs[:, 1]]]).astype(np.int32)
        lower = np.concatenate([amounts, np.full(len(limits), -INFINITE)])
        upper = np.concatenate([amounts, np.maximum(limits, 0.0)])
        self._solver.changeRowsBounds(len(rows), rows, lower, upper)  # type: ignore[attr-defined] # not in its stubs

    def _round(
        self, counts: Mapping[int, Floats], prices: Floats, closed: Flags, duals: Floats | None
    ) -> tuple[float, int]:
        """Plan all baskets at some prices; return the bound and how many columns were new."""
        bound = -float((prices[:-1] * self._stock).sum())
        added = 0
        for n, group in self.groups.items():
            plans = cheapest_plans(group, prices, closed)
            amounts = counts[n]
            bound += float(amounts @ plans.costs)
            wanted = amounts > 0
            if duals is not None:
                # What it would cost at the LP's own prices, against what the LP pays for the basket now.
                own = self._at_duals(group, plans.at, duals)
                paid = duals[self.first[n] : self.first[n] + len(group)]
                wanted &= own < paid - 1e-7 * (1.0 + np.abs(paid))
            which = np.flatnonzero(wanted)
            if len(which):
                added += self._add(n, which, plans.at[which])
        return bound, added

    def _at_duals(self, group: Baskets, at: Ints, duals: Floats) -> Floats:
        costs = costs_of(group, np.arange(len(group)), at)
        worth = np.zeros((self.shape[0] + 1, self.shape[1]))
        worth[:-1] = self._raw_prices(duals)
        for k in range(group.lines):
            costs += worth[at[:, k], group.skus[:, k]] * group.units[:, k]
        return costs

    def _raw_prices(self, duals: Floats) -> Floats:
        raw = np.zeros(self.shape)
        pairs = np.array(self._stock_pairs, dtype=np.int64).reshape(-1, 2)
        rows = self._stock_row[pairs[:, 0], pairs[:, 1]]
        known = rows < len(duals)
        raw[pairs[known, 0], pairs[known, 1]] = np.maximum(0.0, -duals[rows[known]])
        return raw

    def _optimise(self) -> tuple[float, Floats]:
        self._solver.setOptionValue("solver", "ipm" if len(self._stock_pairs) > MANY_ROWS else "simplex")
        status = self._solver.run()
        if status != OK or self._solver.getModelStatus() != OPTIMAL:
            raise SolverFailed(str(self._solver.getModelStatus()))
        return self._solver.getInfo().objective_function_value, np.array(self._solver.getSolution().row_dual)

    def shares(self) -> dict[tuple[int, int], list[tuple[Ints, float]]]:
        """Return what the last solution does with each basket: (locations, how many of it) by (lines, basket)."""
        found: dict[tuple[int, int], list[tuple[Ints, float]]] = {}
        values = self._solver.getSolution().col_value
        for (n, basket, at), value in zip(self._plans, values, strict=False):
            if value > NOTHING:
                found.setdefault((n, basket), []).append((at, float(value)))
        return found

    def whole(self, integral: Mapping[int, Flags], *, seconds: float, gap: float) -> "Whole":
        """Choose whole plans for some baskets among the columns there are, the others staying divisible.

        Raises:
            SolverFailed: no solution was found in time.
        """
        began = time.perf_counter()
        kinds = [
            highspy.HighsVarType.kInteger if integral[n][basket] else highspy.HighsVarType.kContinuous
            for n, basket, _ in self._plans
        ]
        solver = self._solver
        number = len(kinds)
        columns = np.arange(number, dtype=np.int32)
        solver.changeColsIntegrality(number, columns, np.array(kinds))
        solver.setOptionValue("solver", "choose")
        solver.setOptionValue("presolve", "on")
        solver.setOptionValue("mip_rel_gap", gap)
        solver.setOptionValue("time_limit", solver.getRunTime() + seconds)
        try:
            solver.run()
            info = solver.getInfo()
            if info.primal_solution_status != FEASIBLE:
                raise SolverFailed(str(solver.getModelStatus()))
            values = np.array(solver.getSolution().col_value)
            chosen: dict[tuple[int, int], Ints] = {}
            for (n, basket, at), value in zip(self._plans, values, strict=True):
                if integral[n][basket] and value > 0.5:
                    chosen[n, basket] = at
            return Whole(chosen, float(info.objective_function_value), time.perf_counter() - began)
        finally:
            solver.changeColsIntegrality(number, columns, np.array([highspy.HighsVarType.kContinuous] * number))
            solver.setOptionValue("presolve", "off")
            solver.setOptionValue("time_limit", INFINITE)


class Whole(NamedTuple):
    """Whole plans: the location of each line by (lines, basket), and what everything costs."""

    plans: dict[tuple[int, int], Ints]
    cost: float
    seconds: float


def _solver() -> highspy.Highs:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 0)
    solver.setOptionValue("presolve", "off")
    solver.setOptionValue("run_crossover", "off")
    solver.setOptionValue("simplex_strategy", 1)
    return solver


def counts_of(groups: Mapping[int, Baskets], amount: float = 1.0) -> dict[int, Floats]:
    """Return the same count for every basket."""
    return {n: np.full(len(group), amount) for n, group in groups.items()}


def all_of(groups: Mapping[int, Baskets]) -> dict[int, Flags]:
    """Return a flag for every basket, set."""
    return {n: np.ones(len(group), dtype=np.bool_) for n, group in groups.items()}
