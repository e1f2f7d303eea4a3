"""A full disk and two writers at once, in short. The long form is `python -m tests.torture`."""

import pytest

from tests.torture import places, writers
from tests.torture.trials import Bench, Trial, is_clear


def passed(trial: Trial) -> None:
    if trial.skipped:
        pytest.skip(trial.skipped)
    assert trial.faults == []


def test_a_full_disk_is_said_and_loses_nothing(bench: Bench) -> None:
    passed(places.full_disk(bench, 250, n_articles=24))


def test_two_writers_at_once_lose_nothing(bench: Bench) -> None:
    passed(writers.different_articles(bench, 8))


def test_a_trial_that_fails_is_not_deleted(bench: Bench) -> None:
    for trial in (Trial(name="good"), Trial(name="bad", faults=["lost"])):
        bench.stage(trial.name)
        bench.keep_or_delete(trial.name, trial)
    assert [path.name for path in bench.scratch.iterdir()] == ["bad"]


def test_a_message_is_clear_if_it_says_what_and_is_no_traceback() -> None:
    assert is_clear("quoth: the Disk is full", "no space", "disk is full")
    assert not is_clear("quoth: something is wrong", "disk is full")
    assert not is_clear("Traceback (most recent call last): disk is full", "disk is full")
