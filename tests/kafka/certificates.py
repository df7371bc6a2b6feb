"""A certificate authority for one test, with the certificates that a broker and its clients show each other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class Credential:
    """A certificate and its key, as PEM, and in files for clients."""

    certificate: str
    key: str
    certificate_file: Path
    key_file: Path


class Authority:
    """Issues certificates; its own is in ``file``."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        made = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate = _pem(made.sign(self._key, hashes.SHA256()))
        self.file = folder / "authority.pem"
        self.file.write_text(self.certificate)

    def issue(self, name: str, address: str = "127.0.0.1") -> Credential:
        """A credential for ``name``, good for servers at ``address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(name), key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        certificate = _pem(builder.sign(self._key, hashes.SHA256()))
        # PKCS 8, unencrypted: what Kafka's PEM stores take.
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_text(certificate)
        files[1].write_text(secret)
        return Credential(certificate, secret, *files)

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
