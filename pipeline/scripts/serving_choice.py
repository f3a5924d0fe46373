"""Chooses the model to deploy: the fastest of those that are nearly as good as the best.

AutoGluon's best model is usually an ensemble of all others, which takes as long as all of them
together; often one of them is as good and takes a third of the time.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobs import JobError
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from autogluon.tabular import TabularPredictor

TOLERANCE: Final = 0.003
"""How far below the best validation score a model may be, if the perfect score is 1."""

LOSS_TOLERANCE: Final = 0.005
"""How much larger than the smallest loss a model's may be, as a share of it."""

_ROUNDS: Final = 15


@dataclass(frozen=True)
class Choice:
    """The chosen model, its validation score, and each measured model's time for one row."""

    model: str
    score: float
    best: str
    best_score: float
    milliseconds: dict[str, float]

    @property
    def sentence(self) -> str:
        """The choice in words, for the log."""
        taken = f"{self.model} ({self.milliseconds[self.model]:.1f} ms a row) serves"
        if self.model == self.best:
            return f"{taken}: it has the best validation score, {self.score:.4f}"
        return (
            f"{taken}: its validation score of {self.score:.4f} is close to the best, "
            f"{self.best_score:.4f} of {self.best}"
        )


def choose(predictor: TabularPredictor, row: pd.DataFrame, limit: float) -> Choice:
    """Choose the model, and make it the predictor's best.

    `row` is one row to measure with, `limit` the milliseconds that it may take, or 0.

    Raises:
        JobError: every model takes longer.
    """
    scores = _scores(predictor)
    times: dict[str, float] = {}
    if limit:
        times = _milliseconds(predictor, row, list(scores))
        scores = _quick_enough(scores, times, limit)
    best = max(scores, key=lambda model: scores[model])
    least = scores[best] - _tolerance(predictor.eval_metric, scores[best])
    close = [model for model, score in scores.items() if score >= least]
    times = times or _milliseconds(predictor, row, close)
    quick = min(times[model] for model in close) * 1.1  # a difference below is noise
    chosen = max((m for m in close if times[m] <= quick), key=lambda model: scores[model])
    _serve(predictor, chosen)
    return Choice(chosen, scores[chosen], best, scores[best], times)


def _tolerance(metric: Any, score: float) -> float:
    return TOLERANCE if metric.optimum == 1 else LOSS_TOLERANCE * abs(score)


def _scores(predictor: TabularPredictor) -> dict[str, float]:
    """The validation scores of the models that can predict; a refitted one has its parent's."""
    board = predictor.leaderboard(silent=True).set_index("model")["score_val"].to_dict()
    parents = predictor.model_refit_map(inverse=True)
    found = {
        model: float(board[parents.get(model, model)])
        for model in predictor.model_names(can_infer=True)
    }
    known = {model: score for model, score in found.items() if math.isfinite(score)}
    return known or {predictor.model_best: 0.0}


def _quick_enough(
    scores: dict[str, float], times: dict[str, float], limit: float
) -> dict[str, float]:
    found = {model: score for model, score in scores.items() if times[model] <= limit}
    if not found:
        quickest = min(times, key=lambda model: times[model])
        raise JobError(
            f"latency limit: no model predicts a row within {limit:g} ms; the fastest, {quickest}, "
            f"takes {times[quickest]:.1f} ms on this instance: allow more, or train other families"
        )
    return found


def _milliseconds(
    predictor: TabularPredictor, row: pd.DataFrame, models: Sequence[str]
) -> dict[str, float]:
    """Each model's time for one row, in memory and with one thread, as at the endpoint.

    This is the shortest of several rounds, because other load only makes a round longer.
    """
    ask = predictor.predict_proba if predictor.can_predict_proba else predictor.predict
    persisted = [name for model in models for name in predictor.persist([model])]
    times: dict[str, list[float]] = {model: [] for model in models}
    with threadpool_limits(1):
        for _ in range(_ROUNDS):
            for model, found in times.items():
                began = time.perf_counter()
                ask(row, model=model, as_pandas=False)
                found.append(time.perf_counter() - began)
    if persisted:
        predictor.unpersist(persisted)
    return {model: min(found) * 1000 for model, found in times.items()}


def _serve(predictor: TabularPredictor, model: str) -> None:
    """Make `model` the best one, with a decision threshold of its own if the metric has one."""
    calibrated = predictor.problem_type == "binary" and predictor.decision_threshold not in {
        None,
        0.5,
    }
    if calibrated and model != predictor.model_best:
        threshold = predictor.calibrate_decision_threshold(model=model, verbose=False)
        predictor.set_decision_threshold(threshold)
    predictor.set_model_best(model, save_trainer=True)
    predictor.save(silent=True)
