"""The one base class of every error that is the user's to mend."""


class InputError(ValueError):
    """Something given to the study is wrong; the message says what, where and what is right."""
