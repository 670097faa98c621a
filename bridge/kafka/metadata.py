"""What the client asks about topics."""

from __future__ import annotations

from functools import partial

import aiokafka.client
from aiokafka.protocol.metadata import MetadataRequest


def never_create() -> None:
    """
    Let asking for a topic never create it: a broker would give it settings that lose what is in it.

    The client has no option for that (aiokafka 0.14.0; the field is of KIP-204's request version 4). May be called
    again.
    """
    aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
