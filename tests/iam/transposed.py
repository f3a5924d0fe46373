"""Calls about one pipeline as the same calls about another one.

What `main` needs, a named pipeline needs with its own roles, folders and names; and what it needs
of its own, it must not be able to do with what is another one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.definition import OWNER_TAG
from pipeline.layout import MAIN, MODELS, PROCESSED, RAW, folder
from tests.iam.account import Account, Request

ROLES: Final = ("ProcessingRole", "TrainingRole", "ModelRole", "PipelineRole")
CLUSTER: Final = "SparkProcessingRole"
MANAGERS: Final = {MAIN: "PipelineManagerRole"}
_NAMED_MANAGER: Final = "NamedPipelinesManagerRole"
_KINDS: Final = (RAW, PROCESSED, MODELS)


@dataclass(frozen=True)
class Place:
    """Where a pipeline is in a deployment: its names in the settings and of its stack."""

    entry: str
    stack: str

    def role(self, title: str) -> str:
        """The role, as an `Account` knows it."""
        return title if self.entry == MAIN else f"{self.stack}/{title}"

    @property
    def manager(self) -> str:
        return MANAGERS.get(self.entry, _NAMED_MANAGER)


@dataclass(frozen=True)
class Move:
    """What has to be replaced in the calls of one pipeline to be those of another one."""

    account: Account
    source: Place
    target: Place

    def whole(self, request: Request) -> Request:
        """The call by the other pipeline's role, about what is the other pipeline's."""
        return self.about(request).but(who=self._who(request.who))

    def about(self, request: Request) -> Request:
        """The call by the same caller, about what is the other pipeline's."""
        own = request.who in {*map(self.source.role, self._titles), self.source.manager}
        context = {
            key: [self._text(one, own) for one in value]
            if isinstance(value, list)
            else self._value(key, value, own)
            for key, value in request.context.items()
        }
        resource = self._text(request.resource, own)
        return replace(request, resource=resource, context=context)

    @property
    def _titles(self) -> tuple[str, ...]:
        """The roles of either pipeline, with the cluster's if tables are prepared on Spark."""
        clusters = {self.source.role(CLUSTER), self.target.role(CLUSTER)}
        return (*ROLES, CLUSTER) if clusters <= self.account.roles.keys() else ROLES

    def _who(self, who: str) -> str:
        titles = {self.source.role(title): self.target.role(title) for title in self._titles}
        return (titles | {self.source.manager: self.target.manager}).get(who, who)

    def _value(self, key: str, value: str, own: bool) -> str:
        if key.endswith(f"/{OWNER_TAG}"):
            owners = self._properties(self.source)["Owner"], self._properties(self.target)["Owner"]
            return value.replace(*owners)
        if key == "s3:prefix":
            for kind in _KINDS:
                if value.startswith(start := folder(kind, self.source.entry)):
                    return folder(kind, self.target.entry) + value.removeprefix(start)
        return self._text(value, own)

    def _text(self, text: str, own: bool) -> str:
        for old, new in self._replacements(own):
            if old in text:
                text = text.replace(old, f"\0{new}\0") if "\0" not in text else text
        return text.replace("\0", "")

    def _replacements(self, own: bool) -> list[tuple[str, str]]:
        """Pairs of texts, the first that fits decides; groups belong to the caller's own jobs."""
        account, source, target = self.account, self.source, self.target
        old, new = self._properties(source), self._properties(target)
        bucket = old["Bucket"]
        pairs = [
            (account.role_arn(source.role(title)), account.role_arn(target.role(title)))
            for title in self._titles
        ]
        stacks = account.deployment.stack_ids
        managers = account.role_arn(source.manager), account.role_arn(target.manager)
        pairs += [
            managers,
            (self._topic(source), self._topic(target)),
            (stacks[source.stack], stacks[target.stack]),
            *self._rules(old["PipelineName"], new["PipelineName"]),
            *(
                (
                    f"{bucket}/{folder(kind, source.entry)}",
                    f"{bucket}/{folder(kind, target.entry)}",
                )
                for kind in _KINDS
            ),
            (old["PipelineName"], new["PipelineName"]),
        ]
        fields = ("SecurityGroupIds", "SparkSecurityGroupIds")
        groups = [(old[field], new[field]) for field in fields if field in old]
        logs = self._log_group(source), self._log_group(target)
        return [*pairs, *groups, logs] if own else pairs

    def _log_group(self, place: Place) -> str:
        """The log group of the function that manages a pipeline."""
        stack = place.stack if place.entry == MAIN else "manager"
        return self.account.deployment.get(stack, "PipelineManagerLogGroup").reference

    def _rules(self, old: str, new: str) -> list[tuple[str, str]]:
        ends = {MAIN: ("-run-failed", "-endpoint-failed")}
        named = ("-run", "-end")
        before = ends.get(self.source.entry, named)
        after = ends.get(self.target.entry, named)
        return [
            (f"rule/{old}{first}", f"rule/{new}{second}")
            for first, second in zip(before, after, strict=True)
        ]

    def _topic(self, place: Place) -> str:
        return self.account.deployment.get(place.stack, "AlertTopic").reference

    def _properties(self, place: Place) -> Mapping[str, str]:
        return self.account.deployment.get(place.stack, "Pipeline").properties
