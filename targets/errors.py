"""What is wrong with a target, a profile or a plan, in one line for the user."""


class TargetError(Exception):
    """Carries one clear line that says what is wrong and what to do."""
