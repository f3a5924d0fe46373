"""What the walk through the command line types: for each command, a success and likely mistakes.

The steps run in this order against one emulated AWS, whose jobs succeed without running.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVALUATED: Final = "run --follow"
"""The step before which the runs get the report that their jobs would have written."""
SUCCEED_ELSEWHERE: Final = frozenset(
    {"predict", "audit", "invoke", "sbom", "setup", "site", "approve", "reject", "rollback"}
)
"""Commands that take minutes, install, or need an endpoint that answers or a version that waits:
see the pages of these commands."""


@dataclass(frozen=True)
class Step:
    """One command line, without ``python build.py``, and how it should end.

    ``terminal`` says whether it prints to a terminal; a live view would be drawn again and again.
    """

    line: str
    status: int = 0
    terminal: bool = True
    stdin: str = ""

    @property
    def command(self) -> str:
        """Return the command's name; empty for the build."""
        first = self.line.partition(" ")[0]
        return "" if first.startswith("-") else first


def _mistakes(*lines: str, status: int = 2) -> tuple[Step, ...]:
    return tuple(Step(line, status) for line in lines)


STEPS: Final = (
    # Without a stack
    Step("--no-lint"),
    Step("--check"),
    *_mistakes("--chek", "--config mine.tml", "buld"),
    Step("--version"),
    Step("doctor"),
    Step("doctor --region eu-west-11", 1),
    *_mistakes(
        "doctor --set TrainingInstanceType=m5.large",
        "doctor --vpc-id 0123abcd",
    ),
    *_mistakes("stacks --regoin eu-west-1", "stacks --profile nobody", "stacks mine"),
    *_mistakes(
        "deploy --set Rows=5",
        "deploy --set Row=500",
        "deploy --stack-name tabular_new",
        "deploy --mode test",
    ),
    Step("deploy", 2, terminal=False),
    Step("deploy --yes", terminal=False),
    # With a stack
    Step("deploy --yes", terminal=False),
    Step("stacks"),
    Step("status"),
    *_mistakes("status --stack-name ''", "status --wach", "status --pipeline churn"),
    *_mistakes("status --stack-name tabular-nowhere", status=1),
    Step("status --stack-name tabular-nowhere --json", 1),
    Step("outputs"),
    Step("outputs EndpointName"),
    *_mistakes("outputs DataBuckt", "outputs --stack-name 1st"),
    *_mistakes("outputs --stack-name tabular-nowhere", status=1),
    Step("open --print"),
    *_mistakes("open grace", "open data_scientist", "open --prnt"),
    Step("diff --set TrainingInstanceType=ml.m5.xlarge"),
    *_mistakes(
        "diff --set TrainingInstanceType=ml.m5",
        "diff --config mine.tml",
        "diff --parameters none.json",
    ),
    Step("publish --prefix tabular/1.4"),
    *_mistakes(
        "publish --bucket Example",
        "publish --bucket example-nowhere",
        "publish --prefix /tabular",
        "publish --stack-name churn",
    ),
    Step("drift"),
    *_mistakes("drift --stack-nam a", "drift SecurityStack", "drift --region earth"),
    Step("logs --source functions --tail 2 --since 1d"),
    *_mistakes("logs --since yesterday", "logs --source job", "logs --tail -1"),
    Step("run --no-wait", terminal=False),
    Step(EVALUATED, terminal=False),
    *_mistakes(
        "run --set QualityThreshold=1.1",
        "run --set ModelFamilies=GMB",
        "run --set TestFraction=2",
        "run --data none.csv",
        "run --follow 123",
    ),
    Step("history"),
    *_mistakes("history 123", "history --limit 0", "history --json yes"),
    Step("models"),
    *_mistakes("models --limit 0", "models 1", "models --pipeline churn"),
    *_mistakes("approve 7", "approve v1", "approve --comment ''", "approve --follow"),
    *_mistakes("approve", "approve 1", "reject", "rollback", status=1),
    *_mistakes("reject 7", "reject v1", "reject --comment ''"),
    *_mistakes("rollback 1", "rollback --comment ''"),
    Step("stop", terminal=False),
    *_mistakes("stop 123", "stop --all latest", "stop now!"),
    *_mistakes("invoke --file none.csv", "invoke", "invoke 1,2 --file none.csv"),
    *_mistakes(
        "predict", "predict --input none.csv", "predict --input s3://x --no-wait --output y"
    ),
    Step("endpoint repair"),
    Step("endpoint pause"),
    Step("endpoint resume"),
    *_mistakes("endpoint", "endpoint delete", "endpoint repair now"),
    Step("forget --column region --value nowhere", terminal=False),
    Step("forget --column monthly_spend --value 49.9", 1, terminal=False),
    *_mistakes(
        "forget --value 1",
        "forget --column customer",
        "forget --column region --values none.txt",
        "forget --column region --value north --delete",
    ),
    # Without AWS
    Step("pipeline"),
    *_mistakes("pipeline --jsn", "pipeline draw", "pipeline --check"),
    Step("cost --region eu-west-1"),
    *_mistakes(
        "cost --region moon-1",
        "cost --assume runs=many",
        "cost --set EndpointInstanceType=m5.large",
    ),
    Step("diagram --check"),
    *_mistakes("diagram --chek", "diagram --config mine.tml", "diagram svg"),
    *_mistakes("site --mode test", "site --output", "site --config mine.tml"),
    *_mistakes("audit --confirm", "audit --jsn", "audit --config mine.tml"),
    *_mistakes("sbom --jsn", "sbom all", "sbom --output sbom.json"),
    *_mistakes("local --data none.csv", "local --label churn", "local --set Modelfamilies=GBM"),
    Step("local --stop"),
    Step("local down"),
    *_mistakes("local upp", "local up --port 99999", "local up --set Rows=5"),
    *_mistakes("setup", "setup moon", "setup local emulator"),
    Step("completion bash"),
    *_mistakes("completion", "completion powershell", "completion bash zsh"),
    # The end
    *_mistakes("destroy --stack-name tabular-nowhere --force", "destroy tabular", "destroy --yse"),
    Step("destroy", 2, terminal=False),
    Step("destroy --yes", terminal=False),
    Step("destroy --yes --stack-name tabular-nowhere", terminal=False),
    Step("ci github --region eu-west-1 --install tools.txt"),
    Step("ci github --region eu-west-1 --install tools.txt --branch release --json", 1),
    *_mistakes(
        "ci", "ci github", "ci github --region eu-west-1 --install x --branch 'a b'", "ci circle"
    ),
    Step("init"),
    Step("init", 1),
    *_mistakes("init here", "init --force"),
)
