"""`python -m livelav`, and the entry point: quiet about Ctrl-C from its first moment.

Processes of the show import this module by another name, and nothing with it.
"""

import signal


def main() -> None:
    """The command line, once it is imported; Ctrl-C before that ends the process without a traceback.

    The show keeps it so until its engine listens: raised as an exception while modules are imported, Ctrl-C can fall
    into the callback that follows each import, where Python drops it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from livelav import cli

    cli.main()


if __name__ == "__main__":
    main()
