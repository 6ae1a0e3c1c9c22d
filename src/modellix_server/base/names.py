"""Names that people give to teams, keys and themselves."""


class UnprintableError(ValueError):
    """A name holds what cannot be seen, or what changes the order in which its surroundings are read."""


def printable(name: str) -> str:
    """The name without blanks around it.

    Raises UnprintableError for control characters, line ends, directions of writing (U+202E) and halves of surrogate
    pairs, which stand for bytes of a command line that are not UTF-8.
    """
    stripped = name.strip()
    if not stripped.isprintable():
        raise UnprintableError
    return stripped
