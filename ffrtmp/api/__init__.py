"""The HTTP API: requests in, service calls, answers out; no rule of the farm lives here."""
