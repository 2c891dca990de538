"""The review queue in Label Studio, through its SDK: one project, one task per content, answers as annotations.

A task carries the candidate's id in its data, so that what comes back is found by it whatever the server numbers. The
model's category is not shown: reviewers who see it agree with it too often.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.review.errors import ReviewError
from flywheel.components.curation.review.given import Given
from flywheel.components.curation.review.requests import Request

PROJECT = "Flywheel reviews"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROLS = ("verdict", "category", "edited_correction", "note")
_T = TypeVar("_T")

LABEL_CONFIG = f"""<View>
  <Header value="What was said before"/><Text name="conversation" value="$conversation"/>
  <Header value="The question"/><Text name="prompt" value="$prompt"/>
  <Header value="What the model answered"/><Text name="response" value="$response"/>
  <Header value="What the user says it should be"/><Text name="correction" value="$correction"/>
  <Choices name="verdict" toName="correction" choice="single" required="true" showInline="true">
    <Choice value="accept" hotkey="a"/><Choice value="reject" hotkey="r"/>
  </Choices>
  <View visibleWhen="choice-selected" whenTagName="verdict" whenChoiceValue="accept">
    <Header value="What does it correct?"/>
    <Choices name="category" toName="correction" choice="single" required="true" showInline="true">
      {"".join(f'<Choice value="{name}"/>' for name in CATEGORIES)}
    </Choices>
    <Header value="A better wording, if it needs one"/>
    <TextArea name="edited_correction" toName="correction" maxSubmissions="1" editable="true" rows="3"/>
  </View>
  <Header value="Remark"/><TextArea name="note" toName="correction" maxSubmissions="1" editable="true" rows="2"/>
