"""`/docs`: the description of `/api`, as a page that loads nothing from elsewhere, and as OpenAPI."""

from html import escape
from typing import Any, cast

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from router import __version__
from router.surfaces.admin import forms, model_forms

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Turnout API</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
td{padding:.2rem 1rem .2rem 0;vertical-align:top}code{font-size:.95em}</style>
<h1>Turnout API</h1><p>Send a key as <code>Authorization: Bearer KEY</code>.
<a href="/docs/openapi.json">openapi.json</a> has every field.</p>"""


class Page(OpenAPIRenderPlugin):
    """A table of all operations."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        paths = cast("dict[str, dict[str, dict[str, Any]]]", openapi_schema["paths"])
        rows = [
            f"<tr><td><code>{method.upper()}</code><td><code>{escape(path)}</code>"
            f"<td>{escape(str(operation.get('summary', '')))}"
            for path, operations in paths.items()
            for method, operation in operations.items()
        ]
        return f"{_PAGE}<table>{''.join(rows)}</table></html>".encode()


_REFUSALS = {
    "400": "What was sent is wrong: `param` names the field",
    "401": "No key, or one that is not valid",
    "403": "The key or the address may not do this",
    "404": "There is no such thing, or it is not yours",
    "409": "It is there already, or in use",
    "413": "The body is too large",
    "429": "Too many requests: `Retry-After` says when to come back",
    "503": "The database cannot be used just now",
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_REFUSED = {
    status: {"description": why, "content": {"application/json": {"schema": _ERROR}}}
    for status, why in _REFUSALS.items()
}


class Document(JsonRenderPlugin):
    """The whole description: every operation may also be refused, in the shape of OpenAI's errors."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        for operations in openapi_schema["paths"].values():
            for operation in operations.values():
                operation["responses"] |= _REFUSED
        usage = openapi_schema["paths"]["/api/usage"]["get"]["responses"]["200"]
        usage["content"]["text/csv"] = {"schema": {"type": "string"}}
        for form in (*forms.ALL, *model_forms.ALL):
            openapi_schema["components"]["schemas"][form.__name__]["additionalProperties"] = False
        return super().render(request, openapi_schema)  # pyright: ignore[reportUnknownMemberType] (Litestar's own is)


def openapi() -> OpenAPIConfig:
    """Only routes of `/api` are in it: the others follow OpenAI's own description."""
    return OpenAPIConfig(
        title="Turnout",
        version=__version__,
        path="/docs",
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"key": []}],
        render_plugins=[Page(path="/"), Document(path="/openapi.json")],
    )
