"""TOML files that travel between strangers, read with suspicion: bounded in time and memory whatever the bytes.

Reading one opens no other file and runs nothing. Knows nothing of what the values mean.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from livelav.core.errors import LivelavError

MAX_BYTES, MAX_LINE, MAX_DEPTH = 64 << 10, 4 << 10, 8  # a show goes on while they are read

# What ends a text, by what began it, and what to pass over on the way there.
_ENDS = {
    '"""': re.compile(r'\\.|"{3,5}', re.DOTALL),
    "'''": re.compile(r"'{3,5}"),
    '"': re.compile(r'\\.|["\n]'),
    "'": re.compile(r"['\n]"),
}
_BEGINS = re.compile(r"\"\"\"|'''|\"|'|#[^\n]*")
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++\s*+\.\s*+){{{MAX_DEPTH},}}")


def read_toml(path: Path, what: str, fault: type[LivelavError]) -> tuple[dict[str, Any], str]:
    """The file's tree and text; `what` it should be is for the messages. Raises `fault` with one line."""
    try:
        if not path.is_file():
            raise fault(f"no {what} file {path}: name one that is there")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise fault(f"cannot read {str(path)[:200]!r}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MAX_BYTES:
        raise fault(f"{path} is larger than {MAX_BYTES >> 10} KiB: this is no {what}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise fault(f"{path} is not UTF-8 text (byte {error.start}): this is no {what}") from error
    text = text.replace("\r\n", "\n")
    _check_bounds(text, path, what, fault)
    try:
        return tomllib.loads(text), text
    except (ValueError, RecursionError) as error:  # ValueError also for dates and numbers that Python cannot hold
        at = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        line, reason = (f":{at[1]}", str(error)[: at.start()]) if at else ("", str(error))
        raise fault(f"{path}{line}: {reason[:120]}: mend the line, it is not TOML") from error


def _check_bounds(text: str, path: Path, what: str, fault: type[LivelavError]) -> None:
    """What would make the parser slow: a key of many parts costs it their square, nesting costs it its stack."""
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise fault(f"{path}:{number}: {len(line)} characters, at most {MAX_LINE} are allowed: shorten the line")
    depth = 0
    for number, line in enumerate(_without_texts(text).split("\n"), start=1):
        deepest = depth
        for bracket in re.findall(r"[\[\]{}]", line):
            depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH or _DEEP_KEY.search(line):
            raise fault(f"{path}:{number}: nested deeper than {MAX_DEPTH}: a {what} needs 3")


def _without_texts(text: str) -> str:
    """The file with a `q` for each quoted text, and without comments; lines stay lines. One pass, never back."""
    parts, at = [], 0
    while begin := _BEGINS.search(text, at):
        parts.append(text[at : begin.start()])
        at = end = begin.end()
        if begin[0].startswith("#"):
            continue
        while (found := _ENDS[begin[0]].search(text, end)) and found[0].startswith("\\"):
            end = found.end()
        end = found.end() if found else len(text)
        parts.append("q" + "\n" * text.count("\n", at, end))
        at = end
    return "".join([*parts, text[at:]])


def is_text(value: object, most: int) -> bool:
    """Whether it is text of printable characters and line ends."""
    return isinstance(value, str) and len(value) <= most and value.replace("\n", "").isprintable()


def line_of(key: str, text: str) -> int | None:
    """The line on which a dotted key is set, for messages; None where it is written in a way not looked for."""
    table = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = re.sub(r"[\s\"']", "", header[1]) + "."
            if table == key + ".":
                return number
        elif (entry := re.match(r"([^=#]+)=", line)) and table + re.sub(r"[\s\"']", "", entry[1]) == key:
            return number
    return None
