"""A model's card as people read it."""

from livelav.catalogue import DEEPEST, told


def test_parts_are_set_in_and_short_ones_stand_in_a_line() -> None:
    card = {
        "licence": "MIT",
        "measured": {"required": [{"what": "jump", "value": 2.5}], "by": {"z": {"most": 2}, "w": {"most": 3}}},
    }
    assert list(told(card)) == [
        "licence   MIT",
        "measured",
        "  required",
        "    what jump, value 2.5",
        "  by",
        "    z  most 2",
        "    w  most 3",
    ]


def test_a_strangers_card_moves_no_cursor_and_is_told_in_a_few_short_lines() -> None:
    deep: object = 1
    for _ in range(500):
        deep = {"a": deep, "b": [{"c": 1}]}
    lines = list(told({"licence": "\x1b[2J\nfree", "\x07" * 5_000: "x", "deep": deep}))
    assert all(line.isprintable() and len(line) < 1_000 for line in lines)
    assert len(lines) < 10 * DEEPEST
