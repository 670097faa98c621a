"""
An application with the bridge beside it: publishes an order every few milliseconds, and its last ones when told to end.

It runs in a container, from the Python of the image, as `python -c`. It says the id of each event that the broker has
confirmed. With CRASH_AFTER it dies without a word after so many.
"""

import asyncio
import json
import os
import signal
import sys

import aio_pika

LAST_WORDS = 40


async def main() -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    count, crash_after = 0, int(os.environ.get("CRASH_AFTER", "0"))
    async with await aio_pika.connect(os.environ["AMQP_URL"]) as connection:
        channel = await queue_is_there(connection)
        while not ending.is_set():
            count += 1
            await publish(channel, count)
            if count == crash_after:
                os._exit(1)
            await asyncio.sleep(0.02)
        for number in range(count + 1, count + 1 + LAST_WORDS):
            await publish(channel, number)


async def queue_is_there(connection: aio_pika.abc.AbstractConnection) -> aio_pika.abc.AbstractChannel:
    """Wait for the bridge to have made it; a channel that asked for what is not there is closed by the broker."""
    while True:
        channel = await connection.channel(publisher_confirms=True)
        try:
            await channel.declare_queue("orders", passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            await asyncio.sleep(0.1)
        else:
            return channel


async def publish(channel: aio_pika.abc.AbstractChannel, number: int) -> None:
    event_id = f"{os.environ['RUN']}-{number}"
    body = json.dumps({"id": event_id, "name": "order.created", "data": {"number": number}}).encode()
    sent = aio_pika.Message(body, message_id=event_id, delivery_mode=2)
    await channel.default_exchange.publish(sent, "orders", mandatory=True)
    sys.stdout.write(json.dumps({"published": event_id}) + "\n")
    sys.stdout.flush()


asyncio.run(main())
