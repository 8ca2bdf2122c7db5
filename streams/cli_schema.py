"""``tailrace schema``: the contracts of the events."""

import sys
from pathlib import Path

import click


@click.group()
def schema() -> None:
    """The contracts of the events."""


@schema.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--topic-prefix", default="", metavar="PREFIX", help="What the deployment puts before its topics.")
def export(folder: Path | None, topic_prefix: str) -> None:
    """Print the AsyncAPI document, or write it and a JSON Schema of each event into FOLDER."""
    from schemas.asyncapi import asyncapi_document
    from schemas.export import as_yaml, event_schemas, write_schemas
    from streams.version import application_version

    document = as_yaml(asyncapi_document(application_version(), topic_prefix=topic_prefix))
    if folder is None:
        click.echo(document, nl=False)
        return
    try:
        write_schemas(folder)
        (folder / "asyncapi.yaml").write_text(document)
    except OSError as error:
        sys.exit(f"tailrace schema export: {folder} cannot be written ({error.strerror}); name another folder")
    click.echo(f"{folder}: asyncapi.yaml and {len(event_schemas())} JSON Schemas")
