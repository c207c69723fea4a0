"""Folds of a cross-validation that other nodes train: who takes which, and when it pays."""

from __future__ import annotations

import threading

from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.job_kinds import FOLD, JOB_KINDS
from transfer_core.work.cluster.shared_folds import SharedFolds

KEYS = ("second", "third", "fourth", "fifth")


def offered(seconds_of_fold: float = 100.0, seconds_of_features: float = 10.0) -> SharedFolds:
    folds = SharedFolds()
    folds.offer(KEYS, ["b", "a"], seconds_of_fold, seconds_of_features)
    return folds


def never() -> bool:
    return False


def test_a_fold_is_claimed_once_and_with_what_identifies_it():
    folds = offered()
    assert folds.claim(5) == {"key": "fifth", "left_out": ["a", "b"]}
    assert folds.claim(5) is None
    assert folds.claim(6) is None


def test_nothing_is_claimed_before_it_is_offered():
    assert SharedFolds().claim(3) is None


def test_a_fold_that_has_begun_here_is_kept():
    folds = offered()
    assert folds.accuracy_of(2, never) is None
    assert folds.accuracy_of(3, never) is None
    assert folds.claim(2) is None
    assert folds.claim(3) is None
    assert folds.claim(4)


def test_only_folds_that_would_wait_longer_here_than_another_node_needs_to_begin_are_claimed():
    # Fifteen seconds to begin and ten to read the photos; three folds of eight seconds come before the fifth.
    assert offered(8.0, 10.0).claim(5) is None
    assert offered(8.0, 8.0).claim(5)
    assert offered(0.5, 0.0).claim(5) is None
    # Those that others train are not waited for.
    folds = offered(8.0, 8.0)
    folds.claim(5)
    assert folds.claim(4) is None


def test_the_accuracy_of_another_node_is_waited_for():
    folds = offered()
    folds.claim(4)
    found: list[float | None] = []
    waiting = threading.Thread(target=lambda: found.append(folds.accuracy_of(4, never)))
    waiting.start()
    folds.end(4, 0.75)
    waiting.join(10)
    assert found == [0.75]


def test_a_fold_that_is_given_back_is_trained_here():
    folds = offered()
    folds.claim(4)
    folds.end(4, None)
    assert folds.claim(4)
    folds.end(4, None)
    assert folds.accuracy_of(4, never) is None


def test_a_stop_ends_the_wait():
    folds = offered()
    folds.claim(4)
    assert folds.accuracy_of(4, lambda: True) is None


def test_a_fold_of_other_photos_is_not_trained(workspace, in_folds, tiny_config):
    run = TrainingRun.create(workspace, in_folds, tiny_config)
    arguments = {"run_id": run.id, "number": 3, "key": "of other photos", "left_out": []}
    assert JOB_KINDS[FOLD].work(workspace, arguments, lambda report: None, never) == {}
