"""Sealing everything anew after the secret key was changed."""

from pathlib import Path
from secrets import token_urlsafe

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from router.storage.database import Database
from router.storage.seal import Purpose, Seal
from router.storage.secret_key import read_file, replace_file
from router.storage.tables import BackendRow, SealedRow


async def rekey(database: Database, seal: Seal) -> int:
    """Seals every secret with the first key of `seal`, in one transaction, and gives their number.

    `seal` must open with the old key too. Raises StorageProblem if something does not open; then nothing has changed.
    """

    async def change(session: AsyncSession) -> int:
        renewed = 0
        for row in await session.scalars(select(BackendRow)):
            if row.sealed_api_key:
                row.sealed_api_key = seal.renew(row.sealed_api_key, Purpose.PROVIDER_SECRETS)
                renewed += 1
            if row.sealed_headers:
                row.sealed_headers = seal.renew(row.sealed_headers, Purpose.PROVIDER_SECRETS)
                renewed += 1
        for row in await session.scalars(select(SealedRow)):
            row.sealed = seal.renew(row.sealed, Purpose(row.purpose))
            renewed += 1
        return renewed

    before, database.seal = database.seal, seal
    try:
        return await database.change(change)
    except BaseException:
        database.seal = before
        raise


async def rekey_file(database: Database, file: Path) -> int:
    """Puts a new key into the file, and drops the old ones once nothing needs them: all opens at any moment."""
    keys = (token_urlsafe(48), *read_file(file))
    replace_file(file, keys)
    renewed = await rekey(database, Seal(keys))
    replace_file(file, keys[:1])
    return renewed
