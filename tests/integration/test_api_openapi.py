"""What /openapi.json says of the API is what the API does."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ffrtmp.api.app import health_app
from ffrtmp.api.documents import describe
from tests.integration import test_api
from tests.integration.test_api import Api

api = test_api.api

ROUTES = {
    "/health": {"get"},
    "/ready": {"get"},
    "/jobs": {"get", "post"},
    "/jobs/batch": {"post"},
    "/jobs/{job}": {"get", "patch"},
    "/jobs/{job}/cancel": {"post"},
    "/jobs/{job}/retry": {"post"},
    "/jobs/{job}/pause": {"post"},
    "/jobs/{job}/resume": {"post"},
    "/jobs/{job}/logs": {"get"},
    "/jobs/{job}/attempts": {"get"},
    "/jobs/{job}/events": {"get"},
    "/queues": {"get"},
    "/queues/{queue}/pause": {"post"},
    "/queues/{queue}/resume": {"post"},
    "/events": {"get"},
    "/keys": {"get", "post"},
    "/keys/{name}": {"delete"},
    "/keys/{name}/rotate": {"post"},
    "/nodes": {"get"},
    "/nodes/register": {"post"},
    "/nodes/{node}": {"get", "delete"},
    "/nodes/{node}/drain": {"post"},
    "/nodes/{node}/undrain": {"post"},
    "/nodes/{node}/revoke": {"post"},
    "/nodes/{node_id}/heartbeat": {"post"},
    "/claims": {"post"},
    "/attempts/{job}/{number}/commit": {"post"},
    "/attempts/{job}/{number}/release": {"post"},
    "/attempts/{job}/{number}/logs": {"post"},
    "/results": {"post"},
}


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    return dict(httpx.get(f"{api.http.base_url}/openapi.json", timeout=60).json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference, or of an optional body."""
    for option in schema.get("anyOf", []):
        if "$ref" in option:
            schema = option
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(document["components"]["schemas"][name]) if name else schema


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            yield method, path, resolved(document, schema)


def is_valid(document: dict[str, Any], schema: dict[str, Any], value: object) -> bool:
    """Whether a value has the types, names and choices that a schema asks for."""
    if "$ref" in schema:
        return is_valid(document, resolved(document, schema), value)
    if "anyOf" in schema:
        return any(is_valid(document, option, value) for option in schema["anyOf"])
    kinds: dict[str, type[Any] | tuple[type[Any], ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        return set(schema.get("required", [])) <= set(value) and all(
            is_valid(document, known[name], one) if name in known else bool(more)
            for name, one in value.items()
        )
    if isinstance(value, list):
        return all(is_valid(document, schema.get("items", {}), one) for one in value)
    return value in schema.get("enum", [value])


def test_every_route_is_there_and_no_other(document: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == ROUTES


def test_every_body_has_examples_that_are_valid_and_accepted(
    api: Api, document: dict[str, Any]
) -> None:
    node = api.node()
    places = {"job": "0198c0de-0000-7000-8000-000000000001", "number": 1, "node": "east"}
    places |= {"node_id": node["id"], "queue": "batch", "name": "archive"}
    for method, path, schema in bodies(document):
        assert schema["examples"], path
        for example in schema["examples"]:
            where = path.format(**places)
            is_of_node = path.startswith(("/claims", "/attempts", "/results", "/nodes/{node_id}"))
            headers = node["headers"] if is_of_node else {}

            answer = api.http.request(method, where, json=example, headers=headers)

            assert is_valid(document, schema, example), path
            # There is no such job or lease; what counts is that the body was understood.
            assert answer.status_code in (200, 201, 204, 403, 404, 409), (path, answer.text)


def test_every_refusal_is_described_as_it_is_and_nothing_else(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        refusal = operation["responses"]["default"]["content"]["application/json"]["schema"]

        assert refusal["$ref"].endswith("/ErrorAnswer"), path
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_route_says_which_credential_it_wants(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer"}
    wanted = {
        path: [name for one in operation.get("security", []) for name in one]
        for _, path, operation in operations(document)
    }

    assert wanted["/health"] == wanted["/ready"] == []
    assert wanted["/claims"] == wanted["/results"] == ["nodeToken"]
    assert wanted["/nodes/{node_id}/heartbeat"] == ["nodeToken"]
    assert wanted["/jobs"] == wanted["/nodes/register"] == wanted["/queues"] == ["apiKey"]
    assert all(wanted[path] for path in wanted if path not in ("/health", "/ready"))


def test_fields_of_bodies_and_queries_are_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    queries = document["paths"]["/jobs/{job}/logs"]["get"]["parameters"]

    assert schemas["ErrorBody"]["properties"]["code"]["description"] == "Stable; for programs."
    assert "The last one by default." in {query.get("description") for query in queries}
    inherited = schemas["RegistrationAnswer"]["properties"]["epoch"]["description"]
    assert inherited == schemas["NodeAnswer"]["properties"]["epoch"]["description"]


def test_fields_of_a_body_that_has_two_forms_are_described() -> None:
    document: dict[str, Any] = {
        "components": {"schemas": {"ErrorBody-Input": {"properties": {"code": {}, "message": {}}}}}
    }

    describe(document)

    fields = document["components"]["schemas"]["ErrorBody-Input"]["properties"]
    assert fields == {"code": {"description": "Stable; for programs."}, "message": {}}


def test_commands_and_nodes_start_without_reading_sources_for_descriptions() -> None:
    read = "import linecache, cli.main, workers.agent; print(*linecache.cache)"
    said = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)

    assert "ffrtmp" not in said.stdout


async def _ask(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(health_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://master") as http:
        return await http.get(path)


def test_health_port_answers_health_and_refuses_the_rest_in_the_same_shape() -> None:
    assert asyncio.run(_ask("/health")).json()["status"] == "ok"
    assert asyncio.run(_ask("/jobs")).json()["error"]["code"] == "not_found"
