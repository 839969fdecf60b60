"""Publishes a reading every so often, encrypted, and sells the keys: the original SimpleSeller.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python seller.py --key seller.key --open 1000
"""

import asyncio
import random

import delegate
from autobahn.wamp.types import PublishOptions

API = b"example.readings"


async def main(options):
    key = delegate.load_key(options.key)
    session = await delegate.join(options.url, options.realm)
    if options.open:
        await delegate.open_channel(session, delegate.PAYING, key, options.open)
    await delegate.need_channel(session, delegate.PAYING, key)

    seller = delegate.Seller(await delegate.marketmaker_of(session), key)
    # A series makes a new key, and puts it on sale, after so many readings.
    seller.add(API, options.uri, options.price, count=options.rotate)
    await seller.start(session)
    print(f"delegate 0x{delegate.address_of(key).hex()} sells, publishing to {options.uri}", flush=True)

    number = 0
    while session.is_attached():
        number += 1
        reading = {"number": number, "value": random.uniform(0, 100)}
        key_id, serializer, ciphertext = await seller.wrap(API, options.uri, reading)
        # nacl answers a subclass of bytes, which not every serializer takes.
        wrapped = [key_id, serializer, bytes(ciphertext)]
        await session.publish(options.uri, *wrapped, options=PublishOptions(acknowledge=True))
        await asyncio.sleep(options.every)
    raise SystemExit("the market closed the connection")


if __name__ == "__main__":
    parser = delegate.arguments(__doc__.splitlines()[0])
    parser.add_argument("--price", type=delegate.tokens, default="10", help="tokens for a key")
    parser.add_argument("--every", type=float, default=2, help="seconds between two readings")
    parser.add_argument("--rotate", type=int, default=30, help="readings under one key")
    delegate.run(main, parser.parse_args())
