"""The rules of the hub: one text in versions, one rule a line. What was decided under a version names it, so no
version is ever changed or removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedcomm.hub import audit
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import now_ms

RULES_LIMIT: Final = 50
RULE_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """One version; `created_at`: since when it holds, Unix milliseconds."""

    version: int
    texts: tuple[str, ...]
    created_at: int

    def text(self, number: int | None) -> str:
        """Rule `number` (from 1); empty if there is none."""
        return self.texts[number - 1] if number and number <= len(self.texts) else ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule of a version: what a report or a decision rests on."""

    version: int
    number: int


def reference_of(row: Row) -> Reference | None:
    """The rule that a row names in `rules_version` and `rule_number`."""
    if row["rules_version"] is None or row["rule_number"] is None:
        return None
    return Reference(row["rules_version"], row["rule_number"])


_SELECT = "SELECT version, text, created_at FROM rules"


def _rules(row: Row) -> Rules:
    return Rules(row["version"], tuple(str(row["text"]).split("\n")), row["created_at"])


async def current(db: Reader) -> Rules | None:
    """The rules that hold now; None while none were ever written."""
    row = await db.one(f"{_SELECT} ORDER BY version DESC LIMIT 1")
    return _rules(row) if row else None


async def version(db: Reader, number: int) -> Rules | None:
    """One version, however old."""
    row = await db.one(f"{_SELECT} WHERE version = ?", number)
    return _rules(row) if row else None


async def publish(tx: Transaction, administrator_id: int | None, text: str) -> int:
    """Let these rules (one a line) hold from now on; the number of the version.

    The same text again is the same version. Raises Invalid. The caller has checked who may do this.
    """
    texts = tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())
    if len(texts) > RULES_LIMIT:
        raise Invalid("rules", "There are too many rules: nobody would read them.")
    if any(len(rule) > RULE_CHARACTERS for rule in texts):
        raise Invalid("rules", "One of the rules is too long.")
    if not texts:
        raise Invalid("rules", "Write at least one rule, one on each line.")
    before = await current(tx)
    if before is not None and before.texts == texts:
        return before.version
    number = before.version + 1 if before is not None else 1
    await tx.execute(
        "INSERT INTO rules (version, text, created_by, created_at) VALUES (?, ?, ?, ?)",
        number,
        "\n".join(texts),
        administrator_id,
        now_ms(),
    )
    await audit.record(tx, "rules_published", actor_id=administrator_id, detail={"version": number})
    return number


async def reference(db: Reader, number: int | None) -> Reference | None:
    """Rule `number` of the version that holds now. Raises Invalid for a number that it does not have."""
    if number is None:
        return None
    rules = await current(db)
    if rules is None or not rules.text(number):
        raise Invalid("rule", "There is no such rule.")
    return Reference(rules.version, number)
