"""Sealing secrets at rest. One key for each purpose, derived from the secret key; none is used for two."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from enum import Enum

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.storage.location import StorageProblem

SUBKEY_BYTES = 32


class Purpose(Enum):
    """What a subkey is for. What was sealed for one purpose does not open for another."""

    PROVIDER_SECRETS = "provider secrets"
    KEY_PEPPER = "pepper of API keys"


class Seal:
    """Seals with the first secret key, opens with any of them."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._boxes = {
            purpose: MultiFernet([Fernet(urlsafe_b64encode(subkey(key, purpose))) for key in secret_keys])
            for purpose in Purpose
        }

    def seal(self, secret: str, purpose: Purpose) -> str:
        return self._boxes[purpose].encrypt(secret.encode()).decode("ascii")

    def open(self, sealed: str, purpose: Purpose) -> str:
        """The secret again; raises StorageProblem if none of the keys fits."""
        try:
            return self._boxes[purpose].decrypt(sealed).decode()
        except InvalidToken:
            raise StorageProblem("the database was sealed with another secret key") from None

    def renew(self, sealed: str, purpose: Purpose) -> str:
        """The same secret sealed with the first key; raises like `open`."""
        return self.seal(self.open(sealed, purpose), purpose)


def subkey(secret_key: str, purpose: Purpose) -> bytes:
    """A key that says nothing about the secret key nor about the other subkeys."""
    info = f"turnout/1/{purpose.value}".encode()
    return HKDF(algorithm=SHA256(), length=SUBKEY_BYTES, salt=None, info=info).derive(secret_key.encode())
