"""What a user did or met that stops a command: one line that says what to do."""


class EdgevoiceError(Exception):
    """Carries one clear line for the user; the command line prints it and exits with status 2."""


class NothingToSay(EdgevoiceError):
    """The text has no word in it."""
