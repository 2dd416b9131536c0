"""What a user did or met that stops a command: one line that says what to do."""


class EdgevoiceError(Exception):
    """Carries one clear line for the user; the command line prints it and exits with status 2."""

    passing = False
    """Whether what stands in the way may be gone at the next try: memory, time, a lock, a full disk."""

    memory = False
    """Whether it is the GPU's memory, of which others have too much now."""

    lost = False
    """Whether it may be gone for another process alone: this one has lost the GPU."""


class Passing(EdgevoiceError):
    """What may be gone at the next try."""

    passing = True


class NothingToSay(EdgevoiceError):
    """The text has no word in it."""
