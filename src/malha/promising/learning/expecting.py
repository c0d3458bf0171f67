"""What an order will usually take: the median by gradient-boosted trees, fitted again every few days.

Two models are averaged. One sees everything; the other learns from times divided by the level of their week and sees
nothing of the present, so it knows how orders differ from one another and leaves the level to `tracking`.
"""

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np

from malha.promising.learning.features import PRESENT
from malha.promising.learning.past import Floats, Ints, Past

EVERY = 14  # days from fit to fit
SETTLED = 20  # days: younger orders are left out, since only their quick ones have arrived
LEAST = 200  # outcomes before the first fit
OF_THE_PRESENT = frozenset((*PRESENT, "day_of_year"))
USUAL = 10.0  # days that a level of one stands for, so that the trees' regularisation means the same in both models
ROUNDS = 120
TREES = {
    "objective": "l1", "learning_rate": 0.06, "num_leaves": 20, "min_data_in_leaf": 40, "bagging_fraction": 0.7,
    "bagging_freq": 1, "feature_fraction": 0.5, "lambda_l2": 5.0, "seed": 0, "deterministic": True,
    "force_row_wise": True, "verbosity": -1,
    "num_threads": 1,  # threads that wait for one another cost more than they bring on a busy machine
}  # fmt: skip


def rolling(past: Past, names: Sequence[str], table: Floats, first: float, last: float, every: int = EVERY) -> Floats:
    """Return the expected days of orders bought from `first` to `last`, by the fit before each purchase; else NaN."""
    expected = np.full(len(past), np.nan)
    start = np.floor(first)
    while start <= last:
        rows = np.flatnonzero((past.bought >= start) & (past.bought < start + every) & (past.bought <= last))
        if len(rows):
            expected[rows] = fit(past, names, table, start, rows)
        start += every
    return expected


def fit(past: Past, names: Sequence[str], table: Floats, now: float, rows: Ints) -> Floats:
    """Fit on what is known at `now`, return the expected days of some orders; NaN while outcomes are too few."""
    known = np.flatnonzero((past.delivered < now) & (past.bought < now - SETTLED))
    if len(known) < LEAST:
        return np.full(len(rows), np.nan)
    age = now - past.bought[known]
    taken = past.taken[known]
    whole = _grow(table[known], taken, 0.5 ** (age / 150))
    level = _level_of_week(age, taken)
    lasting = np.flatnonzero([name not in OF_THE_PRESENT for name in names])
    weights = 0.5 ** (age / 150) * level / USUAL
    apart = _grow(table[np.ix_(known, lasting)], taken / level * USUAL, weights)
    both = np.asarray(whole.predict(table[rows])) + np.asarray(apart.predict(table[np.ix_(rows, lasting)]))
    found: Floats = np.maximum(both / 2, 0.3)
    return found


def _grow(table: Floats, target: Floats, weights: Floats) -> lgb.Booster:
    return lgb.train(
        TREES, lgb.Dataset(table, target, weight=weights, params={"verbosity": -1}), num_boost_round=ROUNDS
    )


def _level_of_week(age: Floats, taken: Floats) -> Floats:
    weeks = (age // 7).astype(np.int64)
    level = np.empty(len(age))
    for week in np.unique(weeks):
        rows = weeks == week
        level[rows] = max(float(np.median(taken[rows])), 0.5)
    return level
