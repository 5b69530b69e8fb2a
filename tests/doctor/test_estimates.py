"""What the doctor says of estimates."""

import pytest

from router.app import build_fleet, close
from router.doctor.look import examine
from router.doctor.report import document, lines
from router.settings import Settings
from router.usage.calibration import Calibration, Kind
from router.usage.calibration_file import CalibrationFile

pytestmark = pytest.mark.anyio


async def test_how_far_estimates_are_off_is_told_before_and_after_calibration(anyio_backend, tmp_path):
    calibration = Calibration()
    for _ in range(20):
        calibration.observe(Kind("ollama", "llama3.2"), 1000, 1250)
    CalibrationFile(tmp_path).save(calibration)
    settings = Settings.model_validate({"server": {"data_dir": str(tmp_path)}})
    fleet = build_fleet(settings)
    findings = await examine(settings, fleet.adapters)
    await close(fleet)
    told = "\n".join(str(line) for line in lines(findings, ()))
    assert "estimates for ollama llama3.2: off by 20% before calibration, 1% after, 20 requests" in told
    (estimate,) = document(findings, ())["estimates"]
    assert (estimate["model"], estimate["samples"], round(estimate["factor"], 2)) == ("llama3.2", 20, 1.25)
