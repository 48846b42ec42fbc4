"""The parameter table as the README prints it; a test compares the two."""

from livelav.core.params import CHOICES, PARAMS


def markdown_table() -> str:
    """Markdown, with a last newline: parameters, then choices."""
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
