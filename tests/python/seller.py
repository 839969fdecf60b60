"""Runs the real xbr SimpleSeller against a market until it has sold its keys.

Its paying channel must be open (setup_channels.py, or --channel here). Prints `ready`, one JSON line per sale,
and a line with its totals at the end.
"""

import asyncio

import market as m
from data import Meter
from xbr_compat import Seller


async def main(options):
    session = await m.connect(options.url, options.serializer, options.realm)
    market = await m.Market.read(session, options.market_maker)
    key = m.load_key(options.key_file)
    if options.channel:
        await m.open_paying_channel(session, market, m.address_of(key), options.channel)

    done = asyncio.Event()

    def on_sale(sale):
        m.emit(event="sold", **sale)
        if len(seller.sales) >= options.keys:
            done.set()

    seller = Seller(market.marketmaker, key, options.provider_id, on_sale)
    meter = Meter(seller, options.keys)
    meter.add_series(options.price)
    start = await seller.start(session)
    await meter.serve(session, options.name)
    m.emit(
        event="ready",
        delegate="0x" + seller.address.hex(),
        provider_id=seller.provider_id,
        channel=seller.channel_oid.hex(),
        balance=str(start),
        seq=seller.seq,
    )

    await asyncio.wait_for(done.wait(), options.seconds)
    # The answer to the last sale leaves this process only after `sell` has returned.
    await asyncio.sleep(options.linger)
    m.emit(
        event="done",
        sold=len(seller.sales),
        earned=str(start - seller.remaining),
        balance=str(seller.remaining),
        seq=seller.seq,
    )
    await session.leave()


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--key-file", help="the delegate's private key (default: a fresh one)")
    parser.add_argument("--keys", type=int, default=1, help="keys to sell")
    parser.add_argument("--price", type=m.tokens, default="35", help="tokens per key")
    parser.add_argument("--provider-id", help="default: the delegate's public key, as the library has it")
    parser.add_argument("--name", default="py", help="the part of the data service's URI that buyers name")
    parser.add_argument("--channel", type=m.tokens, help="open a paying channel of so many tokens first")
    parser.add_argument("--seconds", type=float, default=600, help="give up after this long")
    parser.add_argument("--linger", type=float, default=0.5, help="seconds to stay after the last sale")
    m.run(main, parser.parse_args())
