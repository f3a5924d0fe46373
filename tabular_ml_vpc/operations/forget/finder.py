"""Finds what holds rows with certain values: objects of the data bucket, models, the endpoint.

Prepared data have only the columns that are trained on. A column that identifies people is not
among them, so that what prepared files hold is found in two steps: the rows of the tables that have
the value, and the prepared rows that equal them, as the run's own schema reads them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from generator.errors import CommandError
from pipeline import layout
from pipeline.definition import TABLE_SCHEMA, TEST_DATA, TRAIN_DATA
from tabular_ml_vpc.operations.forget.findings import ENDPOINT, PACKAGE, Finding, Results
from tabular_ml_vpc.operations.forget.reader import Reader, Unreadable
from tabular_ml_vpc.operations.forget.runs import Runs
from tabular_ml_vpc.operations.forget.sought import Found
from tabular_ml_vpc.operations.forget.versions import STUDIO, Lifecycle, Version
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline
from tabular_ml_vpc.operations.workload import Workload

Observer = Callable[[Version], None]
"""Called with each version before it is read."""
Run = tuple[str, str]
"""A pipeline's name and a run's id."""

_SIDES: Final = (TRAIN_DATA.name, TEST_DATA.name)
_TABLES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq", ".txt")
_ARCHIVE: Final = ".tar.gz"
_SCHEMA: Final = "schema.json"
_TRAINED: Final = "its training data hold such rows"
_ORDER: Final = (layout.RAW, STUDIO, "", layout.PREDICTIONS)
_LATER: Final = frozenset(
    {layout.PROCESSED, layout.MODELS, layout.CODE, layout.CAPTURED, layout.ASYNCHRONOUS}
)
_THREADS: Final = 8


@dataclass
class _RunFindings:
    """What is known of one run: which values its training and test data have."""

    values: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    searched: set[str] = field(default_factory=set)
    """The sides of which a file was compared with the rows that were found."""
    quoted: Found | None = None
    """What its schema quotes; None if that could not be read."""


@dataclass
class Finder:
    """Searches the versions that were listed; ``results`` grows meanwhile."""

    reader: Reader
    versions: Sequence[Version]
    lifecycle: Lifecycle
    pipelines: Sequence[DeployedPipeline]
    results: Results
    observe: Observer
    _runs: dict[Run, _RunFindings] = field(default_factory=lambda: defaultdict(_RunFindings))
    _in_tables: dict[Version, Found | None] = field(default_factory=dict)
    """What each raw table has; None if it could not be read."""
    _names: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def find(self) -> Results:
        """Search everything.

        Raises:
            CommandError: no table has the column.

        """
        for version in sorted(self.versions, key=_order):
            if version.place.kind not in _LATER:
                self._search(version)
        self._check_column()
        self._search_captured()
        for run, versions in _by_run(self.versions, layout.PROCESSED).items():
            self._search_run(run, versions)
        self._judge_runs()
        return self.results

    def _check_column(self) -> None:
        results = self.results
        if results.with_column or not results.without_column:
            return
        shown = ", ".join(map(repr, results.names[:20]))
        raise CommandError(
            f"--column: none of the tables has a column {results.sought.column!r}; the columns of "
            f"one of them are {shown}"
        )

    # --- Single versions ---------------------------------------------------------------------

    def _search(self, version: Version) -> None:
        """Search a version by its place and its name."""
        place, name = version.place, version.key.lower()
        if place.kind == layout.RAW:
            self._in_tables[version] = self._table(version, keep=True)
        elif name.endswith(".json") and place.kind in {layout.PROCESSED, layout.PREDICTIONS}:
            self._document(version)
        elif place.kind in {layout.PROCESSED, layout.PREDICTIONS} or name.endswith(_TABLES):
            self._table(version)
        else:
            self.results.skipped[place.kind] = self.results.skipped.get(place.kind, 0) + 1

    def _document(self, version: Version) -> None:
        self._begin(version)
        try:
            self._add(version, self.reader.document(version)[0])
        except Unreadable as error:
            self._unread(version, error)

    def _search_captured(self) -> None:
        """Search requests: many small objects, so several at a time."""
        kinds = {layout.CAPTURED: self.reader.captured, layout.ASYNCHRONOUS: self.reader.request}
        captured = [one for one in self.versions if one.place.kind in kinds]

        def search(version: Version) -> Found | Unreadable:
            try:
                return kinds[version.place.kind](version)
            except Unreadable as error:
                return error

        with ThreadPoolExecutor(_THREADS) as pool:
            for version, found in zip(captured, pool.map(search, captured), strict=True):
                self._begin(version)
                if isinstance(found, Unreadable):
                    self._unread(version, found)
                else:
                    self._add(version, found)

    def _table(self, version: Version, *, keep: bool = False) -> Found | None:
        self._begin(version)
        try:
            table = self.reader.table(version, keep=keep)
        except Unreadable as error:
            self._unread(version, error)
            return None
        results = self.results
        results.rows += table.rows
        if version.place.kind != layout.PROCESSED:
            results.with_column += table.found is not None
            results.without_column += table.found is None
            results.names = results.names or table.columns
        if table.cut:
            self._unread(version, Unreadable("only its first rows found are looked for in runs"))
        found = table.found or Counter()
        self._add(version, found)
        return found

    def _begin(self, version: Version) -> None:
        self.observe(version)
        self.results.versions += 1
        self.results.bytes += version.bytes

    def _unread(self, version: Version, error: Unreadable) -> None:
        self.results.unread.append((version, str(error)))

    def _add(self, version: Version, found: Found, reason: str = "") -> None:
        if not found and not reason:
            return
        place = version.place
        self.results.findings.append(
            Finding(
                place.kind,
                version.key,
                found,
                version,
                self.lifecycle.gone(version),
                place.pipeline,
                place.run,
                reason,
            )
        )

    # --- Runs --------------------------------------------------------------------------------

    def _search_run(self, run: Run, versions: list[Version]) -> None:
        """Search what a run prepared; its schema first, by which the rest is compared."""
        schema = self._schema(run, versions)
        for version in versions:
            side = version.place.rest.partition("/")[0]
            if side in _SIDES and version.key.endswith(".parquet"):
                self._prepared(run, side, version, schema)
            elif version.key.endswith(".json") or not _is_hidden(version):
                self._search(version)

    def _schema(self, run: Run, versions: Iterable[Version]) -> Path | None:
        """Write the run's newest schema to a file and return its path."""
        wanted = f"{TABLE_SCHEMA.name}/{_SCHEMA}"
        for version in versions:
            if version.place.rest == wanted:
                try:
                    self._runs[run].quoted, text = self.reader.document(version)
                except Unreadable:
                    return None  # reported when it is searched
                path = self.reader.scratch / _SCHEMA
                path.write_bytes(text)
                return path
        return None

    def _prepared(self, run: Run, side: str, version: Version, schema: Path | None) -> None:
        self._begin(version)
        found: Found = Counter()
        known = self._runs[run]
        try:
            table = self.reader.table(version)
            self.results.rows += table.rows
            found.update(table.found or {})
            if schema is not None:
                equal, _ = self.reader.prepared(version, schema)
                known.searched.add(side)
                column = {at for at, _ in found}
                found.update({key: rows for key, rows in equal.items() if key[0] not in column})
        except Unreadable as error:
            self._unread(version, error)
        known.values[side] |= {at for at, _ in found}
        self._add(version, found)

    def _judge_runs(self) -> None:
        """Say which models were trained on the rows, or may have been."""
        models = _by_run(self.versions, layout.MODELS)
        by_name = {one.workload.name: one for one in self.pipelines}
        readers = {
            name: Runs(one, self.reader.bucket, tuple(self.versions))
            for name, one in by_name.items()
        }
        made: dict[str, Finding] = {}
        for run in sorted({*self._runs, *models}):
            reason = self._reason(run, readers.get(run[0]))
            for version in models.get(run, []):
                if finding := self._model(run, version, reason):
                    made[f"s3://{self.reader.bucket}/{version.key}"] = finding
        for one in self.pipelines:
            self.results.findings += _made_from(one.workload, made)

    def _reason(self, run: Run, runs: Runs | None) -> str:
        """Return why a run's model depends on the rows; empty if it does not."""
        known = self._runs[run]
        if known.values[TRAIN_DATA.name]:
            return _TRAINED
        if runs is None:
            self.results.unknown.append((run[1], f"the stack has no pipeline {run[0]}"))
            return ""
        table = runs.table(run[1])
        if table.unknown:
            self.results.unknown.append((run[1], table.unknown))
            return ""
        held: set[int] = set()
        for version in table.versions:
            found = self._in_tables.get(version)
            if found is None:
                self.results.unknown.append((run[1], f"{version.key}, which it read, is unread"))
            held |= {at for at, _ in found or {}}
        if TRAIN_DATA.name in known.searched:
            held -= known.values[TEST_DATA.name]
        if not held:
            return ""
        keys = ", ".join(sorted({one.key for one in table.versions if self._in_tables.get(one)}))
        return f"possible: its run read {keys}, which holds such rows"

    def _model(self, run: Run, version: Version, reason: str) -> Finding | None:
        """Return the finding, if a model is one.

        Its archive has the run's schema, and a reference that says nothing that the training data
        do not: it is read only if the schema is gone.
        """
        if not version.key.endswith(_ARCHIVE):
            return None
        found = self._runs[run].quoted
        if found is None:
            found = self._in_archive(version)
        before = len(self.results.findings)
        self._add(version, found, reason)
        return self.results.findings[-1] if len(self.results.findings) > before else None

    def _in_archive(self, version: Version) -> Found:
        self._begin(version)
        try:
            return self.reader.archive(version)
        except Unreadable as error:
            self._unread(version, error)
            return Counter()


