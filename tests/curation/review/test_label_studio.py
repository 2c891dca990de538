"""The queue against a real Label Studio server on loopback; without one only what needs none."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from flywheel.components.curation.review.errors import ReviewError
from flywheel.components.curation.review.exporting import export
from flywheel.components.curation.review.import_step import import_reviews
from flywheel.components.curation.review.label_studio import LabelStudioQueue
from flywheel.components.curation.review.reviewed import read, version_for
from tests.curation.review.conftest import candidate_row

TOKEN = "REVIEW_TEST_TOKEN"


class Server:
    """A Label Studio server with one user, and what a reviewer does in the browser."""

    def __init__(self, url: str):
        self.url = url

    def sign_in(self):
        """A session, as the browser has it."""
        session = httpx.Client(base_url=self.url, trust_env=False, follow_redirects=True, timeout=60)
        session.get("/user/login/")
        form = {"email": "reviewer@example.com", "password": "reviews-of-a-test"}
        session.post(
            "/user/login/", data=form | {"csrfmiddlewaretoken": session.cookies["csrftoken"]}, headers=self._from
        )
        return session

    @property
    def _from(self):
        return {"Referer": f"{self.url}/user/login/"}

    @cached_property
    def access_token(self) -> str:
        """A personal access token; a user may have one only."""
        session = self.sign_in()
        headers = self._from | {"X-CSRFToken": session.cookies["csrftoken"]}
        return session.post("/api/token/", headers=headers).json()["token"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    venv = os.environ.get("FLYWHEEL_LABEL_STUDIO", "")
    if not venv:
        pytest.skip("no Label Studio: set FLYWHEEL_LABEL_STUDIO to the folder that .ci/label_studio prints")
    data = tmp_path_factory.mktemp("label-studio") / "data"
    shutil.copytree(Path(venv) / "seed", data)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data), "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
    }  # fmt: skip
    command = [f"{venv}/bin/label-studio", "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(300):
            try:
                plain.open(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (data / "server.log").read_text()[-3000:]
                time.sleep(0.5)
        yield Server(url)
    finally:
        process.terminate()
        process.wait(30)


def annotate(queue, task, verdict, category="", text="", **more):
    result = [choice("verdict", verdict)]
    result += [choice("category", category)] if category else []
    if text:
        value = {
            "from_name": "edited_correction",
            "to_name": "correction",
            "type": "textarea",
            "value": {"text": [text]},
        }
        result.append(value)
    return queue._client.annotations.create(id=task, result=result, **more)


def choice(name, value):
    return {"from_name": name, "to_name": "correction", "type": "choices", "value": {"choices": [value]}}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_reviews_go_out_to_label_studio_and_come_back(server, make_candidates, tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN, server.access_token)
    rows = [candidate_row(number) for number in range(7)]
    snapshot = make_candidates(rows)
    store = snapshot.candidates.store
    place = {"url": server.url, "token_variable": TOKEN, "project": "Reviews of a test"}
    done = export(snapshot, str(tmp_path / "q.csv"), "r1", **place)
    assert (done.metrics["tasks_added"], done.metrics["tasks_there_already"]) == (7, 0)
    again = export(snapshot, str(tmp_path / "q.csv"), "r1", **place)
    assert (again.metrics["tasks_added"], again.metrics["tasks_there_already"]) == (0, 7)

    queue = LabelStudioQueue(server.url, TOKEN, "Reviews of a test", page=2)  # seven tasks: four pages
    task_of = {task.data["candidate_id"]: task.id for task in queue._tasks(queue._project())}
    assert set(task_of) == {row["candidate_id"] for row in rows}
    tasks = [task_of[row["candidate_id"]] for row in rows]
    annotate(queue, tasks[0], "accept", "tone", "It is 36 months, Ms. Lovelace; write to ada@mail.example.")
    annotate(queue, tasks[1], "accept", "factual")
    changed = annotate(queue, tasks[1], "reject")  # the same person once more: the newest counts
    deleted = annotate(queue, tasks[2], "reject")
    annotate(queue, tasks[3], "accept", "factual", was_cancelled=True)  # skipped
    first = import_reviews(store, "r2", **place)
    assert first.metrics["reviews_new"] == 4 and first.details["skipped"] == 1 and first.details["unanswered"] == 3
    assert first.metrics["decided_accept"] == 1 and first.metrics["decided_reject"] == 2
    assert import_reviews(store, "r3", **place).metrics["reviews_new"] == 0

    queue._client.annotations.delete(id=deleted.id)
    queue._client.annotations.update(id=changed.id, result=[choice("verdict", "accept"), choice("category", "clarity")])
    second = import_reviews(store, "r4", **place)
    assert second.metrics["reviews_withdrawn"] == 1 and second.metrics["reviews_new"] == 1
    decisions = {row["interaction_id"]: read(version_for(store, "r5")).decision_on(row) for row in rows}
    assert decisions["i00000"].category == "tone" and "[EMAIL_1]" in decisions["i00000"].correction
    assert (decisions["i00001"].verdict, decisions["i00001"].category) == ("accept", "clarity")
    assert decisions["i00002"] is None and decisions["i00003"] is None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_what_is_wrong_with_the_server_is_said(server, monkeypatch):
    monkeypatch.setenv(TOKEN, "0123456789abcdef0123456789abcdef01234567")
    with pytest.raises(ReviewError, match="answered 401.*check the token"):
        LabelStudioQueue(server.url, TOKEN).pull()
    monkeypatch.setenv(TOKEN, server.access_token)
    LabelStudioQueue(server.url, TOKEN)._client.projects.create(title="Other", label_config="<View/>")
    with pytest.raises(ReviewError, match="form without verdict, category"):
        LabelStudioQueue(server.url, TOKEN, "Other").pull()


def test_a_server_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv(TOKEN, "0123456789abcdef")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(ReviewError, match="cannot be reached"):
            LabelStudioQueue(url, TOKEN).pull()


@pytest.mark.parametrize("url", ["labels.example", "https://me:secret@labels.example", "https://x.example?token=1"])
def test_an_address_with_a_secret_or_none_is_refused(url, monkeypatch):
    monkeypatch.setenv(TOKEN, "x")
    with pytest.raises(ValueError, match="address of Label Studio") as refused:
        LabelStudioQueue(url, TOKEN)
    assert "secret" not in str(refused.value)


def test_the_token_is_never_a_parameter(monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(ValueError, match=f"{TOKEN} is not set"):
        LabelStudioQueue("https://labels.example", TOKEN)
    with pytest.raises(ValueError, match="NAME of an environment variable") as refused:
        LabelStudioQueue("https://labels.example", "abc-secret.token")
    assert "secret" not in str(refused.value)
