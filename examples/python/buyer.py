"""Subscribes to encrypted readings, buys the keys it has not got, and prints what it reads: the original SimpleBuyer.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python buyer.py --key buyer.key --open 1000
"""

import asyncio

import delegate
import xbr
from autobahn.wamp.exception import ApplicationError


async def main(options):
    key = delegate.load_key(options.key)
    session = await delegate.join(options.url, options.realm)
    if options.open:
        await delegate.open_channel(session, delegate.PAYMENT, key, options.open)
    await delegate.need_channel(session, delegate.PAYMENT, key)

    buyer = xbr.SimpleBuyer(await delegate.marketmaker_of(session), key, options.max_price)
    left = await buyer.start(session, "example-buyer")
    readings = asyncio.Queue()
    await session.subscribe(lambda *wrapped: readings.put_nowait(wrapped), options.uri)
    print(f"delegate 0x{delegate.address_of(key).hex()} buys, {delegate.in_tokens(left)} left", flush=True)

    # One after the other: each purchase is the next state of the channel.
    while session.is_attached():
        try:
            wrapped = await asyncio.wait_for(readings.get(), 1)
        except asyncio.TimeoutError:
            continue
        try:
            reading = await asyncio.wait_for(buyer.unwrap(*wrapped), 30)
        except (ApplicationError, asyncio.TimeoutError) as error:
            # The library does not ask for this key again; the next one may do.
            print(f"not bought: {error!r}", flush=True)
            continue
        if buyer._balance != left:
            spent, left = left - buyer._balance, buyer._balance
            print(f"bought {wrapped[0].hex()} for {delegate.in_tokens(spent)}, {delegate.in_tokens(left)} left", flush=True)
        print(f"reading {reading['number']}: {reading['value']:.2f}", flush=True)
    raise SystemExit("the market closed the connection")


if __name__ == "__main__":
    parser = delegate.arguments(__doc__.splitlines()[0])
    parser.add_argument("--max-price", type=delegate.tokens, default="35", help="the most to pay for a key, in tokens")
    delegate.run(main, parser.parse_args())
