"""The doctor's judgement, without a server."""

import pytest

from router.doctor.advice import about_backend
from router.doctor.findings import BackendFindings, Contact
from router.settings.address import is_local
from router.settings.backends import BackendSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "192.168.1.4", "10.0.0.2", "gpu-box", "box.local",
                                  "host.docker.internal", "169.254.1.1", "100.64.0.7", "fd00::1", "box.home.arpa",
                                  "0.0.0.0"])  # fmt: skip
def test_a_host_of_the_own_network_loads_models_itself(host):
    assert is_local(host)


@pytest.mark.parametrize("host", ["api.openai.com", "8.8.8.8", "2606:4700::1111", "box.local.example.com"])
def test_a_host_elsewhere_does_not(host):
    assert not is_local(host)


@pytest.mark.parametrize("contact", [contact for contact in Contact if contact is not Contact.ANSWERS])
@pytest.mark.parametrize("kind", ["ollama", "llama_cpp", "openai"])
def test_every_way_of_not_being_reached_is_one_complaint_about_the_url(contact, kind):
    settings = BackendSettings.model_validate({"type": kind, "url": "http://box.example:8000"})
    (complaint,) = about_backend(BackendFindings(name="desk", settings=settings, contact=contact))
    assert (complaint.code, complaint.place) == (contact.value, "backends.desk.url")
    assert complaint.what.endswith(".")
    assert complaint.mend.endswith(".")


def test_loopback_inside_a_container_is_the_container():
    settings = BackendSettings.model_validate({"type": "ollama", "url": "http://localhost:11434"})
    findings = BackendFindings(name="desk", settings=settings, contact=Contact.REFUSED)
    (complaint,) = about_backend(findings, in_container=True)
    assert "host.docker.internal" in complaint.mend


def test_remote_services_may_have_short_limits():
    limits = {"first_token": 5, "idle": 5}
    settings = BackendSettings.model_validate({"type": "openai", "url": "https://api.example.com", "timeouts": limits})
    (complaint,) = about_backend(BackendFindings(name="lab", settings=settings, contact=Contact.SILENT))
    assert complaint.code == "silent"
