"""Leaves keys with a market and goes; then the real xbr SimpleBuyer buys them, and decrypts what was encrypted under them.

The offers are signed with the typed-data code of the xbr library, so that the market's own is checked by one that it does
not share. Prints one JSON line with the totals.
"""

import secrets
import uuid

import market as m
from data import is_true, reading
from xbr_compat import Buyer

import cbor2
import nacl.secret
import xbr
from xbr._eip712_base import sign

URI = "com.example.meter."


def sign_key_offer(key, market, key_id, api_id, price):
    """The delegate's EIP712KeyOffer over an offer without a beginning or an end."""
    fields = [
        ("chainId", "uint256", market.chain_id),
        ("verifyingContract", "address", market.contract),
        ("marketId", "bytes16", market.market),
        ("keyId", "bytes16", key_id),
        ("apiId", "bytes16", api_id),
        ("uri", "string", URI),
        ("price", "uint256", price),
        ("dynamic", "bool", False),
        ("validFrom", "uint256", 0),
        ("expires", "uint256", 0),
        ("delegate", "address", m.address_of(key)),
    ]
    return sign(
        key,
        {
            "types": {
                "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "version", "type": "string"}],
                "EIP712KeyOffer": [{"name": name, "type": kind} for name, kind, _ in fields],
            },
            "primaryType": "EIP712KeyOffer",
            "domain": {"name": "XBR", "version": "1"},
            "message": {name: value for name, _, value in fields},
        },
    )


async def leave(session, market, key, price, number):
    """Leaves a fresh key; gives its id and a reading encrypted under it."""
    key_id, api_id, data_key = uuid.uuid4().bytes, uuid.uuid4().bytes, secrets.token_bytes(32)
    await session.call(
        "xbr.marketmaker.place_offer",
        key_id,
        api_id,
        URI,
        0,
        m.address_of(key),
        sign_key_offer(key, market, key_id, api_id, price),
        privkey=data_key,
        price=xbr.pack_uint256(price),
        categories=None,
        expires=None,
        copies=None,
        provider_id=None,
    )
    payload = nacl.secret.SecretBox(data_key).encrypt(cbor2.dumps(reading(number)))
    return key_id, bytes(payload)


async def main(options):
    seller = secrets.token_bytes(32)
    session = await m.connect(options.url, options.serializer, options.realm)
    market = await m.Market.read(session, options.market_maker)
    left = [await leave(session, market, seller, options.price, number) for number in range(options.keys)]
    await session.leave()

    session = await m.connect(options.url, options.serializer, options.realm)
    key = secrets.token_bytes(32)
    await m.open_payment_channel(session, market, m.address_of(key), options.price * options.keys)
    buyer = Buyer(market.marketmaker, key, options.price)
    start = await buyer.start(session, "py-buyer")
    decrypted = 0
    for key_id, ciphertext in left:
        decrypted += is_true(await buyer.unwrap(key_id, "cbor", ciphertext))
    channel = await m.open_paying_channel(session, market, m.address_of(seller), options.price * options.keys)
    record = await session.call("xbr.marketmaker.get_paying_channel_balance", channel)
    m.emit(
        event="done",
        decrypted=decrypted,
        spent=str(start - buyer.remaining),
        owed=str(xbr.unpack_uint256(record["owed"])),
        seq=buyer.seq,
    )
    await session.leave()


if __name__ == "__main__":
    parser = m.arguments(__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=3, help="keys to leave")
    parser.add_argument("--price", type=m.tokens, default="35", help="tokens per key")
    m.run(main, parser.parse_args())
