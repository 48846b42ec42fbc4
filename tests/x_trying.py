"""Effects that end and such that do not, and the process that finds out which."""

import time

from livelav.show.chain import EffectChain
from livelav.trying import Trying

DEADLINE_S = 40.0

# No loop of llvmpipe's has more than 65536 turns; of so many sines each, these take minutes. Elsewhere it never ends.
ENDLESS = "float x = amount; while (x < 9.0) { " + 100 * "x = sin(1.3 * x + colour.r); colour.r += x; " + "}"


def colour(name: str, code: str = "", param: str = '// param amount 0 0 1 "how much"') -> str:
    """An effect of that kind and name; `code` changes `colour`."""
    return f"// kind colour\n{param}\nvec3 {name}(vec3 colour, vec2 place) {{\n{code}\n    return colour;\n}}\n"


def try_out(chain: EffectChain, trying: Trying | None = None) -> None:
    """Until nothing is left to try; troubles stay with the chain."""
    mine, end_s = trying or Trying(), time.monotonic() + DEADLINE_S
    try:
        while chain.untried:
            mine.step(chain, time.monotonic())
            assert time.monotonic() < end_s, "it is bounded"
            time.sleep(0.01)
    finally:
        if trying is None:
            mine.close()
