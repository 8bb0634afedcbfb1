"""Certificates for tests: signed by themselves, for localhost and 127.0.0.1."""
import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

import tokens


def write(directory, stem, name='localhost'):
    """Writes STEM.pem and STEM.key; returns the two paths."""
    key = tokens.ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
    builder = builder.public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=30))
    builder = builder.add_extension(x509.SubjectAlternativeName([
        x509.DNSName('localhost'), x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]),
        critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0),
                                    critical=True)
    signed = builder.sign(key, hashes.SHA256())
    certificate, private = directory / (stem + '.pem'), directory / (stem + '.key')
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(tokens.private_pem(key))
    return certificate, private


def trust(certificate):
    """A client's context that trusts this certificate alone."""
    return ssl.create_default_context(cafile=str(certificate))


def common_name(stream):
    """The name in the certificate that the peer of a Stream has shown."""
    der = stream.sock.getpeercert(binary_form=True)
    found = x509.load_der_x509_certificate(der).subject
    return found.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
