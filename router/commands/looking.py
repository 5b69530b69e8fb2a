"""`turnout usage` and `turnout queue`: what a running router does and did."""

# rich_click's decorators are typed in part only.
# pyright: reportUnknownMemberType=false

import json

import rich_click as click

from router.commands.people import json_option
from router.commands.remote import ask, show

_USAGE_COLUMNS = (
    "name", "requests", "errors", "prompt_tokens", "completion_tokens", "estimated_tokens", "first_token_p50_s",
    "first_token_p95_s", "tokens_per_s_p50",
)  # fmt: skip
_WAITING_COLUMNS = ("position", "user", "source", "class", "alias", "model", "waited_s", "eta_s")


@click.command()
@click.option("--by", type=click.Choice(("day", "user", "model", "backend")), default="day", show_default=True)
@click.option("--since", type=click.DateTime(("%Y-%m-%d",)), help="First day (UTC). Default: 30 days ago.")
@json_option
def usage(by: str, since: object, *, as_json: bool) -> None:
    """Tokens, requests, errors and times; yours, or as an admin everybody's."""
    asked = {"by": by} | ({"since": str(since)[:10]} if since else {})
    report = ask("GET", "/api/usage", params=asked)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        show(report["totals"], _USAGE_COLUMNS, as_json=False)


@click.command()
@json_option
def queue(*, as_json: bool) -> None:
    """Who waits for what."""
    report = ask("GET", "/v1/router/queue")
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    click.echo(f"{report['waiting']} waiting, {report['in_flight']} in flight")
    for lane in report["lanes"]:
        if lane["entries"]:
            click.echo(f"\n{lane['name']}")
            show(lane["entries"], _WAITING_COLUMNS, as_json=False)
