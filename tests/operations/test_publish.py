"""Publishing: what is uploaded where, and what is refused; the link is in tests/cli/test_links."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from boto3.session import Session

from tabular_ml_vpc.operations.artifacts import ArtifactBucket
from tabular_ml_vpc.operations.target import Target
from tests.emulated import REGION, Run

BUCKET = "example-published"


@pytest.fixture
def bucket(aws: Session) -> Iterator[str]:
    """Give an empty bucket of ours."""
    s3 = aws.client("s3")
    place = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    yield BUCKET
    ArtifactBucket(Target(aws, "tabular"), BUCKET).delete()


def keys(aws: Session) -> dict[str, bytes]:
    """Return the objects in the bucket."""
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    names = [one["Key"] for one in found]
    return {name: s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}


@pytest.mark.usefixtures("bucket")
def test_what_is_published_is_named_by_its_content_and_never_changes(
    aws: Session, run: Run
) -> None:
    first = run("publish", "--bucket", BUCKET, "--prefix", "team/1", "--json").json
    assert first["uploaded"]["sent"] == first["uploaded"]["of"] > 5
    uploaded = keys(aws)
    for key, content in uploaded.items():
        folder, _, name = key.rpartition("/")
        assert folder in {"team/1/templates", "team/1/functions"}
        assert name.partition(".")[0] == hashlib.sha256(content).hexdigest()

    again = run("publish", "--bucket", BUCKET, "--prefix", "team/1/", "--json").json
    assert again["uploaded"]["sent"] == 0
    assert again["template_url"] == first["template_url"]

    other = run("publish", "--bucket", BUCKET, "--prefix", "team/1", "--mode", "prod", "--json")
    assert other.json["template_url"] != first["template_url"]
    assert keys(aws).items() >= uploaded.items()


@pytest.mark.usefixtures("bucket")
def test_the_published_template_creates_the_stack_without_any_local_file(
    aws: Session, run: Run
) -> None:
    published = run("publish", "--bucket", BUCKET, "--prefix", "p", "--json").json
    body = keys(aws)[urlsplit(published["template_url"]).path.removeprefix(f"/{BUCKET}/")].decode()
    addresses = [line.split()[-1] for line in body.splitlines() if "TemplateURL:" in line]
    assert addresses
    for address in addresses:
        assert address.startswith(f"https://s3.{REGION}.amazonaws.com/{BUCKET}/p/templates/")
        assert urlsplit(address).path.removeprefix(f"/{BUCKET}/") in keys(aws)
    nested = [text.decode() for key, text in keys(aws).items() if key.endswith(".yaml")]
    zips = {line.split()[-1] for text in nested for line in text.splitlines() if "S3Key:" in line}
    assert zips == {key for key in keys(aws) if key.endswith(".zip")}


@pytest.mark.usefixtures("bucket")
def test_the_console_s_form_can_read_the_published_template(aws: Session, run: Run) -> None:
    published = run("publish", "--bucket", BUCKET, "--set", "Rows=700", "--json").json
    address = published["template_url"]
    assert len(address) <= 1024  # CreateStack, API Reference

    read = aws.client("cloudformation").get_template_summary(TemplateURL=address)
    assert published["parameters"] == {"Rows": "700"}
    assert "Rows" in {one["ParameterKey"] for one in read["Parameters"]}


@pytest.mark.usefixtures("bucket")
def test_an_object_that_is_not_what_its_name_says_is_replaced(aws: Session, run: Run) -> None:
    run("publish", "--bucket", BUCKET)
    before = keys(aws)
    victim = next(key for key in before if key.endswith(".yaml"))
    aws.client("s3").put_object(Bucket=BUCKET, Key=victim, Body=b"Resources: {}")

    assert run("publish", "--bucket", BUCKET, "--json").json["uploaded"]["sent"] == 1
    assert keys(aws) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bucket", "Example"), "--bucket: 'Example' is not a valid bucket name"),
        (("--bucket", "example-nowhere"), "--bucket: cannot use 'example-nowhere'"),
        (("--prefix", "/a"), "--prefix: '/a' is not a valid prefix"),
        (("--stack-name", "churn"), "must begin with 'tabular'"),
        (("--region", "mx-central-1"), "--region: got 'mx-central-1'"),
    ],
)
def test_what_cannot_be_published_is_refused_in_one_line(
    arguments: tuple[str, str], said: str, run: Run
) -> None:
    done = run("publish", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err
