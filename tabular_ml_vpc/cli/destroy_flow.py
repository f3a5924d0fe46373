"""The steps of ``python build.py destroy``; see ``tabular_ml_vpc.operations.destruction``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from generator.errors import CommandError
from tabular_ml_vpc.cli import stack_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.cli.questions import confirm, confirm_by_name
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import artifacts, deployment, destruction, source, stacks
from tabular_ml_vpc.operations.destruction import DeletionPlan
from tabular_ml_vpc.operations.inventory import Leftover, PlannedDeletion, left_of
from tabular_ml_vpc.operations.operation import Cause, StackOperation, first_cause
from tabular_ml_vpc.operations.stacks import Stack, StackNode
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import DOMAIN, Workload

_TRIES: Final = 3
_LISTED: Final = 12
_DATA: Final = {
    "AWS::S3::Bucket": "bucket, with all objects and their versions",
    "AWS::KMS::Key": "key; what it encrypts cannot be read any more",
    "AWS::Logs::LogGroup": "log group",
    "AWS::SageMaker::Domain": "Studio's domain, with its user profiles",
    "AWS::SageMaker::ModelPackageGroup": "model registry, with the registered models",
}


@dataclass(frozen=True)
class DestroyOptions:
    """What was asked for on the command line."""

    delete_spaces: bool
    delete_artifacts: bool
    verbose: bool
    yes: bool
    as_json: bool


def run(target: Target, options: DestroyOptions) -> int:
    """Delete the stack; return the exit status."""
    out = stack_view.console(to_stderr=options.as_json)
    stack = stacks.find(target)
    if stack is None or stack.status == "DELETE_COMPLETE":
        return _nothing_to_do(target, out, options)
    node = stacks.tree(target, stack)
    source.refuse_strangers(stack, node)
    _refuse_if_protected(target, stack)
    workload = Workload.of(target, node)
    fate = destruction.fate(target, node, workload)
    home = (workload.domain_status() or {}).get("HomeEfsFileSystemId")
    spaces = [str(one["SpaceName"]) for one in workload.spaces()]
    _announce(out, target, fate, workload, home)
    _ask(target, options, spaces)
    try:
        cause, after = _delete(target, out, options, node, workload, fate, bool(spaces))
    except KeyboardInterrupt:
        _say_how_to_go_on(target)
        raise
    return _tell(target, out, options, _look(target, fate, home, after, cause))


def _nothing_to_do(target: Target, out: Console, options: DestroyOptions) -> int:
    out.print(f"There is no stack {target.stack} in {target.region}: nothing to delete.")
    _delete_artifacts(target, out, options)
    if options.as_json:
        print_json(_Remains(None).as_json(target.stack))
    return 0


def _refuse_if_protected(target: Target, stack: Stack) -> None:
    if stack.protected:
        raise CommandError(
            f"{stack.name} is protected against deletion; `aws cloudformation "
            f"update-termination-protection --no-enable-termination-protection --stack-name "
            f"{stack.name} --region {target.region}` lifts that"
        )


def _announce(
    out: Console, target: Target, fate: DeletionPlan, workload: Workload, home: str | None
) -> None:
    """Say what goes, what of it is data, what runs, and what stays."""
    out.print(f"Stack {target.stack} in {target.region} of account {target.account}", style="bold")
    out.print(f"Goes: {len(fate.goes)} resources, among them")
    for one in fate.goes:
        if one.type in _DATA:
            out.print(Text(f"  {one.place}: {_DATA[one.type]} ({one.physical_id})"), soft_wrap=True)
    made = Counter(one.type for one in fate.goes if one.place == "made by runs")
    if made:
        out.print(f"  made by the pipeline's runs: {_counted(made)}")
    running = workload.running()
    if running:
        told = counted(len(running), "running execution")
        out.print(f"  {told} of the pipeline will be stopped", style="red")
    if workload.unseen:
        unseen = ", ".join(sorted(workload.unseen))
        out.print(f"  what these would tell, since rights are missing: {unseen}", style="yellow")
    out.print("Stays:" if fate.stays or home else "Stays: nothing of the stack")
    for one in fate.stays:
        out.print(Text(f"  {one.place}: {one.type} ({one.physical_id})"), soft_wrap=True)
    if home:
        out.print(
            f"  home file system {home}: it blocks the VPC's deletion; see the list at the end"
        )
    out.print("  the jobs' log groups /aws/sagemaker/..., which the whole account shares")
    bucket = artifacts.bucket_name(target)
    out.print(f"  the artifact bucket {bucket}, if it is there (--delete-artifacts)")


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())


def _ask(target: Target, options: DestroyOptions, spaces: Sequence[str]) -> None:
    """Ask for the stack, and apart from it for the spaces, which hold people's files."""
    confirm_by_name("This cannot be undone.", target.stack, options.yes)
    if not spaces or options.delete_spaces:
        return
    named = ", ".join(spaces[:_LISTED])
    if options.yes:
        raise CommandError(
            f"nothing was deleted: {counted(len(spaces), 'space')} with people's files ({named}); "
            "--delete-spaces deletes them, too"
        )
    confirm(f"{counted(len(spaces), 'space')} with people's files ({named}). Delete, too?", False)


def _delete(
    target: Target,
    out: Console,
    options: DestroyOptions,
    node: StackNode,
    workload: Workload,
    fate: DeletionPlan,
    with_spaces: bool,
) -> tuple[Cause | None, Stack]:
    """Delete until it is done, or until trying again does not help."""
    if with_spaces:
        out.print("deleting apps and spaces")
        workload.delete_people_s_things(time.sleep)
    for _ in range(_TRIES):
        cause, after = _delete_once(target, out, options, node, fate)
        if after.status == "DELETE_COMPLETE":
            return None, after
        vpc = fate.vpc()
        if vpc is None or not destruction.interfaces(target, vpc):
            return cause, after
        left = destruction.wait_for_interfaces(target, vpc, out.print, time.sleep)
        if left:
            return cause, after
        node = stacks.tree(target, after)
    return cause, after


