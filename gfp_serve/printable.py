"""Text of strangers, made fit for a terminal or a log."""

import re

# Control characters but the line break, marks and overrides of direction, separators of lines, halves of surrogates.
_OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with escapes for what would not be seen but obeyed, or not be taken; line breaks stay.

    Labels, ids and names come from strangers. A control character in them could clear a terminal, write to its
    clipboard, or turn the text around; the bytes of a file's name need not be UTF-8.
    """
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
