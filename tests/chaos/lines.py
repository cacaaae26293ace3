"""The requests that a fault is aimed at: patterns of "METHOD path"."""

REGISTER = "POST /nodes/register"
CLAIM = "POST /claims"
BEAT = "POST /nodes/*/heartbeat"
COMMIT = "POST /attempts/*/commit"
REPORT = "POST /results"
RELEASE = "POST /attempts/*/release"
SUBMIT = "POST /jobs"
