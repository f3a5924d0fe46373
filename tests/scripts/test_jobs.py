"""What the jobs share: arguments, reasons, classes, whole results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jobs
import pytest
from jobs import JobError


def fail_with(error: Exception) -> Callable[[object], None]:
    """A job that raises `error`."""

    def job(_: object) -> None:
        raise error

    return job


def test_a_job_that_ends_well_leaves_no_reason(tmp_path: Path) -> None:
    assert jobs.run(lambda _: None, [], tmp_path / "message") == 0
    assert not (tmp_path / "message").exists()


def test_a_users_mistake_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = jobs.run(fail_with(JobError("no\nrows")), [], tmp_path / "new/message")
    assert code == 2
    assert (tmp_path / "new/message").read_text() == "no rows"
    assert capsys.readouterr().err == "error: no rows\n"


def test_a_fault_of_ours_shows_its_traceback_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jobs.run(fail_with(KeyError("rows")), [], tmp_path / "message") == 1
    assert (tmp_path / "message").read_text() == "KeyError: 'rows'"
    assert "Traceback" in capsys.readouterr().err


def test_a_reason_is_no_longer_than_sagemaker_shows(tmp_path: Path) -> None:
    jobs.run(fail_with(JobError("x" * 5000)), [], tmp_path / "message")
    assert len((tmp_path / "message").read_bytes()) <= 1024


@pytest.mark.parametrize("value", ["-1", "-x", "--label", "a b", "", "x=y"])
def test_any_text_can_be_the_value_of_an_argument(value: str) -> None:
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--label")
    assert parser.parse_pairs(["--label", value]).label == value


@pytest.mark.parametrize("argv", [["--label"], ["--lable", "x"], ["x", "y"]])
def test_other_arguments_are_refused(argv: list[str]) -> None:
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--label")
    with pytest.raises(JobError):
        parser.parse_pairs(argv)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["10", "9"], ["9", "10"]),
        (["yes", "no"], ["no", "yes"]),
        (["1", "x", "0"], ["0", "1", "x"]),
        (["-1", "1", "0.5"], ["-1", "0.5", "1"]),
        (["nan", "1"], ["1", "nan"]),
    ],
)
def test_classes_are_ordered_as_numbers_if_they_are_numbers(
    classes: list[str], expected: list[str]
) -> None:
    assert jobs.in_order(classes) == expected


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["1", "0"], "1"),
        (["10", "9"], "10"),
        (["no", "yes"], "yes"),
        (["True", "False"], "True"),
        (["a", "b", "c"], None),
    ],
)
def test_the_later_of_two_classes_is_positive_unless_said_otherwise(
    classes: list[str], expected: str | None
) -> None:
    assert jobs.positive_class(classes, "auto") == expected


def test_the_positive_class_can_be_chosen() -> None:
    assert jobs.positive_class(["no", "yes"], "no") == "no"


def test_a_positive_class_that_does_not_occur_is_refused() -> None:
    with pytest.raises(JobError, match=r"'maybe' does not occur; the classes are 'no', 'yes'"):
        jobs.positive_class(["no", "yes"], "maybe")


def test_more_than_two_classes_have_no_positive_one() -> None:
    with pytest.raises(JobError, match=r"3 classes .* use 'auto'"):
        jobs.positive_class(["a", "b", "c"], "b")


def test_whole_results_appear_together(tmp_path: Path) -> None:
    one, two = tmp_path / "a/one", tmp_path / "b/two"
    with jobs.whole(one, two) as (first, second):
        first.write_text("1")
        second.write_text("2")
        assert not one.exists()
    assert (one.read_text(), two.read_text()) == ("1", "2")
    assert len(list(tmp_path.rglob("*"))) == 4


def test_half_a_result_does_not_appear(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    def write_one() -> None:
        with jobs.whole(one, two) as (first, _):
            first.write_text("1")
            raise JobError

    with pytest.raises(JobError):
        write_one()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("problem", "wanted", "metric"),
    [
        ("binary", "auto", "roc_auc"),
        ("multiclass", "auto", "roc_auc"),
        ("regression", "auto", "r2"),
        ("multiclass", "f1", "f1"),
        ("regression", "neg_mean_absolute_error", "neg_mean_absolute_error"),
    ],
)
def test_a_metric_fits_its_problem(problem: str, wanted: str, metric: str) -> None:
    assert jobs.metric(problem, wanted) == metric


@pytest.mark.parametrize(("problem", "wanted"), [("binary", "r2"), ("regression", "f1")])
def test_a_metric_of_another_problem_is_refused(problem: str, wanted: str) -> None:
    with pytest.raises(JobError, match=f"metric: '{wanted}' cannot measure a {problem} model; "):
        jobs.metric(problem, wanted)


def test_arguments_come_in_pairs_or_in_one_item() -> None:
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--label")
    parser.add_argument("--class")
    for argv in (["--label", "-x=1", "--class", ""], ["--label=-x=1", "--class="]):
        assert vars(parser.parse_pairs(argv)) == {"label": "-x=1", "class": ""}
