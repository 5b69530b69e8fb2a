"""What API keys are hashed with: made once for a database, and kept sealed in it.

It is no subkey of the secret key itself: then no key could be checked any more once the secret key was changed.
"""

from base64 import b64decode, b64encode
from secrets import token_bytes

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import select

from router.storage.engine import WRITES
from router.storage.seal import Purpose, Seal
from router.storage.tables import SealedRow

PEPPER_BYTES = 32
_NAME = Purpose.KEY_PEPPER.value


async def ensure_pepper(engine: AsyncEngine, seal: Seal) -> bytes:
    """The pepper, made if the database has none. Raises StorageProblem if none of our keys opens it."""
    async with AsyncSession(engine.execution_options(**{WRITES: True})) as session, session.begin():
        insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        sealed = seal.seal(b64encode(token_bytes(PEPPER_BYTES)).decode(), Purpose.KEY_PEPPER)
        await session.execute(insert(SealedRow).values(purpose=_NAME, sealed=sealed).on_conflict_do_nothing())
        kept = await session.execute(select(SealedRow.sealed).where(SealedRow.purpose == _NAME))
        return b64decode(seal.open(kept.scalar_one(), Purpose.KEY_PEPPER))
