"""``python -m streambank``: the same as the ``streambank`` command."""

from streambank.cli.app import main

if __name__ == "__main__":
    main()
