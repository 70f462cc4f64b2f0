"""The one category of our warnings."""

import warnings
from collections.abc import Iterable

from picojoule.errors import Fault


class PicojouleWarning(UserWarning):
    """Something that the user should look at, and that stops nothing."""


def warn(faults: Iterable[Fault], stacklevel: int = 3) -> None:
    """Warn of each fault."""
    for fault in faults:
        warnings.warn(str(fault), PicojouleWarning, stacklevel=stacklevel)