def _delete_once(
    target: Target, out: Console, options: DestroyOptions, node: StackNode, fate: DeletionPlan
) -> tuple[Cause | None, Stack]:
    operation = StackOperation.after_now(target, node)
    if node.stack.status != "DELETE_IN_PROGRESS":
        deployment.start_deletion(target, node.stack)
    totals = Counter(one.place.rpartition("/")[0] for one in fate.goes + fate.stays)
    totals[""] = len(node.children)
    with stack_view.following(out, totals, options.verbose) as observe:
        after = operation.follow(node.stack.id, observe)
    return first_cause(operation.events), after


def _say_how_to_go_on(target: Target) -> None:
    stack_view.say(
        "A deletion that was begun goes on by itself; "
        f"`python build.py destroy{target.options()}` goes on from where it is."
    )


@dataclass(frozen=True)
class _Remains:
    """What is there after the deletion: left against the intention, kept by it, or not seen."""

    status: str | None
    left: Sequence[Leftover] = ()
    stays: Sequence[Leftover] = ()
    unseen: Sequence[PlannedDeletion] = ()
    cause: Cause | None = None

    @property
    def gone(self) -> bool:
        return self.status == "DELETE_COMPLETE"

    def as_json(self, stack: str) -> dict[str, object]:
        cause = self.cause
        return {
            "stack": stack,
            "status": self.status,
            "left": [one.as_json() for one in self.left],
            "stays": [one.as_json() for one in self.stays],
            "unseen": [one.place for one in self.unseen],
            "cause": cause and {"place": cause.place, "reason": cause.reason},
        }


def _look(
    target: Target, fate: DeletionPlan, home: str | None, after: Stack, cause: Cause | None
) -> _Remains:
    """Look for everything that should be gone, and for what stays by intention."""
    unseen: list[PlannedDeletion] = []
    left = left_of(target, fate.goes, _reasons(cause), unseen)
    domain = fate.first(DOMAIN)
    if home and domain and after.status == "DELETE_COMPLETE":
        left.append(_home(target, domain.place, home))
    stays = left_of(target, fate.stays, lambda one: _kept(target, one), unseen)
    return _Remains(after.status, left, stays, unseen, cause)


def _tell(target: Target, out: Console, options: DestroyOptions, remains: _Remains) -> int:
    """Say what is left; it is a failure if something is that should not be."""
    if options.as_json:
        print_json(remains.as_json(target.stack))
    else:
        _show(out, remains)
    if not remains.gone:
        raise CommandError(
            f"{target.stack} is not gone, it is in {remains.status}; once the reason is gone, run "
            f"`python build.py destroy{target.options()}` again"
        )
    if remains.left:
        raise CommandError("the stack is gone, but not all that it had made")
    _delete_artifacts(target, out, options)
    return 0


def _kept(target: Target, doomed: PlannedDeletion) -> str:
    """Return why it stays; of a key its ARN too, since its alias is gone."""
    if doomed.type != "AWS::KMS::Key":
        return "its DeletionPolicy keeps it"
    arn = f"arn:{target.partition}:kms:{target.region}:{target.account}:key/{doomed.physical_id}"
    return f"its DeletionPolicy keeps it, without its alias: {arn}"


def _reasons(cause: Cause | None) -> Callable[[PlannedDeletion], str]:
    def reason(doomed: PlannedDeletion) -> str:
        if cause is None:
            return "CloudFormation reported it deleted"
        if doomed.physical_id == cause.physical_id:
            return cause.reason
        return f"the deletion stopped at {cause.place}"

    return reason


def _home(target: Target, place: str, file_system: str) -> Leftover:
    return Leftover(
        place,
        "home file system",
        file_system,
        "it outlives the domain; its mount targets go first",
        f"aws efs delete-file-system --file-system-id {file_system} --region {target.region}",
    )


def _show(out: Console, remains: _Remains) -> None:
    cause = remains.cause
    if cause is not None and not remains.gone:
        text = f"First cause: {cause.place} ({cause.type}): {cause.reason}"
        out.print(Text(text, style="red"), soft_wrap=True)
    if remains.stays:
        out.print("Stays, as its DeletionPolicy says:")
        _list(out, remains.stays)
    if remains.left:
        out.print("Left:", style="red")
        _list(out, remains.left)
    elif remains.gone:
        out.print("Nothing is left of what was to go.", style="green")
    if remains.unseen:
        places = ", ".join(one.place for one in remains.unseen)
        out.print(f"Not looked at, since rights are missing: {places}", soft_wrap=True)


def _list(out: Console, rows: Sequence[Leftover]) -> None:
    for one in rows:
        text = Text(f"  {one.place} ({one.type}) {one.physical_id}: {one.reason}")
        text.append(f"\n    {one.command}", style="cyan")
        out.print(text, soft_wrap=True)


def _delete_artifacts(target: Target, out: Console, options: DestroyOptions) -> None:
    bucket = artifacts.bucket_name(target)
    if not options.delete_artifacts:
        return
    if not artifacts.is_our_bucket(target, bucket):
        out.print(f"There is no artifact bucket {bucket} that was made here.")
        return
    confirm(f"Delete the bucket {bucket} with all that was uploaded?", options.yes)
    artifacts.delete_bucket(target, bucket)
    out.print(f"deleted the artifact bucket {bucket}")
