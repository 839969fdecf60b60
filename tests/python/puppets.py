"""A real SimpleSeller and a real SimpleBuyer that do what they are told, line by line.

The seller reaches the market at `--seller-url`, which may be a network that loses what it says. Opens both channels,
prints `ready`, and then one JSON line for each line of standard input:

    buy NAME   the buyer fetches a reading of that service, buys its key and decrypts it
    numbers    what each side has on its books, and what the market says
    restart    the seller stops, and starts anew on a new connection: it goes on from what the market says
    resume     the seller comes back on a new connection with the books that it had
    rejoin URL the buyer stops, and starts anew on a connection to a market that may be elsewhere by now
"""

import asyncio
import sys

import market as m
from data import Meter, buy_one
from xbr_compat import Buyer, Seller


class Puppets:
    """Both sides of the trade, each on a connection of its own."""

    def __init__(self, options):
        self._options = options
        self._meters = {}
        self._start = {}

    async def set_up(self):
        options = self._options
        self._buying = await self._connect(options.url)
        self._selling = await self._connect(options.seller_url)
        market = await m.Market.read(self._buying, options.market_maker)
        seller_key, buyer_key = m.load_key(None), m.load_key(None)
        await m.open_paying_channel(self._buying, market, m.address_of(seller_key), options.deposit)
        await m.open_payment_channel(self._buying, market, m.address_of(buyer_key), options.deposit)
        self._seller = Seller(market.marketmaker, seller_key)
        for name, price in (("cheap", options.cheap), ("dear", options.dear)):
            self._meters[name] = Meter(self._seller)
            self._meters[name].add_series(price)
        await self._seller.start(self._selling)
        await self._serve()
        self._buyer = Buyer(market.marketmaker, buyer_key, options.deposit)
        await self._buyer.start(self._buying, "py-buyer")

    async def _connect(self, url):
        return await m.connect(url, self._options.serializer, self._options.realm)

    async def _serve(self):
        for name, meter in self._meters.items():
            await meter.serve(self._selling, name)

    async def buy(self, name):
        try:
            return await buy_one(self._buying, self._buyer, name)
        except Exception as error:
            return {"error": getattr(error, "error", None) or type(error).__name__, "message": str(error)}

    async def numbers(self):
        def pair(party):
            return [party.seq, str(party.remaining)]

        async def told(kind, party):
            remaining, inflight, seq = await m.balance(self._buying, kind, party.channel_oid)
            return [seq, str(remaining)], str(inflight)

        payment, payment_inflight = await told(m.PAYMENT, self._buyer)
        paying, paying_inflight = await told(m.PAYING, self._seller)
        return {
            "buyer": pair(self._buyer),
            "seller": pair(self._seller),
            "payment": payment,
            "paying": paying,
            "inflight": [payment_inflight, paying_inflight],
        }

    async def restart(self):
        await self._seller.stop()
        await self._reconnect_seller()
        await self._seller.start(self._selling)
        await self._serve()
        return {}

    async def resume(self):
        await self._reconnect_seller()
        await self._seller.resume(self._selling)
        await self._serve()
        return {}

    async def _reconnect_seller(self):
        if self._selling.is_attached():
            await self._selling.leave()
        self._selling = await self._connect(self._options.seller_url)

    async def rejoin(self, url):
        await self._buyer.stop()
        self._buying = await self._connect(url)
        await self._buyer.start(self._buying, "py-buyer")
        return {}


async def main(options):
    puppets = Puppets(options)
    await puppets.set_up()
    m.emit(event="ready")
    loop = asyncio.get_running_loop()
    while words := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        command, *arguments = words
        m.emit(**await getattr(puppets, command)(*arguments))


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seller-url", required=True, help="where the seller connects")
    parser.add_argument("--deposit", type=m.tokens, default="1000", help="tokens in each channel")
    parser.add_argument("--cheap", type=m.tokens, default="1", help="tokens for a key of the service `cheap`")
    parser.add_argument("--dear", type=m.tokens, default="4", help="tokens for a key of the service `dear`")
    m.run(main, parser.parse_args())
