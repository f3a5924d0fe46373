"""Which rows go to which side: each way of splitting, and the borders between them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import split


def hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def labels(*values: int) -> np.ndarray:
    return np.array(values, "uint16")


def test_equal_features_are_on_one_side_whatever_their_label() -> None:
    own = np.repeat(hashes(300), 2)
    label = np.tile(labels(0, 1), 300)
    distinct, shared = split.strata_of(own, label)
    assert (distinct, len(shared[0])) == (300, 300)
    plan, alike = split.by_hash(own, label, 0.2, 10**6, shared=shared)
    sides = split.Sides(plan).of(own, label, None)
    assert (sides[::2] == sides[1::2]).all()
    assert alike == []
    assert (sides == split.TEST).mean() == pytest.approx(0.2, abs=0.01)


def test_many_rows_are_split_by_ranges_as_exactly_as_few() -> None:
    own, label = hashes(50_000), np.tile(labels(0, 0, 0, 1), 12_500)
    plan, _ = split.by_hash(own, label, 0.3, 10**6)
    sides = split.Sides(plan).of(own, label, None)
    for name in (0, 1):
        assert (sides[label == name] == split.TEST).mean() == pytest.approx(0.3, abs=0.001)


def test_more_rows_than_training_takes_are_sampled_in_proportion() -> None:
    own, label = hashes(50_000), np.tile(labels(0, 0, 0, 1), 12_500)
    plan, _ = split.by_hash(own, label, 0.2, 8_000)
    sides = split.Sides(plan).of(own, label, None)
    counts = Counter(sides.tolist())
    assert 7_900 < counts[split.TRAIN] <= 8_000
    assert counts[split.TEST] == pytest.approx(10_000, abs=20)
    assert (label[sides == split.TRAIN] == 1).mean() == pytest.approx(0.25, abs=0.01)


def test_rows_that_repeat_are_split_in_proportion_each() -> None:
    counts = {(11, 0): 100, (11, 1): 50, (22, 0): 7, (33, 1): 1}
    own = np.repeat(np.array([key[0] for key in counts], np.uint64), list(counts.values()))
    label = np.repeat(np.array([key[1] for key in counts], "uint16"), list(counts.values()))
    plan = split.in_proportion(counts, 0.2, 10**6)
    order = np.random.default_rng(1).permutation(len(own))
    sides = split.Sides(plan)
    parts = [sides.of(own[rows], label[rows], None) for rows in np.array_split(order, 5)]
    found = Counter(
        zip(own[order].tolist(), label[order].tolist(), np.concatenate(parts).tolist(), strict=True)
    )
    assert (found[11, 0, split.TEST], found[11, 1, split.TEST]) == (20, 10)
    assert found[22, 0, split.TEST] in (1, 2)
    assert found[33, 1, split.TRAIN] + found[33, 1, split.TEST] == 1
    assert sum(found.values()) == 158


def test_a_proportion_can_be_sampled_too() -> None:
    plan = split.in_proportion({(1, 0): 800, (2, 1): 200}, 0.2, 100)
    trained = sum(train for _, train in plan.counts.values())
    assert trained <= 100
    assert trained >= 98


def test_the_newest_rows_are_to_test_with_and_one_moment_is_on_one_side() -> None:
    times = np.repeat(np.arange(100.0), 3)
    plan = split.by_time(times, 0.2)
    assert plan is not None
    sides = split.Sides(plan).of(hashes(300), np.zeros(300, "uint16"), times)
    assert (sides == np.where(times >= 80, split.TEST, split.TRAIN)).all()
    assert split.by_time(np.zeros(5), 0.2) is None


def test_a_class_whose_rows_are_alike_is_named() -> None:
    own = np.concatenate([hashes(50), np.full(5, 7, np.uint64)])
    label = np.repeat(labels(0, 1), [50, 5])
    _, alike = split.by_hash(own, label, 0.2, 10**6)
    assert alike == [1]
