"""A real SimpleSeller and a real SimpleBuyer trade N keys over two sessions of one market.

    trade.py --keys 100 --price 35 --serializer json

Sets both channels up first, unless the delegates have one. Prints one JSON line: what each side counted, what
the market says at the end, and `agree`, whether the three match to the unit. Exit code 1 where they do not.
"""

import sys

import market as m
from data import Meter, buy_one
from xbr_compat import Buyer, Seller


async def main(options):
    seller_key, buyer_key = m.load_key(options.seller_key_file), m.load_key(options.buyer_key_file)
    seller_login, buyer_login = (m.Login.of_delegate(key, options.ticket) for key in (seller_key, buyer_key))
    seller_serializer, buyer_serializer = options.seller_serializer, options.buyer_serializer
    selling = await m.connect(options.url, seller_serializer or options.serializer, options.realm, login=seller_login)
    buying = await m.connect(options.url, buyer_serializer or options.serializer, options.realm, login=buyer_login)
    market = await m.Market.read(buying, options.market_maker)
    if options.deposit:
        await m.open_paying_channel(selling, market, m.address_of(seller_key), options.deposit)
        await m.open_payment_channel(buying, market, m.address_of(buyer_key), options.deposit)

    # A seller that is logged in serves under its authid.
    provider_id = seller_login.authid if seller_login else options.provider_id
    seller = Seller(market.marketmaker, seller_key, provider_id)
    meter = Meter(seller)
    meter.add_series(options.price)
    seller_start = await seller.start(selling)
    await meter.serve(selling, options.name)
    buyer = Buyer(market.marketmaker, buyer_key, options.max_price)
    buyer_start = await buyer.start(buying, "py-buyer")

    purchases = []
    for _ in range(options.keys):
        purchases.append(await buy_one(buying, buyer, options.name))

    paid, spent_inflight, paid_seq = await m.balance(buying, m.PAYMENT, buyer.channel_oid)
    owed, owed_inflight, owed_seq = await m.balance(selling, m.PAYING, seller.channel_oid)
    prices = [purchase["price"] for purchase in purchases]
    # What a market on a chain leaves its sellers of each price, rounded down.
    credits = [int(price) * (100 - options.fee_percent) // 100 for price in prices]
    spent, earned = buyer_start - buyer.remaining, seller_start - seller.remaining
    agree = (
        credits == [int(sale["price"]) for sale in seller.sales]
        and [purchase["key_id"] for purchase in purchases] == [sale["key_id"] for sale in seller.sales]
        and spent == sum(map(int, prices))
        and earned == sum(credits)
        and (paid, spent_inflight, paid_seq) == (buyer.remaining, 0, buyer.seq)
        and (owed, owed_inflight, owed_seq) == (seller.remaining, 0, seller.seq)
    )
    m.emit(
        sold=len(seller.sales),
        bought=len(purchases),
        decrypted=sum(purchase["payload_ok"] for purchase in purchases),
        seller_balance=str(seller.remaining),
        buyer_balance=str(buyer.remaining),
        market_paying_balance=str(owed),
        market_payment_balance=str(paid),
        seller_seq=seller.seq,
        buyer_seq=buyer.seq,
        spent=str(spent),
        earned=str(earned),
        prices=prices,
        payment_channel=buyer.channel_oid.hex(),
        paying_channel=seller.channel_oid.hex(),
        agree=agree,
    )
    await buying.leave()
    await selling.leave()
    if not agree:
        sys.exit(1)


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1, help="keys to trade")
    parser.add_argument("--price", type=m.tokens, default="35", help="the seller's fixed price in tokens, 0 for free")
    parser.add_argument("--max-price", type=m.tokens, default="1000000", help="what the buyer pays per key at most")
    parser.add_argument("--deposit", type=m.tokens, default="10000", help="tokens in each channel; 0: they are open")
    parser.add_argument("--seller-serializer", choices=sorted(m.SERIALIZERS))
    parser.add_argument("--buyer-serializer", choices=sorted(m.SERIALIZERS))
    parser.add_argument("--seller-key-file")
    parser.add_argument("--buyer-key-file")
    parser.add_argument("--fee-percent", type=int, default=0, help="the market's fee, out of each price")
    parser.add_argument("--provider-id")
    parser.add_argument("--ticket", help="both log in as their delegates by this ticket (default: anonymously)")
    parser.add_argument("--name", default="trade", help="the part of the data service's URI that both use")
    m.run(main, parser.parse_args())
