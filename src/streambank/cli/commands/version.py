"""``streambank version``."""

from streambank.cli.output import Column, OutputOption, print_json, print_json_line, print_table


def version(*, output: OutputOption = "table") -> None:
    """Show the versions of streambank and of what it runs on."""
    import platform
    import sqlite3
    from importlib.metadata import version as version_of

    versions = {
        "streambank": version_of("streambank"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
    }
    if output == "json":
        print_json(versions)
    elif output == "jsonl":
        print_json_line(versions)
    else:
        print_table([Column("COMPONENT"), Column("VERSION")], versions.items())
