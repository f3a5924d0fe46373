"""The project file at the command line: what takes precedence, and what a command says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.settings import Settings
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.operations.source import SourceOptions
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run, runner

TEXT = """
stack = "churn"
region = "eu-west-1"
mode = "dev"
profile = "ghost"
settings = "mine.toml"
[parameters]
Rows = 500
[run]
LabelColumn = "churned"
[stages.prod]
stack = "churn-prod"
mode = "prod"
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in a folder with a project file, with keys in the environment but no region."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "TABULAR_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tabular.toml").write_text(TEXT, encoding="utf-8")
    return tmp_path


class Seen:
    """What a command was called with."""

    target: Target
    options: SourceOptions


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Let ``diff`` end where it would call AWS; give what it would compare."""
    found = Seen()

    def comparison(target: Target, options: SourceOptions) -> object:
        found.target, found.options = target, options
        raise KeyboardInterrupt

    monkeypatch.setattr("tabular_ml_vpc.cli.diff.StackComparison", comparison)
    return found


def test_the_file_gives_what_no_option_gave(seen: Seen, folder: Path, run: Run) -> None:
    done = run("diff")

    assert (seen.target.stack, seen.target.region) == ("churn", "eu-west-1")
    assert seen.target.profile is None, "keys in the environment come before a profile"
    assert (seen.options.config, seen.options.mode) == (folder / "mine.toml", "dev")
    assert seen.options.remembered == {"Rows": "500"}
    first = "using tabular.toml: stack churn in region eu-west-1, mode dev, settings mine.toml"
    assert done.err.splitlines()[0] == f"{first}, 1 parameter"
    assert done.out == ""


def test_an_option_comes_before_the_environment_and_that_before_the_file(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    done = run("diff", "--stack-name", "other", "--mode", "prod", "--config", "its.toml")

    assert (seen.target.stack, seen.target.region) == ("other", "eu-north-1")
    assert (seen.options.config, seen.options.mode) == (Path("its.toml"), "prod")
    assert done.err.splitlines()[0] == "using tabular.toml: 1 parameter"
    run("diff", "--region", "us-east-1")
    assert seen.target.region == "us-east-1"


def test_a_stage_is_chosen_by_option_or_environment_and_kept_in_advice(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    done = run("diff", "--stage", "prod")
    assert "using tabular.toml (stage prod): stack churn-prod in" in done.err
    assert seen.options.mode == "prod"
    advice = " --region eu-west-1 --stack-name churn-prod --stage prod"
    assert seen.target.options() == advice

    monkeypatch.setenv("TABULAR_STAGE", "prod")
    run("diff")
    assert seen.target.stack == "churn-prod"


def test_the_profile_of_the_file_is_used_without_keys(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    done = run("status")
    assert done.status == 2
    assert "--profile: unknown profile 'ghost'" in done.err


def test_a_job_s_token_comes_before_the_profile_of_the_file(
    monkeypatch: pytest.MonkeyPatch, seen: Seen, run: Run
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    run("diff")
    assert seen.target.profile is None


def test_settings_in_the_file_are_those_of_the_command(folder: Path, seen: Seen, run: Run) -> None:
    (folder / "tabular.toml").write_text("[settings]\nproject = 'risk'\n", encoding="utf-8")
    run("diff", "--region", "eu-west-1")
    assert isinstance(seen.options.config, Settings)
    assert seen.options.config.project == "risk"


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("regoin = 1", ("status",), "tabular.toml: regoin: unknown key; did you mean region?"),
        ("[run]\nTestFraction = 2", ("local",), "tabular.toml: run.TestFraction: got 2: must be"),
        ("stack = 'a'", ("run", "--stage", "x"), "--stage: tabular.toml has no stages"),
        ("settings = 'no.toml'", ("--check",), "no.toml: cannot be read: No such file"),
        ("[settings]\nzones = 3", ("cost",), "tabular.toml: settings.zones: unknown setting"),
        ("[parameters]\nRow = 3", ("doctor",), "tabular.toml: parameters.Row: unknown parameter"),
        ("[[pipelines]]", ("status",), "tabular.toml: pipelines: got [{}]: must be"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(
    folder: Path, run: Run, text: str, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "tabular.toml").write_text(text, encoding="utf-8")
    done = run(*arguments, *(("--region", "eu-west-1") if arguments == ("doctor",) else ()))
    assert done.status == 2
    last = done.err.splitlines()[-1]
    assert last.startswith("build.py: ")
    assert said in last


def test_init_writes_a_file_and_never_overwrites_one(folder: Path, run: Run) -> None:
    refused = run("init")
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert (folder / "tabular.toml").read_text(encoding="utf-8") == TEXT

    (folder / "tabular.toml").unlink()
    assert run("init").status == 0
    assert run("completion", "bash").status == 0
    assert '#stack = "tabular"' in (folder / "tabular.toml").read_text(encoding="utf-8")


def test_the_shell_completes_the_stages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TABULAR_ML_VPC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "build.py status --stage p")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out == "plain,prod\n"


def test_a_run_takes_its_parameters_from_the_file_unless_an_option_gives_them(
    folder: Path, run: Run
) -> None:
    (folder / "tabular.toml").write_text(
        "[run]\nLabelColumn = 'churnt'\nInputData = 's3://a/b'\n", encoding="utf-8"
    )
    (folder / "mine.csv").write_text("age,churned\n1,0\n", encoding="utf-8")

    done = run("local", "--data", "mine.csv")
    first, last = done.err.splitlines()
    assert first == "using tabular.toml: 2 parameters of the run"
    assert "mine.csv has no column 'churnt'" in last

    done = run("local", "--data", "mine.csv", "--label", "churned", "--group-column", "nope")
    assert "--group-column: mine.csv has no column 'nope'" in done.err


def test_a_local_run_is_one_of_the_settings_pipelines(folder: Path, run: Run) -> None:
    entries = "[[pipelines]]\nname = 'main'\n[[pipelines]]\nname = 'churn'\nlabel = 'churnt'\n"
    (folder / "its.toml").write_text(entries, encoding="utf-8")
    (folder / "tabular.toml").write_text("settings = 'its.toml'\n", encoding="utf-8")
    (folder / "mine.csv").write_text("age,churned\n1,0\n", encoding="utf-8")
    local = ("local", "--data", "mine.csv")

    assert "several pipelines; give one of main, churn" in run(*local).err
    assert "mine.csv has no column 'churnt'" in run(*local, "--pipeline", "churn").err
    assert "default column 'label'" in run(*local, "--pipeline", "main").err
    (folder / "tabular.toml").write_text(
        "settings = 'its.toml'\n[pipelines.churn.run]\nLabelColumn = 'age2'\n", encoding="utf-8"
    )
    assert "mine.csv has no column 'age2'" in run(*local, "--pipeline", "churn").err
