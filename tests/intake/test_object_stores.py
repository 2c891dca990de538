"""Logs in object stores: what of a URI is wildcard, option and secret; Google's and Azure's protocols."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.components.intake import sources
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.object_store import LogAddress
from tests.intake.object_store import ObjectStore

LINE = b'{"prompt": "q", "response": "a", "timestamp": 1790000000}\n'


@pytest.mark.parametrize(
    ("uri", "base", "pattern", "query"),
    [
        ("s3://b/logs", "s3://b/logs", "", ""),
        ("s3://b/logs/*.gz", "s3://b/logs", "/*.gz", ""),
        ("s3://b/logs/day-?.jsonl", "s3://b/logs", "/day-?.jsonl", ""),
        ("s3://b/logs/**/[ab]?.jsonl", "s3://b/logs", "/**/[ab]?.jsonl", ""),
        ("s3://b/logs?scheme=http", "s3://b/logs", "", "scheme=http"),
        (
            "s3://b/a?b/*.gz?endpoint_override=h:1&scheme=http",
            "s3://b",
            "/a?b/*.gz",
            "endpoint_override=h:1&scheme=http",
        ),
        ("s3://b/day?=1/*.gz", "s3://b", "/day?=1/*.gz", ""),
        ("s3://b/x.jsonl?endpoint_override=[::1]:9", "s3://b/x.jsonl", "", "endpoint_override=[::1]:9"),
    ],
)
def test_a_question_mark_begins_a_query_or_stands_for_a_letter(uri, base, pattern, query):
    address = LogAddress.of(uri)
    assert (address.base, address.pattern, address.query) == (base, pattern, query)


@pytest.mark.parametrize(
    ("uri", "shown", "secrets"),
    [
        ("s3://AKIA:se%2Fcret@b/l/*.gz?endpoint_override=h%3A1&scheme=http", "s3://b/l/*.gz", ["se%2Fcret", "se/cret"]),
        ("s3://AKIA:se/cret@b/l", "s3://b/l", ["se/cret"]),
        (
            "abfs://c:shh1@a.dfs.core.windows.net/l?client_secret=hush",
            "abfs://c@a.dfs.core.windows.net/l",
            ["shh1", "hush"],
        ),
        ("abfs://:shh1@acc.blob.core.windows.net/l", "abfs://acc.blob.core.windows.net/l", ["shh1"]),
        ("abfs://acc.blob.core.windows.net:10000/c/a@b", "abfs://acc.blob.core.windows.net:10000/c/a@b", []),
        ("gs://anonymous@b/l?scheme=http", "gs://b/l", []),
        ("s3://b/mail@home/x.jsonl", "s3://b/mail@home/x.jsonl", []),
    ],
)
def test_what_is_shown_holds_no_secret(uri, shown, secrets):
    address = LogAddress.of(uri)
    assert address.shown() == shown == sources.shown(uri)
    opened = f"{address.base}?{address.query}" if address.query else address.base
    told = address.hidden_in(f"cannot parse '{opened}' or {address.query or '-'}; bucket gone: {secrets}")
    assert told.startswith(f"cannot parse '{shown}' or ") and "; bucket gone: " in told
    assert not [secret for secret in secrets if secret in told]


def test_an_s3_uri_with_options_and_a_key_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "bucket" / "logs").mkdir(parents=True)
    (tmp_path / "bucket" / "logs" / "a.jsonl").write_bytes(LINE)
    (tmp_path / "bucket" / "logs" / "b.jsonl.gz").write_bytes(gzip.compress(LINE))
    server = ObjectStore(tmp_path)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    options = f"endpoint_override={server.endpoint.removeprefix('http://')}&scheme=http&region=us-east-1"
    secret = "s3://AKIA12345:hush%2Fhush@bucket"
    try:
        for storage in ("", '{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "other"}'):
            monkeypatch.setenv("FLYWHEEL_STORAGE_OPTIONS", storage)
            assert [one.label for one in sources.resolve(f"{secret}/logs?{options}")] == ["a.jsonl", "b.jsonl.gz"]
            [found] = sources.resolve(f"{secret}/logs/?.jsonl?{options}")
            with found.open() as stream:
                assert stream.read() == LINE
            assert "hush" not in repr(found)
            with pytest.raises(IntakeError) as caught:
                sources.resolve(f"{secret}/nowhere?{options}")
            assert str(caught.value).startswith("cannot list the logs s3://bucket/nowhere: ")
            assert caught.value.__cause__ is None and "hush" not in str(caught.value)
            with pytest.raises(IntakeError, match="no log files in s3://bucket/logs/x\\*;") as caught:
                sources.resolve(f"{secret}/logs/x*?{options}")
        with pytest.raises(
            IntakeError, match="s3://bucket/logs has the options force_virtual_addressing, which cannot"
        ):
            sources.resolve(f"{secret}/logs?force_virtual_addressing=true")
        monkeypatch.delenv("FLYWHEEL_STORAGE_OPTIONS")
        with pytest.raises(IntakeError, match=r"cannot list the logs s3://bucket/logs: Unexpected query parameter"):
            sources.resolve(f"{secret}/logs?no_such_option=1")
    finally:
        server.close()


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """Address and requests of a server that speaks Google's and Azure's protocol."""
    root, requests = tmp_path_factory.mktemp("clouds"), tmp_path_factory.mktemp("requests") / "log"
    deep = root / "bucket" / "logs" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "a.jsonl").write_bytes(LINE)
    (deep / "b.jsonl.gz").write_bytes(gzip.compress(LINE * 2))
    (deep / "notes.md").write_bytes(b"no log")
    script = Path(__file__).with_name("cloud_servers.py")
    server = subprocess.Popen(
        [sys.executable, str(script), str(root), str(requests)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"127.0.0.1:{server.stdout.readline().strip()}", requests
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def read_everything(logs):
    read = {}
    for source in sources.resolve(logs):
        with source.open() as stream:
            read[source.label] = stream.read()
    return read


@pytest.mark.parametrize("cloud", ["gs", "abfs", "abfs by key"])
def test_logs_in_google_and_azure(clouds, cloud, monkeypatch):
    address, requests = clouds
    uri, options = {
        "gs": ("gs://anonymous@bucket", f"?endpoint_override={address}&scheme=http&retry_limit_seconds=5"),
        "abfs": (f"abfs://account@{address}/bucket", "?enable_tls=false&credential_kind=anonymous"),
        "abfs by key": ("abfs://bucket", ""),
    }[cloud]
    if cloud == "abfs by key":
        known = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": "aHVzaGh1c2g="}
        monkeypatch.setenv(
            "FLYWHEEL_STORAGE_OPTIONS", json.dumps(known | {"AZURE_STORAGE_ENDPOINT": f"http://{address}"})
        )
    assert read_everything(f"{uri}/logs{options}") == {"a.jsonl": LINE, "deep/b.jsonl.gz": LINE * 2}
    assert read_everything(f"{uri}/logs/a.jsonl{options}") == {"a.jsonl": LINE}
    assert read_everything(f"{uri}/logs/**/?.jsonl.gz{options}") == {"deep/b.jsonl.gz": LINE * 2}
    with pytest.raises(
        IntakeError, match=r"cannot list the logs \w+://(account@127.0.0.1:\d+/bucket|bucket)/nowhere: "
    ):
        sources.resolve(f"{uri}/nowhere{options}")
    if cloud == "abfs by key":
        assert "SharedKey account" in requests.read_text()
