"""Reaching a market and setting up what a trade needs: a session, keys, test tokens, channels.

The channels are opened with the typed-data signature of the xbr library itself, so a market that accepts them
has its EIP-712 checked by code it does not share.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import uuid
from dataclasses import dataclass
from urllib.parse import urlparse

import xbr_compat  # noqa: F401  (sets txaio up, before autobahn is imported)

import eth_keys
import xbr
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import ComponentConfig

SERIALIZERS = {"cbor": CBORSerializer, "json": JsonSerializer, "msgpack": MsgPackSerializer}

TOKEN = 10**18
PAYMENT = 1
PAYING = 2
# Local mode accepts any block from 1 on; off-chain states of XBR carry 1 as well.
OPENED_AT = 1
FAUCET_LIMIT = 10**7 * TOKEN


def tokens(text):
    """Whole or fractional tokens as base units, without a float on the way: `35`, `0.5`."""
    whole, _, fraction = text.partition(".")
    if not (whole + fraction).isdigit() or len(fraction) > 18:
        raise argparse.ArgumentTypeError(f"`{text}` is not an amount of tokens, such as 35 or 0.5")
    return int(whole or "0") * TOKEN + int(fraction.ljust(18, "0"))


def address(text):
    """`0x` and 40 hex digits as 20 bytes."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address: expected 0x and 40 hex digits")
    return raw


def address_of(key):
    """The address of a 32-byte private key."""
    return eth_keys.keys.PrivateKey(key).public_key.to_canonical_address()


def load_key(path):
    """The private key in `path` (hex); a fresh one, written there for its owner alone, if the file is missing.

    Without a path the key lives in this process only.
    """
    if path is None:
        return secrets.token_bytes(32)
    try:
        with open(path, encoding="ascii") as file:
            key = bytes.fromhex(file.read().strip().removeprefix("0x"))
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
    if len(key) != 32:
        raise SystemExit(f"{path}: expected 64 hex digits of a private key, got {len(key)} bytes")
    return key


def emit(**record):
    """One JSON line on standard output; amounts go in as decimal strings, since they pass 2^64."""
    print(json.dumps(record), flush=True)


class _Session(ApplicationSession):
    def __init__(self, realm, joined, login):
        super().__init__(ComponentConfig(realm=realm))
        self._joined, self._login = joined, login

    def onConnect(self):
        if self._login is None:
            self.join(self.config.realm)
        else:
            self.join(self.config.realm, ["ticket"], self._login.authid)

    def onChallenge(self, challenge):
        return self._login.ticket

    def onJoin(self, details):
        self._joined.set_result(self)

    def onLeave(self, details):
        if not self._joined.done():
            self._joined.set_exception(ConnectionError(f"not let in: {details.reason}: {details.message}"))
        self.disconnect()

    def onDisconnect(self):
        # What waits for an answer will not get one.
        super().onDisconnect()
        if not self._joined.done():
            self._joined.set_exception(ConnectionError("the connection ended before the session was joined"))


@dataclass(frozen=True)
class Login:
    """Who logs in by a ticket."""

    authid: str
    ticket: str

    @classmethod
    def of_delegate(cls, key, ticket):
        """The delegate of a private key; nobody without a ticket."""
        return cls(f"delegate-{address_of(key).hex()}", ticket) if ticket else None


async def connect(url, serializer="cbor", realm="realm1", timeout=10, login=None):
    """A joined session at `url`: `ws://host:port/path`, or `rs://host:port` for RawSocket. Anonymous without a login."""
    loop = asyncio.get_running_loop()
    joined = loop.create_future()
    parts = urlparse(url)

    def session():
        return _Session(realm, joined, login)

    if parts.scheme == "ws":
        factory = WampWebSocketClientFactory(session, url=url, serializers=[SERIALIZERS[serializer]()])
    elif parts.scheme == "rs":
        factory = WampRawSocketClientFactory(session, serializer=SERIALIZERS[serializer]())
    else:
        raise SystemExit(f"`{url}` is no address of a market: expected ws://host:port/path or rs://host:port")
    await loop.create_connection(factory, parts.hostname, parts.port or 8080)
    return await asyncio.wait_for(joined, timeout)


