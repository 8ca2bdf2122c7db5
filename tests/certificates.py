"""A certificate for 127.0.0.1 that vouches for itself, made anew for each test: no key lies in the repository."""

import base64
import hashlib
import random
from pathlib import Path

RSA = "2a864886f70d010101"
SHA256_WITH_RSA = "2a864886f70d01010b"
SHA256 = "608648016503040201"
COMMON_NAME, ALTERNATIVE_NAME = "550403", "551d11"
EXPONENT = 65537
NULL = b"\x05\x00"


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate and of its key, 2048 bits of RSA. Good enough for a test and for nothing else."""
    p, q = _prime(1024), _prime(1024)
    modulus, secret = p * q, pow(EXPONENT, -1, (p - 1) * (q - 1))
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(_pem("CERTIFICATE", _certificate(modulus, secret)))
    rest = (secret % (p - 1), secret % (q - 1), pow(q, -1, p))
    numbers = (0, modulus, EXPONENT, secret, p, q, *rest)
    key.write_text(_pem("RSA PRIVATE KEY", _sequence(*map(_integer, numbers))))
    return certificate, key


def _certificate(modulus: int, secret: int) -> bytes:
    """Source: RFC 5280, section 4.1."""
    signed_with = _sequence(_name(SHA256_WITH_RSA), NULL)
    who = _sequence(_der(0x31, _sequence(_name(COMMON_NAME), _der(0x0C, b"test only"))))
    valid = _sequence(_der(0x17, b"200101000000Z"), _der(0x17, b"491231235959Z"))
    public = _sequence(_sequence(_name(RSA), NULL), _bits(_sequence(_integer(modulus), _integer(EXPONENT))))
    address = _sequence(_der(0x87, bytes([127, 0, 0, 1])))
    extensions = _der(0xA3, _sequence(_sequence(_name(ALTERNATIVE_NAME), _der(0x04, address))))
    version = _der(0xA0, _integer(2))
    body = _sequence(version, _integer(1), signed_with, who, valid, who, public, extensions)
    return _sequence(body, signed_with, _bits(_signature(body, modulus, secret)))


def _signature(body: bytes, modulus: int, secret: int) -> bytes:
    """Source: RFC 8017, section 8.2."""
    size = (modulus.bit_length() + 7) // 8
    digest = _sequence(_sequence(_name(SHA256), NULL), _der(0x04, hashlib.sha256(body).digest()))
    padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    return pow(int.from_bytes(padded, "big"), secret, modulus).to_bytes(size, "big")


def _prime(bits: int) -> int:
    source = random.SystemRandom()
    while True:
        # The two highest bits, so that the product of two has all of its bits.
        candidate = source.getrandbits(bits) | 3 << (bits - 2) | 1
        if candidate % EXPONENT != 1 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7)):
            return candidate


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _bits(content: bytes) -> bytes:
    return _der(0x03, b"\x00" + content)


def _name(oid: str) -> bytes:
    return _der(0x06, bytes.fromhex(oid))


def _pem(kind: str, content: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(content).decode()}-----END {kind}-----\n"
