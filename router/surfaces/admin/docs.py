"""`/docs`: the description of `/api`, as a page that loads nothing from elsewhere, and as OpenAPI."""

from html import escape
from typing import Any, cast

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from router import __version__

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


def openapi() -> OpenAPIConfig:
    """Only routes of `/api` are in it: the others follow OpenAI's own description."""
    return OpenAPIConfig(
        title="Turnout",
        version=__version__,
        path="/docs",
        components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"key": []}],
        render_plugins=[Page(path="/"), JsonRenderPlugin(path="/openapi.json")],
    )
