"""The key that signs: the user's own certificate where one is named, else a chain made at first use.

The key made here proves one thing: that two files were signed on the same installation. Nobody vouches for the name in
it. Whoever needs that sets `VID2VID_CERTIFICATE` and `VID2VID_KEY` to a certificate that others trust.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vid2vid.errors import MarkingError
from vid2vid.folders import sync
from vid2vid.provenance.home import home, private_folder, write_whole

CERTIFICATE_VARIABLE: Final = "VID2VID_CERTIFICATE"
KEY_VARIABLE: Final = "VID2VID_KEY"
TRUST_VARIABLE: Final = "VID2VID_TRUST"
WATERMARK_VARIABLE: Final = "VID2VID_WATERMARK_KEY"
_FOLDER, _KEY, _CHAIN = "signer", "key.pem", "chain.pem"
_YEARS: Final = 10
"""How long a chain made here is good for. Signatures carry no trusted time, so they cannot outlive it."""
_CURVES: Final = {"secp256r1": ("ES256", 32), "secp384r1": ("ES384", 48), "secp521r1": ("ES512", 66)}
_DIGESTS: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "ES256": hashes.SHA256,
    "ES384": hashes.SHA384,
    "ES512": hashes.SHA512,
}

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Who signs."""

    chain: str
    """Certificates in PEM, the signer's first."""
    root: str
    """The last of them: what a reader must trust to trust the signature."""
    fingerprint: str
    """SHA-256 of the signer's certificate, in hexadecimal."""
    name: str
    """Common name in that certificate."""
    algorithm: str
    """Name of the signature's algorithm, such as `ES256`."""
    sign: Callable[[bytes], bytes]
    """Signs bytes, in the form that COSE wants."""
    own: bool
    """Whether the chain was made by vid2vid, so that nobody vouches for it."""


def load_identity() -> Identity:
    """Gives the identity to sign with; makes one at first use.

    Raises:
        MarkingError: the key or the certificate is missing, readable by others, expired or of an unknown kind.
    """
    certificate, key = os.environ.get(CERTIFICATE_VARIABLE), os.environ.get(KEY_VARIABLE)
    if bool(certificate) != bool(key):
        missing = KEY_VARIABLE if certificate else CERTIFICATE_VARIABLE
        raise MarkingError(
            f"Only one of {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} is set. Set {missing} too, or neither to sign "
            "with the key that vid2vid makes."
        )
    if certificate and key:
        return _read(Path(key).expanduser(), Path(certificate).expanduser(), own=False)
    folder = home() / _FOLDER
    try:
        if not folder.is_dir():
            _make(folder)
    except OSError as error:
        raise MarkingError(
            f"The signing key cannot be made in '{folder}' ({error.strerror}). Allow writing there, or set "
            "VID2VID_HOME to another folder. Nothing is rendered without it."
        ) from error
    return _read(folder / _KEY, folder / _CHAIN, own=True)


def trusted_roots() -> str:
    """Root certificates that a reader on this machine trusts, in PEM; nothing is made, what cannot be read is left out.

    They are that of this installation's key, the last one in the user's own chain, and those in the file that
    `VID2VID_TRUST` names.
    """
    own, mine, named = home() / _FOLDER / _CHAIN, os.environ.get(CERTIFICATE_VARIABLE), os.environ.get(TRUST_VARIABLE)
    found = _certificates(own)[-1:]
    found += _certificates(Path(mine).expanduser())[-1:] if mine else []
    found += _certificates(Path(named).expanduser()) if named else []
    return "".join(map(_pem, found))


def _certificates(path: Path) -> list[x509.Certificate]:
    with contextlib.suppress(OSError, ValueError):
        return x509.load_pem_x509_certificates(path.read_bytes())
    return []


def watermark_key() -> int | None:
    """The private key of watermarks that `VID2VID_WATERMARK_KEY` gives, as any text; None for the public one."""
    words = os.environ.get(WATERMARK_VARIABLE)
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") if words else None


