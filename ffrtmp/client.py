"""The typed HTTP client of the master: what agents and the command line speak through.

Its errors are those of ``ffrtmp.refusals``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from opentelemetry import propagate
from pydantic import BaseModel, ValidationError

from ffrtmp.connection import Connection
from ffrtmp.refusals import (
    AnswerLost,
    ClientError,
    MasterBusy,
    MasterNotTrusted,
    MasterRefused,
    MasterUnavailable,
    MasterUnreachable,
    refusal_of,
)
from ffrtmp.schemas import (
    AttemptList,
    ClaimAnswer,
    ClaimRequest,
    CommitAnswer,
    CommitRequest,
    EventList,
    FarmEventList,
    Heartbeat,
    HeartbeatAnswer,
    JobAnswer,
    JobList,
    KeyList,
    LogAnswer,
    LogChunk,
    NewKeyAnswer,
    NodeAnswer,
    NodeList,
    NodeRegistration,
    QueueList,
    RegistrationAnswer,
    ReleaseRequest,
    ResultRequest,
)
from ffrtmp.tls.trust import refusal

__all__ = [
    "AnswerLost",
    "ClientError",
    "Connection",
    "MasterBusy",
    "MasterClient",
    "MasterNotTrusted",
    "MasterRefused",
    "MasterUnavailable",
    "MasterUnreachable",
]

A = TypeVar("A", bound=BaseModel)
DEFAULT_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class MasterClient:
    """One connection pool to one master; safe to share between threads.

    TlsFileError where its TLS files cannot be used.

    ``outlast`` is given what a busy master answered, waits, and says whether to ask again.
    """

    def __init__(
        self,
        to: Connection,
        *,
        timeout: httpx.Timeout = DEFAULT_TIMEOUT,
        outlast: Callable[[MasterBusy], bool] = lambda _busy: False,
    ) -> None:
        self._outlast = outlast
        headers = {"Authorization": f"Bearer {to.key}"} if to.key else {}
        self._to = to
        self._http = httpx.Client(
            base_url=to.url,
            headers=headers,
            timeout=timeout,
            verify=to.trust(),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pool."""
        self._http.close()

    # jobs

    def submit(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> JobAnswer:
        """POST /jobs."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask(JobAnswer, "POST", "/jobs", json=body, headers=headers)

    def submit_batch(
        self, bodies: list[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> JobList:
        """POST /jobs/batch: all or none."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask(JobList, "POST", "/jobs/batch", json={"jobs": bodies}, headers=headers)

    def job(self, job: str) -> JobAnswer:
        """GET /jobs/{id}; ``job`` is a UUID or a sequence number."""
        return self._ask(JobAnswer, "GET", f"/jobs/{_segment(job)}")

    def jobs(self, **filters: str | int | None) -> JobList:
        """GET /jobs: one page. Filters: status queue priority node scenario since limit cursor."""
        chosen = {name: value for name, value in filters.items() if value is not None}
        return self._ask(JobList, "GET", "/jobs", params=chosen)

    def cancel(self, job: str) -> JobAnswer:
        """POST /jobs/{id}/cancel."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_segment(job)}/cancel")

    def retry(self, job: str) -> JobAnswer:
        """POST /jobs/{id}/retry: a failed or canceled job, with a fresh budget."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_segment(job)}/retry")

    def reprioritize(self, job: str, *, queue: str | None, priority: str | None) -> JobAnswer:
        """PATCH /jobs/{id}."""
        body = {"queue": queue, "priority": priority}
        chosen = {name: value for name, value in body.items() if value is not None}
        return self._ask(JobAnswer, "PATCH", f"/jobs/{_segment(job)}", json=chosen)

    def logs(self, job: str, *, attempt: int | None = None) -> LogAnswer:
        """GET /jobs/{id}/logs of one attempt, the last one by default."""
        params = {"attempt": attempt} if attempt is not None else {}
        return self._ask(LogAnswer, "GET", f"/jobs/{_segment(job)}/logs", params=params)

    def follow_logs(self, job: str) -> Iterator[str]:
        """GET /jobs/{id}/logs?follow=1: pieces of log text until the job ends.

        MasterUnreachable where the stream is cut before that.
        """
        request = self._http.stream(
            "GET",
            f"/jobs/{_segment(job)}/logs",
            params={"follow": 1},
            timeout=httpx.Timeout(30.0, connect=5.0),
        )
        try:
            with request as response:
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    response.read()
                    raise refusal_of(response)
                yield from _log_pieces(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._no_answer(error, MasterUnreachable) from error

    def attempts(self, job: str) -> AttemptList:
        """GET /jobs/{id}/attempts."""
        return self._ask(AttemptList, "GET", f"/jobs/{_segment(job)}/attempts")

    def events(self, job: str) -> EventList:
        """GET /jobs/{id}/events."""
        return self._ask(EventList, "GET", f"/jobs/{_segment(job)}/events")

    def pause(self, job: str) -> JobAnswer:
        """POST /jobs/{job}/pause."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_segment(job)}/pause")

    def resume(self, job: str) -> JobAnswer:
        """POST /jobs/{job}/resume."""
        return self._ask(JobAnswer, "POST", f"/jobs/{_segment(job)}/resume")

    def pause_queue(self, queue: str, *, reason: str | None = None) -> QueueList:
        """POST /queues/{queue}/pause."""
        path = f"/queues/{_segment(queue)}/pause"
        return self._ask(QueueList, "POST", path, json={"reason": reason})

    def resume_queue(self, queue: str) -> QueueList:
        """POST /queues/{queue}/resume."""
        return self._ask(QueueList, "POST", f"/queues/{_segment(queue)}/resume")

    def queues(self) -> QueueList:
        """GET /queues."""
        return self._ask(QueueList, "GET", "/queues")

    def history(self, **filters: str | int | None) -> FarmEventList:
        """GET /events: one page. Filters: kind job node since limit cursor."""
        chosen = {name: value for name, value in filters.items() if value is not None}
        return self._ask(FarmEventList, "GET", "/events", params=chosen)

    # keys

    def create_key(
        self, name: str, *, role: str, expires_seconds: float | None = None
    ) -> NewKeyAnswer:
        """POST /keys; the answer is the only one that has the key."""
        body = {"name": name, "role": role, "expires_seconds": expires_seconds}
        return self._ask(NewKeyAnswer, "POST", "/keys", json=body)

    def keys(self) -> KeyList:
        """GET /keys."""
        return self._ask(KeyList, "GET", "/keys")

    def rotate_key(
        self, name: str, *, overlap_seconds: float, expires_seconds: float | None = None
    ) -> NewKeyAnswer:
        """POST /keys/{name}/rotate."""
        body = {"overlap_seconds": overlap_seconds, "expires_seconds": expires_seconds}
        return self._ask(NewKeyAnswer, "POST", f"/keys/{_segment(name)}/rotate", json=body)

    def revoke_key(self, name: str) -> None:
        """DELETE /keys/{name}."""
        self._send("DELETE", f"/keys/{_segment(name)}")

    # nodes, for people

    def nodes(self) -> NodeList:
        """GET /nodes."""
        return self._ask(NodeList, "GET", "/nodes")

    def node(self, node: str) -> NodeAnswer:
        """GET /nodes/{id}; ``node`` is an id, a name or an address."""
        return self._ask(NodeAnswer, "GET", f"/nodes/{_segment(node)}")

    def drain(self, node: str, *, reason: str | None = None) -> NodeAnswer:
        """POST /nodes/{id}/drain."""
        body = {"reason": reason} if reason else {}
        return self._ask(NodeAnswer, "POST", f"/nodes/{_segment(node)}/drain", json=body)

    def undrain(self, node: str) -> NodeAnswer:
        """POST /nodes/{id}/undrain."""
        return self._ask(NodeAnswer, "POST", f"/nodes/{_segment(node)}/undrain")

    def revoke_node(self, node: str) -> NodeAnswer:
        """POST /nodes/{id}/revoke."""
        return self._ask(NodeAnswer, "POST", f"/nodes/{_segment(node)}/revoke")

    def remove_node(self, node: str) -> None:
        """DELETE /nodes/{id}."""
        self._send("DELETE", f"/nodes/{_segment(node)}")

    def health(self) -> None:
        """GET /health; raises unless the master is alive."""
        self._send("GET", "/health")

    # nodes, for agents

    def register(self, body: NodeRegistration) -> RegistrationAnswer:
        """POST /nodes/register; needs an API key, not a node token."""
        return self._ask(RegistrationAnswer, "POST", "/nodes/register", json=_dump(body))

    def heartbeat(self, node_id: str, body: Heartbeat) -> HeartbeatAnswer:
        """POST /nodes/{id}/heartbeat."""
        return self._ask(HeartbeatAnswer, "POST", f"/nodes/{node_id}/heartbeat", json=_dump(body))

    def claim(self, body: ClaimRequest) -> ClaimAnswer | None:
        """POST /claims; None where there is nothing for this node."""
        response = self._send("POST", "/claims", json=_dump(body))
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        return _parsed(ClaimAnswer, response)

    def commit(self, job_id: str, attempt: int, body: CommitRequest) -> CommitAnswer:
        """POST /attempts/{job}/{n}/commit; MasterRefused 409 means: not yours, publish nothing."""
        path = f"/attempts/{job_id}/{attempt}/commit"
        return self._ask(CommitAnswer, "POST", path, json=_dump(body))

    def release(self, job_id: str, attempt: int, body: ReleaseRequest) -> None:
        """POST /attempts/{job}/{n}/release."""
        self._send("POST", f"/attempts/{job_id}/{attempt}/release", json=_dump(body))

    def append_log(self, job_id: str, attempt: int, body: LogChunk) -> None:
        """POST /attempts/{job}/{n}/logs."""
        self._send("POST", f"/attempts/{job_id}/{attempt}/logs", json=_dump(body))

    def report(self, body: ResultRequest) -> JobAnswer:
        """POST /results."""
        return self._ask(JobAnswer, "POST", "/results", json=_dump(body))

    def _ask(self, answer: type[A], method: str, path: str, **request: Any) -> A:
        return _parsed(answer, self._send(method, path, **request))

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        while True:
            try:
                return self._send_once(method, path, **request)
            except MasterBusy as busy:
                # Nothing was done, so that any request may be repeated.
                if not self._outlast(busy):
                    raise

    def _send_once(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        headers = dict(headers or {})
        propagate.inject(headers)
        try:
            response = self._http.request(method, path, headers=headers, **request)
        except httpx.HTTPError as error:
            kind = MasterUnreachable if isinstance(error, NEVER_SENT) else AnswerLost
            raise self._no_answer(error, kind) from error
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise refusal_of(response)
        return response

    def _no_answer(
        self, error: httpx.HTTPError, kind: type[MasterUnreachable]
    ) -> MasterUnreachable:
        distrust = refusal(error)
        if distrust is not None:
            return MasterNotTrusted(f"{self._http.base_url}: {distrust}")
        said = _said(error)
        if isinstance(error, CUT):
            said = f"{said}; {self._to.hint_of_cut()}"
        return kind(f"{self._http.base_url}: {said}")


def _dump(body: BaseModel) -> Any:
    return body.model_dump(mode="json", exclude_none=True)


def _parsed(answer: type[A], response: httpx.Response) -> A:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise MasterUnreachable(f"{response.url} does not answer as an ffrtmp master") from error


def _segment(text: str) -> str:
    # Slashes, and segments of dots, are escaped twice: no reference reaches another route.
    escaped = text.replace("/", "%2F")
    return quote(escaped.replace(".", "%2E") if set(text) == {"."} else escaped, safe="") or "-"


def _said(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _log_pieces(lines: Iterator[str]) -> Iterator[str]:
    """The data of each server-sent event, its lines joined as the HTML standard says, up to the
    event ``end``, whose data is no log."""
    data: list[str] = []
    for line in lines:
        if line == "event: end":
            return
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data.clear()
    raise MasterUnreachable("the log stream was cut before the job's end")
