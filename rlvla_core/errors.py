"""The exception for mistakes that the user can mend."""


class RlvlaError(Exception):
    """A mistake that the user can mend; its message is one line that names the offending value and what to do.

    The command line prints the message without a traceback and exits with 1. Every other exception is a bug and keeps
    its traceback.
    """
