"""A part of a transaction that may fail by itself, which both engines spell alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fedcomm.store.database import DatabaseError, DatabaseUnavailable, Transaction


@asynccontextmanager
async def savepoint(tx: Transaction) -> AsyncIterator[None]:
    """What `Transaction.savepoint` promises."""
    await tx.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        try:
            await tx.execute("ROLLBACK TO SAVEPOINT part")
            await tx.execute("RELEASE SAVEPOINT part")
        except DatabaseError as error:
            raise DatabaseUnavailable("the whole transaction is gone") from error
        raise
    await tx.execute("RELEASE SAVEPOINT part")
