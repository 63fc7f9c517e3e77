"""The `pgwrap` command. It only starts the cli."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until a command catches signals itself, Ctrl-C ends the process silently instead of by a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pgwrap.cli.app import main  # after that: importing it takes long enough for a Ctrl-C

if __name__ == "__main__":
    main()
