"""`quoth keys`: who may reach a server."""

import json
from typing import Annotated

import typer

from api.keys import KeyStore, Scope
from api.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Keys for a server that others can reach.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, or what it is for.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@commands.command()
def add(
    context: typer.Context,
    name: _Name,
    scope: Annotated[
        list[Scope],
        typer.Option(help="ask: ask and read; write: add and remove; admin: metrics. Give it once for each."),
    ],
    as_json: _Json = False,
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    key = _store(context).add(name, scope)
    typer.echo(json.dumps({"name": name, "key": key}) if as_json else key)


@commands.command("list")
def list_keys(context: typer.Context, as_json: _Json = False) -> None:
    """List the keys, without their secrets."""
    keys = _store(context).keys()
    if as_json:
        records = [{"name": k.name, "scopes": sorted(k.scopes), "made": k.made.isoformat()} for k in keys]
        typer.echo(json.dumps(records, indent=2))
    else:
        for key in keys:
            typer.echo(f"{key.name}\t{', '.join(sorted(key.scopes))}\t{key.made:%Y-%m-%d}")


@commands.command()
def revoke(context: typer.Context, name: _Name) -> None:
    """Forget a key. Running servers refuse it from the next request on."""
    _store(context).revoke(name)
    typer.echo(f"revoked {name}")


def _store(context: typer.Context) -> KeyStore:
    settings: Settings = context.obj
    return KeyStore(settings.library)
