"""How true token counts compare with estimates, kept over restarts."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from router.storage.database import Database
from router.storage.tables import CalibrationRow


@dataclass(frozen=True, slots=True)
class Calibration:
    """`ratio` is true tokens for each estimated one; `samples` says how many requests taught that."""

    ratio: float
    samples: int
    updated_at: float


class Calibrations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[tuple[str, str], Calibration]:
        """What is known, by backend and model."""

        async def query(session: AsyncSession) -> Mapping[tuple[str, str], Calibration]:
            rows = await session.scalars(select(CalibrationRow))
            return {(row.backend, row.model): Calibration(row.ratio, row.samples, row.updated_at) for row in rows}

        return await self._database.read(query)

    async def keep(self, known: Mapping[tuple[str, str], Calibration]) -> None:
        """Stores these beside others that are there."""

        async def change(session: AsyncSession) -> None:
            for (backend, model), learnt in known.items():
                await session.merge(
                    CalibrationRow(
                        backend=backend,
                        model=model,
                        ratio=learnt.ratio,
                        samples=learnt.samples,
                        updated_at=learnt.updated_at,
                    )
                )

        await self._database.store(change)
