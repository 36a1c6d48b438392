"""The two kinds of failure that a person can fix."""


class WineError(Exception):
    """Something a person can fix: the message says what is wrong and what to do next."""

    exit_code = 1


class BadInput(WineError):
    """A value given to us is wrong: an option, a variable, a file."""

    exit_code = 2
