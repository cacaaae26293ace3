"""Before all of Flower's routes: a login, and a closed list of what may be asked for.

Flower's own login leaves its metrics, its health and its error pages open, and whatever acts is
refused route by route; this asks first, whatever the route.
"""

import base64
import binascii
import hmac
import re
from typing import Any

from flower.app import Flower
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

PAGES = re.compile(
    r"/|/workers|/worker/[^/]+|/tasks|/tasks/datatable|/task/[^/]+|/broker|/static/.+"
    r"|/api/workers|/api/tasks|/metrics|/healthcheck"
)
"""What only looks; of its API no more than lists."""
POSTED = "/tasks/datatable"
"""The one page that is read by POST, since its filter is long."""
MOST_BODY_BYTES = 64 * 1024


class Shut(RequestHandler):
    """Answers with a status and nothing else."""

    def initialize(self, status: int) -> None:
        """What Tornado calls with the arguments of the route."""
        self._answer = status

    def check_xsrf_cookie(self) -> None:
        """Nothing is done, so nothing can be forged."""

    def prepare(self) -> None:
        """The whole answer, before any method is looked for."""
        self.set_status(self._answer)
        if self._answer == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish()


class GuardedFlower(Flower):  # type: ignore[misc]
    """Flower behind the door; ``options.basic_auth`` says who is let in."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Whoever answers the request."""
        if request.connection is not None:
            request.connection.set_max_body_size(MOST_BODY_BYTES)  # type: ignore[attr-defined]
        status = self._refusal(request)
        if status is None:
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, Shut, {"status": status})

    def _refusal(self, request: HTTPServerRequest) -> int | None:
        if not self._is_let_in(request.headers.get("Authorization", "")):
            return 401
        if not PAGES.fullmatch(request.path):
            return 404
        may_ask = request.method == "GET" or (request.method, request.path) == ("POST", POSTED)
        return None if may_ask else 405

    def _is_let_in(self, shown: str) -> bool:
        kind, _, credentials = shown.partition(" ")
        try:
            said = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        known = [user.encode() for user in self.options.basic_auth]
        is_known = any(hmac.compare_digest(user, said) for user in known)
        return kind == "Basic" and is_known
