"""docs/errors.md from `errors.CODES` and the messages of the gallery."""

from collections.abc import Mapping, Sequence

from picojoule.errors import CODES

GROUPS = {
    "1": ("Hardware models", "TargetError"),
    "2": ("Fit", "CheckError"),
    "3": ("Cost", "CostError"),
    "4": ("Networks", "GraphError"),
    "5": ("Files of networks", "FrontendError"),
    "6": ("Programs", "ProgramError"),
    "7": ("Training", "TrainError"),
    "8": ("Use", "UsageError"),
}
HEAD = """# Errors

A message says what is wrong with both numbers, where in [brackets], and after `try:` how to go
on. Everything that is wrong with one input comes at once. In Python every error is a
`picojoule.PicojouleError`; its `faults` hold `code`, `what`, `where` and `fix`. The command line
prints the message to standard error and ends with status 1 (2: it was called wrongly, 0: done);
warnings go there too and end nothing. Files that were there before an error stay as they were.

Each message below was met by a test (`tests/errors/`), which also writes this page.
A message that does not help is a bug: please report it.
"""


def page(examples: Mapping[str, Sequence[str]]) -> str:
    """The page; `examples` are messages by code."""
    parts = [HEAD]
    for digit, (title, error) in GROUPS.items():
        parts.append(f"\n## {title}: `{error}`, PJ{digit}xx\n")
        parts += [_section(code, examples[code]) for code in CODES if code[2] == digit]
    return "".join(parts)


def _section(code: str, examples: Sequence[str]) -> str:
    shown = "\n\n".join(examples)
    return f"\n**{code}** {CODES[code]}\n\n```\n{shown}\n```\n"
