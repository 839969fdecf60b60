"""Funds members of a local market and opens the channels a pair of delegates needs.

    setup_channels.py --seller-key-file S --buyer-key-file B --amount 1000

Prints one JSON line per channel.
"""

import market as m


async def main(options):
    session = await m.connect(options.url, options.serializer, options.realm)
    market = await m.Market.read(session, options.market_maker)
    wanted = (
        ("paying", options.seller_key_file, options.seller_actor_key_file, m.open_paying_channel),
        ("payment", options.buyer_key_file, options.buyer_actor_key_file, m.open_payment_channel),
    )
    for kind, delegate_file, actor_file, open_one in wanted:
        if delegate_file is None:
            continue
        delegate = m.address_of(m.load_key(delegate_file))
        actor_key = m.load_key(actor_file)
        channel = await open_one(session, market, delegate, options.amount, actor_key)
        m.emit(
            kind=kind,
            channel=channel.hex(),
            delegate="0x" + delegate.hex(),
            actor="0x" + m.address_of(actor_key).hex(),
            amount=str(options.amount),
        )
    await session.leave()


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seller-key-file", help="the seller delegate's key; opens a paying channel for it")
    parser.add_argument("--seller-actor-key-file", help="its member's key (default: a fresh one)")
    parser.add_argument("--buyer-key-file", help="the buyer delegate's key; opens a payment channel for it")
    parser.add_argument("--buyer-actor-key-file", help="its member's key (default: a fresh one)")
    parser.add_argument("--amount", type=m.tokens, default="1000", help="tokens per channel")
    m.run(main, parser.parse_args())