</View>"""


@dataclass(frozen=True)
class Pushed:
    """What an export did: `added` + `there_already` = requests."""

    project: int
    added: int
    there_already: int


@dataclass(frozen=True)
class Pulled:
    """What the project holds.

    Attributes:
        answers: One per annotation, skipped ones left out.
        candidates: Candidates that have a task, answered or not.
        unanswered: Tasks without an annotation.
        skipped: Annotations by which a reviewer passed the task on.
    """

    answers: list[Given]
    candidates: frozenset[str]
    unanswered: int
    skipped: int


class LabelStudioQueue:
    """A project on a Label Studio server; it is made on first use.

    Args:
        url: Address of the server, as `https://labels.example`.
        token_variable: NAME of the environment variable with the access token (personal or legacy).
        project: Title of the project.
        page: Tasks asked for at a time.
        timeout: Longest time for one request, seconds.

    Raises:
        ValueError: The address is none or holds a password, or the variable is not set.
        ReviewError: label-studio-sdk is not installed, or the token is no longer valid.
    """

    def __init__(
        self, url: str, token_variable: str, project: str = PROJECT, page: int = 200, timeout: float = 60.0
    ) -> None:
        self._url = _address(url)
        self._title, self._page = project.strip() or PROJECT, page
        token = _token(token_variable)
        try:
            import httpx
            from label_studio_sdk.client import LabelStudio
        except ModuleNotFoundError as error:
            raise ReviewError(
                f"Label Studio needs its SDK, label-studio-sdk, which is not installed ({error.name} is missing): "
                "pip install 'feedback-flywheel[control]', or use the CSV queue"
            ) from error
        # a proxy cannot reach this machine's own loopback
        own = httpx.Client(timeout=timeout, trust_env=urlsplit(self._url).hostname not in _LOOPBACK)
        self._client = self._ask(lambda: LabelStudio(base_url=self._url, api_key=token, httpx_client=own))

    def push(self, requests: Sequence[Request]) -> Pushed:
        """Add the tasks that are not there yet; a repeated export adds nothing.

        Raises:
            ReviewError: The server cannot be used; says why.
        """
        project = self._project()
        there = {str(task.data.get("content")) for task in self._tasks(project) if isinstance(task.data, dict)}
        new = [request for request in requests if request.content not in there]
        for start in range(0, len(new), self._page):
            batch: Any = [{"data": _data(request)} for request in new[start : start + self._page]]
            self._ask(partial(self._client.projects.import_tasks, id=project, request=batch))
        return Pushed(project, len(new), len(requests) - len(new))

    def pull(self) -> Pulled:
        """Read every annotation of the project.

        Raises:
            ReviewError: The server cannot be used; says why.
        """
        answers: list[Given] = []
        candidates: set[str] = set()
        unanswered = skipped = 0
        people = self._people()
        for task in self._tasks(self._project()):
            data = task.data if isinstance(task.data, dict) else {}
            candidate = str(data.get("candidate_id") or "")
            candidates.add(candidate)
            annotations = [_plain(one) for one in task.annotations or []]
            unanswered += not annotations
            for one in annotations:
                if one.get("was_cancelled"):
                    skipped += 1
                else:
                    answers.append(self._given(candidate, one, people))
        return Pulled(answers, frozenset(candidates), unanswered, skipped)

    def _given(self, candidate: str, annotation: Mapping[str, Any], people: Mapping[int, str]) -> Given:
        entered = dict.fromkeys(_CONTROLS, "")
        for part in annotation.get("result") or []:
            if part.get("from_name") in entered:
                value = part.get("value") or {}
                entered[part["from_name"]] = "\n".join(value.get("choices") or value.get("text") or [])
        who = annotation.get("completed_by")
        who = who.get("id") if isinstance(who, dict) else who
        return Given(
            place=int(annotation.get("id") or 0),
            candidate_id=candidate,
            verdict=entered["verdict"],
            category=entered["category"],
            correction=entered["edited_correction"],
            note=entered["note"],
            reviewer=people.get(int(who), f"{self._url}user/{who}") if who is not None else "",
            at=_moment(annotation.get("updated_at") or annotation.get("created_at")),
            raw={"annotation": annotation.get("id"), "candidate": candidate, **entered},
        )

    def _project(self) -> int:
        """The project's number; made when there is none, refused when its form lacks one of our fields."""
        found: list[Any] = self._ask(lambda: list(self._client.projects.list(title=self._title)))
        ours = sorted(int(one.id) for one in found if one.id and one.title == self._title)
        if not ours:
            made = self._ask(
                lambda: self._client.projects.create(
                    title=self._title,
                    label_config=LABEL_CONFIG,
                    description="Corrections of users that people decide on; filled by `flywheel review export`.",
                    maximum_annotations=2,
                )
            )
            return int(made.id or 0)
        config = str(self._ask(lambda: self._client.projects.get(ours[0])).label_config or "")
        missing = [name for name in _CONTROLS if f'name="{name}"' not in config]
        if missing:
            raise ReviewError(
                f"the project {self._title!r} at {self._url} has a form without {', '.join(missing)}; give another "
                "project title, or add the fields to its labeling interface"
            )
        return ours[0]

    def _tasks(self, project: int) -> Iterator[Any]:
        page = 1
        while True:
            ask = partial(self._client.tasks.list, project=project, fields="all", page=page, page_size=self._page)
            found: list[Any] = self._ask(lambda ask=ask: ask().items or [])  # type: ignore[misc]
            yield from found
            if len(found) < self._page:
                return
            page += 1

    def _people(self) -> dict[int, str]:
        """E-mail address by user number: the same person is one reviewer here and in a CSV file."""
        users = self._ask(self._client.users.list)
        return {int(user.id): user.email for user in users if user.id and user.email}

    def _ask(self, call: Callable[[], _T]) -> _T:
        """Call the SDK; its errors become ours, with words on what to do and never with the token."""
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            return call()
        except ApiError as error:
            told = error.body.get("detail") if isinstance(error.body, dict) else str(error.body)
            advice = {
                401: "; check the token in the environment variable (a personal access token, or a legacy token where "
                "the organization allows it)",
                403: "; the token's user may not do this",
            }.get(error.status_code or 0, "")
            raise ReviewError(f"Label Studio at {self._url} answered {error.status_code}: {told}{advice}") from None
        except httpx.HTTPError as error:
            raise ReviewError(f"Label Studio at {self._url} cannot be reached: {error}") from error


def _data(request: Request) -> dict[str, str]:
    from flywheel.components.curation.corrections import context_of

    row = request.candidate
    return {
        "candidate_id": row["candidate_id"],
        "content": request.content,
        "asked_because": request.because,
        "conversation": context_of(row["messages"]) or "-",
        **{name: str(row[name]) for name in ("prompt", "response", "correction")},
    }


def _plain(one: Any) -> dict[str, Any]:
    return dict(one) if isinstance(one, dict) else dict(one.model_dump())


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _address(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address of Label Studio must be a URL like https://labels.example")
    if parts.username or parts.password or parts.query:
        raise ValueError("the address of Label Studio may hold no user, password or query; the token has a variable")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"  # the SDK loses a path without the last slash


def _token(variable: str) -> str:
    if not _VARIABLE.fullmatch(variable):  # perhaps the token itself: it must not be repeated in a message
        raise ValueError("token_variable must be the NAME of an environment variable, such as LABEL_STUDIO_TOKEN")
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ValueError(f"the environment variable {variable} is not set; put Label Studio's access token there")
    return token