@dataclass(frozen=True)
class Market:
    """What `get_config` says, in the raw form that signatures want."""

    market: bytes
    marketmaker: bytes
    owner: bytes
    chain_id: int
    contract: bytes

    @classmethod
    async def read(cls, session, expected_marketmaker=None):
        config = await session.call("xbr.marketmaker.get_config")
        found = cls(
            market=uuid.UUID(config["market"]).bytes,
            marketmaker=address(config["marketmaker"]),
            owner=address(config["owner"]),
            chain_id=config["verifying_chain_id"],
            contract=address(config["verifying_contract_adr"]),
        )
        if expected_marketmaker is not None and expected_marketmaker != found.marketmaker:
            raise SystemExit(
                f"the market maker is 0x{found.marketmaker.hex()}, expected 0x{expected_marketmaker.hex()}"
            )
        return found


async def fund(session, member, amount):
    """Asks the faucet of a local market for `amount` base units, in grants as large as it gives."""
    while amount:
        grant = min(amount, FAUCET_LIMIT)
        await session.call("bourse.dev.fund", member, xbr.pack_uint256(grant))
        amount -= grant


async def open_channel(session, market, ctype, actor_key, delegate, amount):
    """Opens a payment or paying channel of `amount` base units for `delegate`; gives its id."""
    actor = address_of(actor_key)
    channel = uuid.uuid4().bytes
    recipient = market.owner if ctype == PAYMENT else actor
    signature = xbr.sign_eip712_channel_open(
        actor_key,
        market.chain_id,
        market.contract,
        ctype,
        OPENED_AT,
        market.market,
        channel,
        actor,
        delegate,
        market.marketmaker,
        recipient,
        amount,
    )
    result = await session.call(
        "xbr.marketmaker.open_channel",
        actor,
        market.market,
        channel,
        market.chain_id,
        OPENED_AT,
        market.contract,
        ctype,
        delegate,
        market.marketmaker,
        recipient,
        xbr.pack_uint256(amount),
        signature,
    )
    for key, sent in (("channel_oid", channel), ("market_oid", market.market)):
        if result[key] != sent:
            raise SystemExit(f"open_channel answered {key} {result[key]!r} for {sent!r}")
    return channel


async def open_payment_channel(session, market, delegate, amount, actor_key=None):
    """Funds the buyer's member and opens a channel from it to the market."""
    actor_key = actor_key or secrets.token_bytes(32)
    await fund(session, address_of(actor_key), amount)
    return await open_channel(session, market, PAYMENT, actor_key, delegate, amount)


async def open_paying_channel(session, market, delegate, amount, actor_key=None):
    """Opens a channel from the market, out of its own tokens, to the seller's member."""
    return await open_channel(session, market, PAYING, actor_key or secrets.token_bytes(32), delegate, amount)


async def balance(session, ctype, channel):
    """`(remaining, inflight, seq)` as the market keeps them; remaining and inflight in base units."""
    kind = "payment" if ctype == PAYMENT else "paying"
    record = await session.call(f"xbr.marketmaker.get_{kind}_channel_balance", channel)

    def amount(value):
        return xbr.unpack_uint256(value) if isinstance(value, bytes) else value

    return amount(record["remaining"]), amount(record["inflight"]), record["seq"]


def arguments(description):
    """A parser with the options every script here shares."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws", help="ws://host:port/path or rs://host:port")
    parser.add_argument("--realm", default="realm1")
    parser.add_argument("--serializer", choices=sorted(SERIALIZERS), default="cbor")
    parser.add_argument(
        "--market-maker", type=address, metavar="0x..", help="refuse to trade with anybody else (default: ask the market)"
    )
    parser.add_argument("--verbose", action="store_true", help="the library's own log on standard error")
    return parser


def run(main, options):
    """Runs a script; any failure ends in one JSON line `{"error": ..}` and exit code 1."""
    if options.verbose:
        import txaio

        txaio.start_logging(out=sys.stderr, level="debug")
    try:
        asyncio.run(main(options))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        uri = getattr(error, "error", None)
        emit(error=uri or type(error).__name__, message=str(error))
        if options.verbose:
            raise
        sys.exit(1)
