"""What the user gives is checked before anything starts, in one line that names the setting."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from generator.errors import UsageError
from pipeline.definition import SCRIPTS
from pipeline.example import open_definition
from pipeline.limits import ARGUMENT_CHARACTERS
from pipeline.run_parameters import RUN_PARAMETERS
from tabular_ml_vpc.cli.table_options import TABLE_PARAMETERS
from tabular_ml_vpc.local import runs
from tabular_ml_vpc.local.inputs import (
    InputError,
    data_files,
    header,
    parse_choices,
    parse_settings,
    sample,
)
from tabular_ml_vpc.local.runs import RunRequest
from tabular_ml_vpc.local.sandbox import Abilities, Runtime

DEFINITION = open_definition()


def table(folder: Path, content: bytes = b"age,label\n1,0\n2,1\n", name: str = "data.csv") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def wanted(data: Path, **parameters: Any) -> RunRequest:
    return RunRequest(data, parameters, Path("unused"))


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("TimeLimitSeconds=30", 30),
        ("QualityThreshold=.9", 0.9),
        ("QualityThreshold=1", 1.0),
        ("QualityMetric=f1", "f1"),
        ("LabelColumn=a=b", "a=b"),
    ],
)
def test_a_setting_has_the_type_of_its_parameter(pair: str, value: Any) -> None:
    (found,) = parse_settings([pair], DEFINITION).values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("TimeLimitSeconds", "must have the form NAME=VALUE"),
        ("TimeLimitSecond=3", "did you mean TimeLimitSeconds"),
        ("Zzz=3", "known are InputData, LabelColumn"),
        ("TimeLimitSeconds=1.5", "TimeLimitSeconds: '1.5' is not a whole number"),
        ("QualityThreshold=high", "is not a number"),
        ("QualityThreshold=nan", "is not a number"),
        ("QualityThreshold=inf", "is not a number"),
        ("QualityMetric=auc", "'auc' is not one of auto, accuracy, balanced_accuracy"),
        ("ApprovalStatus=approved", "is not one of Approved, PendingManualApproval"),
        ("QualityThreshold=1.1", "got 1.1: must be at most 1"),
        ("TestFraction=2", "got 2.0: must be greater than 0 and less than 1"),
        ("TestFraction=0", "got 0.0: must be greater than 0 and less than 1"),
        ("TimeLimitSeconds=-5", "got -5: must be from 1 to 18,000 seconds"),
        ("TrainingRows=9", "got 9: must be 10 rows or more"),
        ("LatencyLimitMilliseconds=-1", "got -1.0: must be 0 milliseconds or more"),
        ("TrainingVolumeGB=0", "got 0: must be from 1 to 16,384 GB"),
        ("ModelFamilies=GMB", "did you mean GBM?"),
        ("ModelFamilies=GBM,cat", "did you mean CAT?"),
        ("Preset=best", "did you mean best_quality?"),
        ("ProblemType=Regression", "did you mean regression?"),
        ("ExcludeColumns=[a]", "must be a JSON list of texts"),
        ("ColumnKinds=zip", "must have the form COLUMN=KIND, such as zip=category"),
        ("ColumnKinds=zip=catgory", "did you mean category?"),
        ('ColumnKinds={"zip": "number", "a": 1}', "'1' is not one of number,"),
        ("InputData=raw/mine.csv", "must be an S3 URI, such as s3://BUCKET/raw/data.csv"),
        ("TrainingInstanceType=ml.p5.48xlarge", "must be a SageMaker instance type"),
        ("GroupColumn=", "--set GroupColumn: the value is empty; the default is none"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(pair: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^--set:? ") as caught:
        parse_settings([pair], DEFINITION)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "threshold", "allowed"),
    [
        ("r2", 1.01, "at most 1"),
        ("f1", -0.1, "from 0 to 1 for the metric f1"),
        ("neg_log_loss", 0.5, "at most 0, because losses and errors are negated"),
    ],
)
def test_a_threshold_fits_its_metric(metric: str, threshold: float, allowed: str) -> None:
    pairs = [f"QualityMetric={metric}", f"QualityThreshold={threshold}"]
    with pytest.raises(InputError, match=rf"^--set QualityThreshold: got .*must be {allowed}"):
        parse_settings(pairs, DEFINITION)
    pairs[1] = "QualityThreshold=-3" if metric in ("r2", "neg_log_loss") else "QualityThreshold=1"
    assert parse_settings(pairs, DEFINITION)["QualityMetric"] == metric


def test_every_parameter_takes_its_default() -> None:
    pairs = [f"{one['Name']}={one['DefaultValue']}" for one in DEFINITION["Parameters"]]
    given = parse_settings(pairs, DEFINITION)
    assert [*given] == [*RUN_PARAMETERS] == [one["Name"] for one in DEFINITION["Parameters"]]


def test_a_truth_is_read_from_its_word() -> None:
    parameter = {"Name": "Fast", "Type": "Boolean", "DefaultValue": False}
    definition = {"Parameters": [parameter], "Steps": []}
    assert parse_settings(["Fast=True"], definition) == {"Fast": True}
    with pytest.raises(InputError, match="true or false"):
        parse_settings(["Fast=1"], definition)


def test_the_longest_argument_is_taken_and_a_longer_one_refused_by_name() -> None:
    longest = "x" * (ARGUMENT_CHARACTERS - len("--exclude-columns="))
    pair = f"ExcludeColumns={longest}"
    assert parse_settings([pair], DEFINITION) == {"ExcludeColumns": longest}
    with pytest.raises(InputError, match=r"ExcludeColumns: 'x{40}'\.\.\. has 239 char.*most 238"):
        parse_settings([pair + "x"], DEFINITION)


def test_an_option_of_the_table_has_its_parameters_type_and_says_its_own_name() -> None:
    chosen = {"--problem": "regression", "--label": "price"}
    assert parse_choices(chosen, TABLE_PARAMETERS, DEFINITION) == {
        "ProblemType": ("--problem", "regression"),
        "LabelColumn": ("--label", "price"),
    }
    with pytest.raises(InputError, match=r"^--problem: 'ranking' is not one of auto, binary,"):
        parse_choices({"--problem": "ranking"}, TABLE_PARAMETERS, DEFINITION)


def test_each_option_of_the_table_sets_a_parameter_that_there_is() -> None:
    assert set(TABLE_PARAMETERS.values()) <= {one["Name"] for one in DEFINITION["Parameters"]}


@pytest.mark.parametrize(("option", "parameter"), [("group", "Group"), ("time", "Time")])
def test_a_column_that_splits_must_be_there(tmp_path: Path, option: str, parameter: str) -> None:
    data = table(tmp_path)
    given = {f"{parameter}Column": "Age"}
    with pytest.raises(
        InputError, match=rf"^--{option}-column: .* no column 'Age'.*did you mean 'age'\?"
    ):
        runs.check(wanted(data, **given))


def test_parquet_is_left_to_the_jobs_to_read(tmp_path: Path) -> None:
    assert runs.check(wanted(table(tmp_path, b"PAR1...PAR1", "data.parquet")))["Steps"]


def test_an_instance_type_that_cannot_run_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ml\.p3\.2xlarge"):
        runs.check(wanted(table(tmp_path), EndpointInstanceType="ml.p3.2xlarge"))


def test_a_good_table_is_taken(tmp_path: Path) -> None:
    assert runs.check(wanted(table(tmp_path)))["Steps"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data: '.*/no\.csv' does not exist"):
        runs.check(wanted(tmp_path / "no.csv"))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    table(tmp_path, name=".hidden.csv")
    with pytest.raises(InputError, match="contains no files"):
        data_files(tmp_path)


def test_a_folder_gives_its_files_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    files = [table(tmp_path / "2026", name="b.csv"), table(tmp_path, name="c.csv")]
    assert data_files(tmp_path) == files


def test_a_label_that_is_no_column_is_named_beside_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no column 'lable'; .*'age', 'label'; did you mean 'label'\?"
    ):
        runs.check(wanted(table(tmp_path), LabelColumn="lable"))


def test_the_synthetic_table_has_a_label_of_its_own() -> None:
    with pytest.raises(InputError, match="--label: the synthetic table has no column 'churned'"):
        runs.check(RunRequest(None, {"LabelColumn": "churned"}, Path("unused")))


def test_a_table_without_the_default_label_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--label: not given, and .* the default column 'label'"):
        runs.check(wanted(table(tmp_path, b"age,churned\n1,0\n")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe,x\n", "not UTF-8"),
        (b"\x1f\x8bx", "read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        header(table(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"age,label\n1,0\n",
        b"\xef\xbb\xbfage,label\n1,0\n",
        b'"age";"label"\n"1";"0"\n',
        b"age\tlabel\r\n1\t0\r\n",
        gzip.compress(b"age|label\n\n1|0\n", mtime=0),
        b"sep=;\r\nage;label\r\n1;0\r\n",
    ],
)
def test_a_table_is_read_as_the_jobs_read_it(tmp_path: Path, content: bytes) -> None:
    assert sample(table(tmp_path, content), 5) == [["age", "label"], ["1", "0"]]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mine #1.csv", "mine #1.csv"),
        ("._hidden.csv", "hidden.csv"),
        ("_", "data"),
        (f"{'x' * 250}.csv", f"{'x' * 196}.csv"),
    ],
)
def test_the_table_lies_where_the_jobs_find_it(tmp_path: Path, name: str, key: str) -> None:
    runtime = Runtime(Path("python"), Path("java"), Abilities(False, False, False))
    data = table(tmp_path, name=name)
    run = runs.prepare(RunRequest(data, {}, tmp_path / "work"), runtime)
    uri = run.execution.parameters["InputData"]
    assert uri == f"s3://local-data/raw/{key}"
    assert run.store.read(uri) == data.read_bytes()


def test_the_scripts_that_ship_are_those_that_run(tmp_path: Path) -> None:
    runtime = Runtime(Path("python"), Path("java"), Abilities(False, False, False))
    run = runs.prepare(RunRequest(None, {}, tmp_path), runtime)
    for name in SCRIPTS:
        shipped = (runs.SCRIPTS_FOLDER / name).read_bytes()
        assert run.store.read(f"s3://local-data/code/local/{name}") == shipped
