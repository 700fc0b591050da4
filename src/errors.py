"""The one exception that means "the user's input is wrong", not "the program is"."""


class InputError(ValueError):
    """Bad input: the message is one line that says what is wrong, where, and what to do.

    Entry points print it without a traceback and exit with code 2.
    """
