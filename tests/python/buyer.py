"""Runs the real xbr SimpleBuyer against a market: fetches readings of a seller, buys their keys, decrypts them.

Its payment channel must be open (setup_channels.py, or --channel here). Prints one JSON line per purchase and a
line with its totals at the end.
"""

import market as m
from data import buy_one
from xbr_compat import Buyer


async def main(options):
    session = await m.connect(options.url, options.serializer, options.realm)
    market = await m.Market.read(session, options.market_maker)
    key = m.load_key(options.key_file)
    if options.channel:
        await m.open_payment_channel(session, market, m.address_of(key), options.channel)

    buyer = Buyer(market.marketmaker, key, options.max_price)
    start = await buyer.start(session, "py-buyer")
    bought = decrypted = 0
    while bought < options.count:
        purchase = await buy_one(session, buyer, options.name)
        if purchase is None:
            break
        bought += 1
        decrypted += purchase["payload_ok"]
        m.emit(event="bought", **purchase)
    m.emit(
        event="done",
        bought=bought,
        decrypted=decrypted,
        spent=str(start - buyer.remaining),
        balance=str(buyer.remaining),
        seq=buyer.seq,
    )
    await session.leave()


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--key-file", help="the delegate's private key (default: a fresh one)")
    parser.add_argument("--count", type=int, default=1, help="keys to buy")
    parser.add_argument("--max-price", type=m.tokens, default="1000000", help="tokens per key at most")
    parser.add_argument("--name", default="py", help="the part of the data service's URI that the seller chose")
    parser.add_argument("--channel", type=m.tokens, help="open a payment channel of so many tokens first")
    m.run(main, parser.parse_args())