def _read(key_path: Path, chain_path: Path, *, own: bool) -> Identity:
    repair = (
        f"Move the folder '{key_path.parent}' away and a new key is made; files signed before then show as signed by "
        "somebody else."
        if own
        else f"Check {KEY_VARIABLE} and {CERTIFICATE_VARIABLE}."
    )
    _check_mode(key_path, repair)
    try:
        chain = x509.load_pem_x509_certificates(chain_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except OSError as error:
        raise MarkingError(f"'{error.filename}' cannot be read ({error.strerror}). {repair}") from error
    except TypeError as error:
        raise MarkingError(f"The key '{key_path}' asks for a password. Give one without. {repair}") from error
    except ValueError as error:
        raise MarkingError(f"'{key_path}' or '{chain_path}' is no key or certificate in PEM. {repair}") from error
    _check_chain(chain, chain_path, repair)
    algorithm, sign = _signing(key, key_path)
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(serialization.Encoding.DER, public) != chain[0].public_key().public_bytes(
        serialization.Encoding.DER, public
    ):
        raise MarkingError(f"The key '{key_path}' is not that of the first certificate in '{chain_path}'. {repair}")
    names = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Identity(
        chain="".join(_pem(one) for one in chain),
        root=_pem(chain[-1]),
        fingerprint=chain[0].fingerprint(hashes.SHA256()).hex(),
        name=str(names[0].value) if names else "unnamed",
        algorithm=algorithm,
        sign=sign,
        own=own,
    )


def _check_mode(path: Path, repair: str) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise MarkingError(f"The signing key '{path}' cannot be read ({error.strerror}). {repair}") from error
    if os.name != "nt" and mode & 0o077:
        raise MarkingError(
            f"The signing key '{path}' may be read by others (mode {mode:04o}). It has to be yours alone: "
            f"chmod 600 '{path}'."
        )


def _check_chain(chain: list[x509.Certificate], path: Path, repair: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for one in chain:
        if now > one.not_valid_after_utc:
            raise MarkingError(f"A certificate in '{path}' expired on {one.not_valid_after_utc:%Y-%m-%d}. {repair}")
        if now < one.not_valid_before_utc:
            raise MarkingError(
                f"A certificate in '{path}' is valid from {one.not_valid_before_utc:%Y-%m-%d} on only. Check the clock "
                f"of this machine. {repair}"
            )


def _signing(key: object, path: Path) -> tuple[str, Callable[[bytes], bytes]]:
    """The algorithm for a key, and what signs with it."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        algorithm, size = _CURVES[key.curve.name]
        digest, private = _DIGESTS[algorithm], key

        def by_curve(content: bytes) -> bytes:
            r, s = decode_dss_signature(private.sign(content, ec.ECDSA(digest())))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")

        return algorithm, by_curve
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519", key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        modulus, scheme = key, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return "PS256", lambda content: modulus.sign(content, scheme, hashes.SHA256())
    raise MarkingError(
        f"The key '{path}' is of a kind that content credentials do not know. P-256, P-384, P-521, Ed25519 and RSA are."
    )


def _make(folder: Path) -> None:
    """Makes key and chain; of two processes that do so at once, the first wins and both use its key."""
    private_folder(folder.parent)
    made = Path(tempfile.mkdtemp(prefix=".signer-", dir=folder.parent))  # created with mode 0700
    try:
        key, chain = _new_chain()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(made / _KEY, private)
        write_whole(made / _CHAIN, "".join(_pem(one) for one in chain).encode(), mode=0o644)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        sync(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _new_chain() -> tuple[ec.EllipticCurvePrivateKey, list[x509.Certificate]]:
    """A signer's key, its certificate, and the root's, whose own key is thrown away so that it signs nothing else."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number() % 0xFFFFFF
    root_name, signer_name = (_name(f"vid2vid {role} {number:06x}") for role in ("root", "installation"))
    root = (
        _certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        _certificate(signer_name, root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return key, [signer, root]


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "vid2vid, self-made key"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
