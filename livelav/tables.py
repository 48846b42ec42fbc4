"""Tables that the README prints from the program's own; a test compares the two."""

from livelav.control.keys import key_help
from livelav.core.params import CHOICES, PARAMS


def params_markdown() -> str:
    """Parameters, then choices; Markdown with a last newline."""
    lines = ["| parameter | flag | default | range | MIDI CC | what it does |", "|---|---|---|---|---|---|"]
    for p in PARAMS:
        unit = f" {p.unit}" if p.unit else ""
        cc = "" if p.cc is None else str(p.cc)
        lines.append(
            f"| `{p.name}` | `{p.flag}` | {p.default:g}{unit} | {p.lo:g} to {p.hi:g}{unit} | {cc} | {p.help} |"
        )
    lines += ["", "| choice | flag | default | words | what it picks |", "|---|---|---|---|---|"]
    for c in CHOICES:
        lines.append(f"| `{c.name}` | `{c.flag}` | {c.default} | {', '.join(c.options) or 'any'} | {c.help} |")
    return "\n".join(lines) + "\n"


def keys_markdown() -> str:
    """Keys and what they do; Markdown with a last newline."""
    lines = ["| key | what it does |", "|---|---|", *(f"| {name} | {text} |" for name, text in key_help())]
    return "\n".join(lines) + "\n"
