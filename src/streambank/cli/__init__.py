"""The command line. Each command is a module of :mod:`streambank.cli.commands`, imported when it is called."""
