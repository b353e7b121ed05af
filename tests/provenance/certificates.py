"""Certificates as users may bring them, good ones and others."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}


def write_pair(
    folder: Path,
    kind: str = "P-256",
    *,
    days: tuple[float, float] = (-10, 300),
    usage: bool = True,
    name: str = "Studio",
) -> tuple[Path, Path, Path]:
    """Writes a root-signed pair; gives the files of the chain, of the key (mode 0600), and of the root."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), KINDS[kind]()
    root = _certificate("Root of " + name, "Root of " + name, root_key.public_key(), (-20, 3000), ca=True)
    root_made = root.sign(root_key, hashes.SHA256())
    leaf = _certificate(name, "Root of " + name, key.public_key(), days, ca=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    if usage:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    pem = serialization.Encoding.PEM
    made = [leaf.sign(root_key, hashes.SHA256()).public_bytes(pem), root_made.public_bytes(pem)]
    files = folder / "chain.pem", folder / "key.pem", folder / "root.pem"
    files[0].write_bytes(b"".join(made))
    files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    files[1].chmod(0o600)
    files[2].write_bytes(made[1])
    return files


def _certificate(
    subject: str, issuer: str, key: Any, days: tuple[float, float], *, ca: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    first, last = (now + datetime.timedelta(days=count) for count in days)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
