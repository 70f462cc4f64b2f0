"""The one category of our warnings."""


class PicojouleWarning(UserWarning):
    """Something that the user should look at, and that stops nothing."""
