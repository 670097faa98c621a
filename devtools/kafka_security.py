"""
Brokers that want to know who comes.

Four listeners: PLAINTEXT, where everybody may do everything (tests look and grant rights there); SSL, which wants a
client's certificate; SASL_PLAINTEXT and SASL_SSL, which take all four mechanisms. Who comes by one of the last three
may do nothing until `devtools.kafka_rights` grants it.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from devtools.kafka_node import PLAIN, SCRAM, Plan

USERS = {"alice": "alice-secret", "bob": "bob-secret"}
"""Passwords of the users that PLAIN and SCRAM know. Their principals are User:alice and User:bob."""

WITH_USERS = ("SASL_PLAINTEXT", "SASL_SSL")

MECHANISMS = ("PLAIN", *SCRAM, "OAUTHBEARER")

MODULES = "org.apache.kafka.common.security"

JAAS = {
    "PLAIN": f"{MODULES}.plain.PlainLoginModule required "
    + " ".join(f'user_{user}="{password}"' for user, password in USERS.items()),
    **dict.fromkeys(SCRAM, f"{MODULES}.scram.ScramLoginModule required"),
    # Its own token is what Kafka wants of a broker, although this one never shows it to anybody.
    "OAUTHBEARER": f'{MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="kafka"',
}


def plan(version: str, certificates: Path, settings: Mapping[str, str]) -> Plan:
    """Return the plan of such a node. `settings` win over what is said here."""
    own = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.ssl.ssl.client.auth": "required",
        **_certificates(certificates),
    }
    for listener in WITH_USERS:
        for mechanism, module in JAAS.items():
            own[f"listener.name.{listener.lower()}.{mechanism.lower()}.sasl.jaas.config"] = f"{module};"
    return Plan(version, {**own, **settings}, (PLAIN, "SSL", *WITH_USERS), USERS)


def _certificates(folder: Path) -> dict[str, str]:
    """Our certificate with its key, and whose certificates we trust, in the settings themselves."""
    ours = (folder / "server.pem").read_text()
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": _blocks(ours, "PRIVATE KEY"),
        "ssl.keystore.certificate.chain": _blocks(ours, "CERTIFICATE"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": _blocks((folder / "ca.pem").read_text(), "CERTIFICATE"),
    }


def _blocks(pem: str, kind: str) -> str:
    return "".join(re.findall(f"-+BEGIN {kind}-+\n[^-]+-+END {kind}-+\n", pem))


def token(subject: str, *, lifetime: float = 3600) -> str:
    """
    Return a token of OAUTHBEARER for the principal User:`subject`, good for `lifetime` seconds from now.

    Nobody has signed it (RFC 7515, appendix A.5), which Kafka's stock validator of tokens for tests asks for.
    """
    now = int(time.time())  # rounded down: a broker refuses a token out of the next millisecond
    claims = {"sub": subject, "iat": now, "exp": now + lifetime}
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
