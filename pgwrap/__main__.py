"""The `pgwrap` command. It only starts the cli."""

from pgwrap.cli.app import main

if __name__ == "__main__":
    main()
