"""How the deletion of a stack is shown, and how its questions are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Final

from rich.console import Console
from rich.text import Text

from generator.errors import CommandError
from tabular_ml_vpc.cli.questions import confirm, confirm_by_name
from tabular_ml_vpc.cli.stack_view import OperationView
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import destruction
from tabular_ml_vpc.operations.events import Event
from tabular_ml_vpc.operations.inventory import Leftover
from tabular_ml_vpc.operations.operation import OperationEvent

_SHOWN_SPACES: Final = 12
_DATA: Final = {
    "AWS::S3::Bucket": "bucket, with all objects and their versions",
    "AWS::KMS::Key": "key; what it encrypts can no longer be read",
    "AWS::Logs::LogGroup": "log group",
    "AWS::SageMaker::Domain": "Studio domain, with its user profiles",
    "AWS::CodeArtifact::Repository": "copies of packages, also of versions that PyPI removed",
    "AWS::SageMaker::ModelPackageGroup": "model registry, with all registered models",
}


class DestructionView:
    """Shows the events of a destruction on a console, and asks; ``yes`` skips the prompts."""

    def __init__(self, out: Console, yes: bool, verbose: bool) -> None:
        self._out, self._yes, self._verbose = out, yes, verbose
        self.operation = OperationView(out, verbose)

    @singledispatchmethod
    def show(self, event: Event) -> None:
        """Show an event; ask if it is a question."""
        raise NotImplementedError(event)

    @show.register
    def _(self, event: OperationEvent) -> None:
        self.operation.show(event)

    @show.register
    def _(self, event: destruction.DeletionPlanned) -> None:
        target = event.target
        place = f"{target.region} of account {target.account}"
        self._out.print(f"Stack {target.stack} in {place}", style="bold")
        self._show_deleted(event)
        self._show_kept(event)
        confirm_by_name("This cannot be undone.", target.stack, self._yes)
        event.approve()

    def _show_deleted(self, event: destruction.DeletionPlanned) -> None:
        deleted = event.plan.deleted
        self._print(f"Will be deleted: {counted(len(deleted), 'resource')}, among them")
        for resource in deleted:
            if resource.type in _DATA:
                what = _DATA[resource.type]
                self._print(f"  {resource.place}: {what} ({resource.physical_id})")
        kinds = Counter(item.type for item in deleted if item.place == destruction.CREATED_BY_RUNS)
        if kinds:
            numbers = ", ".join(counted(number, kind) for kind, number in kinds.items())
            self._print(f"  {destruction.CREATED_BY_RUNS} of the pipeline: {numbers}")
        if event.running:
            runs = counted(event.running, "run")
            self._print(f"  {runs} of the pipeline in progress will be stopped", "red")
        if event.unseen:
            unseen = ", ".join(event.unseen)
            self._print(f"  unknown, because permissions are missing: {unseen}", "yellow")

    def _show_kept(self, event: destruction.DeletionPlanned) -> None:
        kept = event.plan.kept
        self._print("Will be kept:" if kept or event.home else "Will be kept: no resource of it")
        for resource in kept:
            self._print(f"  {resource.place}: {resource.type} ({resource.physical_id})")
        if event.home:
            self._print(
                f"  home file system {event.home}: it blocks the deletion of the VPC; see the list "
                "at the end"
            )
        self._print("  the log groups of jobs, /aws/sagemaker/..., which the account shares")
        bucket = event.artifact_bucket
        self._print(f"  the artifact bucket {bucket}, if it exists (see --delete-artifacts)")

    @show.register
    def _(self, event: destruction.SpacesAffected) -> None:
        names = ", ".join(event.spaces[:_SHOWN_SPACES])
        spaces = f"{counted(len(event.spaces), 'space')} with people's files ({names})"
        if self._yes:
            raise CommandError(
                f"nothing was deleted: {spaces} would be deleted, too; allow that with "
                "--delete-spaces"
            )
        confirm(f"{spaces} will be deleted, too. Continue?", yes=False)
        event.approve()

    @show.register
    def _(self, _event: destruction.DeletingSpaces) -> None:
        self._print("deleting apps and spaces")

    @show.register
    def _(self, event: destruction.WaitingForInterfaces) -> None:
        interfaces = ", ".join(event.interfaces)
        self._print(f"waiting for the deletion of network interfaces: {interfaces}")

    @show.register
    def _(self, event: destruction.Destroyed) -> None:
        if event.status is None:
            self._print(f"The stack {event.stack} does not exist: there is nothing to delete.")
            return
        cause = event.cause
        if cause is not None and not event.deleted:
            self._print(f"First cause: {cause.place} ({cause.type}): {cause.reason}", "red")
        if event.kept:
            self._print("Kept by its DeletionPolicy:")
            self._list(event.kept)
        if event.left and not event.deleted and not self._verbose:
            remain = counted(len(event.left), "resource")
            self._print(f"Not deleted: {remain}; --verbose and --json list them", "red")
        elif event.left:
            self._print("Not deleted:", "red")
            self._list(event.left)
        elif event.deleted:
            self._print("Nothing else is left." if event.kept else "Nothing is left.", "green")
        if event.unseen:
            places = ", ".join(resource.place for resource in event.unseen)
            self._print(f"Not checked, because permissions are missing: {places}")

    @show.register
    def _(self, event: destruction.BucketDeletionPlanned) -> None:
        confirm(f"Delete the bucket {event.bucket} with everything in it?", self._yes)
        event.approve()

    @show.register
    def _(self, event: destruction.BucketDeleted) -> None:
        if event.existed:
            self._print(f"deleted the artifact bucket {event.bucket}")
        else:
            self._print(f"There is no artifact bucket {event.bucket} that was created here.")

    def _list(self, leftovers: Sequence[Leftover]) -> None:
        for item in leftovers:
            text = Text(f"  {item.place} ({item.type}) {item.physical_id}: {item.reason}")
            text.append(f"\n    {item.command}", style="cyan")
            self._out.print(text, soft_wrap=True)

    def _print(self, text: str, style: str = "") -> None:
        self._out.print(Text(text, style=style), soft_wrap=True)
