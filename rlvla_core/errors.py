"""The one exception that a user is meant to read."""


class RlvlaError(Exception):
    """A mistake that the user can mend: one line that names the offending value and the way out.

    The command line prints it without a traceback and exits with 1; everything else is a bug and keeps its traceback.
    """
