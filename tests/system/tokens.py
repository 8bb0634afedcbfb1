"""Makes JSON Web Tokens: HS256 by hand, RS256 and ES256 with a key."""
import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def signing_input(claims, alg):
    head = {'alg': alg, 'typ': 'JWT'}
    return '.'.join(b64url(json.dumps(part, separators=(',', ':')).encode())
                    for part in (head, claims))


def hs256(claims, secret='secret', alg='HS256'):
    text = signing_input(claims, alg)
    return text + '.' + b64url(hmac.new(secret.encode(), text.encode(),
                                        hashlib.sha256).digest())


def rs256(claims, key):
    text = signing_input(claims, 'RS256')
    return text + '.' + b64url(key.sign(text.encode(), padding.PKCS1v15(),
                                        hashes.SHA256()))


def es256(claims, key):
    text = signing_input(claims, 'ES256')
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return text + '.' + b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))


def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption())