def _made_from(workload: Workload, made: dict[str, Finding]) -> Iterator[Finding]:
    """Yield the registry's versions and the endpoint that have one of these models."""
    packages = workload.listed(
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=workload.pipeline,
    )
    by_arn: dict[str, Finding] = {}
    for package in packages if made and workload.pipeline else ():
        arn = str(package["ModelPackageArn"])
        described = workload.described("describe_model_package", ModelPackageName=arn)
        for container in (described or {}).get("InferenceSpecification", {}).get("Containers", []):
            if model := made.get(str(container.get("ModelDataUrl"))):
                status = str(package.get("ModelApprovalStatus", ""))
                by_arn[arn] = _follows(PACKAGE, arn, model, f"{status}: made of {model.name}")
    yield from by_arn.values()
    models = [made.get(one) or by_arn.get(one) for one in _served(workload)] if made else []
    for model in filter(None, models):
        name = str(workload.endpoint)
        yield _follows(ENDPOINT, name, model, f"serves {model.name}")
    workload.check_seen()


def _follows(kind: str, name: str, model: Finding, reason: str) -> Finding:
    return Finding(kind, name, Counter(), pipeline=model.pipeline, run=model.run, reason=reason)


def _served(workload: Workload) -> Iterator[str]:
    """Yield the archives, or the ARNs of packages, that the endpoint serves."""
    endpoint = workload.endpoint_status() or {}
    name = endpoint.get("EndpointConfigName")
    config = workload.described("describe_endpoint_config", EndpointConfigName=name) or {}
    for variant in config.get("ProductionVariants", []):
        model = workload.described("describe_model", ModelName=variant["ModelName"]) or {}
        for container in (model.get("PrimaryContainer"), *model.get("Containers", [])):
            for key in ("ModelDataUrl", "ModelPackageName"):
                if container and key in container:
                    yield str(container[key])


def _order(version: Version) -> tuple[int, str]:
    kind = version.place.kind
    return (_ORDER.index(kind) if kind in _ORDER else _ORDER.index("")), version.key


def _is_hidden(version: Version) -> bool:
    """Return whether it is a marker or a checksum that Spark writes beside its files."""
    return version.key.rpartition("/")[2].startswith(("_", "."))


def _by_run(versions: Iterable[Version], kind: str) -> dict[Run, list[Version]]:
    found: dict[Run, list[Version]] = defaultdict(list)
    for version in versions:
        place = version.place
        if place.kind == kind and place.run:
            found[place.pipeline, place.run].append(version)
    return found
