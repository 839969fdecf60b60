"""What the seller and the buyer beside this file share: the original XBR classes on today's libraries, a session with a
market, and what a developer needs before trading: tokens and channels.
"""

import argparse
import asyncio
import os
import secrets
import uuid

import txaio

txaio.use_asyncio()

import web3  # noqa: E402

# web3 6 renamed these two; xbr calls the old names.
web3.Web3.toBytes = getattr(web3.Web3, "toBytes", web3.Web3.to_bytes)
web3.Web3.toInt = getattr(web3.Web3, "toInt", web3.Web3.to_int)

import eth_keys  # noqa: E402
import xbr  # noqa: E402
from autobahn.asyncio.wamp import ApplicationSession  # noqa: E402
from autobahn.asyncio.websocket import WampWebSocketClientFactory  # noqa: E402
from autobahn.wamp.exception import ApplicationError  # noqa: E402
from autobahn.wamp.serializer import CBORSerializer  # noqa: E402
from autobahn.wamp.types import ComponentConfig  # noqa: E402

TOKEN = 10**18
PAYMENT, PAYING = 1, 2


class KeySeries(xbr.KeySeries):
    """The library leaves open how a series begins: here with its first key on sale."""

    log = txaio.make_logger()

    async def start(self):
        await self._rotate()

    async def stop(self):
        pass


class Seller(xbr.SimpleSeller):
    """The original, which is told its kind of series, and tells what it sold."""

    KeySeries = KeySeries

    def sell(self, *args, **kwargs):
        receipt = super().sell(*args, **kwargs)
        key, price, left = receipt["key_id"].hex(), in_tokens(receipt["amount"]), in_tokens(receipt["balance"])
        print(f"sold {key} for {price}, {left} left at seq {receipt['channel_seq']}", flush=True)
        return receipt


def tokens(text):
    """Whole or fractional tokens as base units, without a float on the way."""
    whole, _, fraction = text.partition(".")
    if not (whole + fraction).isdigit() or len(fraction) > 18:
        raise argparse.ArgumentTypeError(f"`{text}` is not an amount of tokens, such as 35 or 0.5")
    return int(whole or "0") * TOKEN + int(fraction.ljust(18, "0"))


def in_tokens(units):
    """Base units as people write tokens."""
    whole, fraction = divmod(units, TOKEN)
    return f"{whole}.{fraction:018}".rstrip("0").rstrip(".")


def load_key(path):
    """The private key in a file, in hex; a fresh one, written there, if there is no file."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
    except FileExistsError:
        pass
    with open(path, encoding="ascii") as file:
        key = bytes.fromhex(file.read().strip().removeprefix("0x"))
    if len(key) != 32:
        raise SystemExit(f"{path}: expected 64 hex digits of a private key")
    return key


def address_of(key):
    return eth_keys.keys.PrivateKey(key).public_key.to_canonical_address()


class _Session(ApplicationSession):
    def onJoin(self, details):
        self.config.extra.set_result(self)

    def onLeave(self, details):
        if not self.config.extra.done():
            self.config.extra.set_exception(ConnectionError(f"{details.reason}: {details.message}"))
        self.disconnect()


async def join(url, realm):
    """A joined session, over a WebSocket and in CBOR: in MessagePack this seller cannot spell 2^64 and more."""
    loop = asyncio.get_running_loop()
    joined = loop.create_future()
    try:
        factory = WampWebSocketClientFactory(
            lambda: _Session(ComponentConfig(realm=realm, extra=joined)), url=url, serializers=[CBORSerializer()]
        )
    except ValueError as error:
        raise SystemExit(f"{url} is no address of a market, such as ws://127.0.0.1:8080/ws: {error}") from None
    await loop.create_connection(factory, factory.host, factory.port, ssl=True if factory.isSecure else None)
    return await asyncio.wait_for(joined, 10)


async def open_channel(session, ctype, key, amount):
    """Opens a channel whose actor is its own delegate. A buyer's takes test tokens from the faucet first."""
    config = await session.call("xbr.marketmaker.get_config")
    market, channel, me = uuid.UUID(config["market"]).bytes, uuid.uuid4().bytes, address_of(key)
    marketmaker, owner, contract = (
        bytes.fromhex(config[name].removeprefix("0x")) for name in ("marketmaker", "owner", "verifying_contract_adr")
    )
    block = (await session.call("xbr.marketmaker.status"))["current_block_no"]
    recipient = owner if ctype == PAYMENT else me
    if ctype == PAYMENT:
        await session.call("bourse.dev.fund", me, xbr.pack_uint256(amount))
    chain = config["verifying_chain_id"]
    signature = xbr.sign_eip712_channel_open(
        key, chain, contract, ctype, block, market, channel, me, me, marketmaker, recipient, amount
    )
    await session.call(
        "xbr.marketmaker.open_channel",
        me, market, channel, chain, block, contract, ctype, me, marketmaker, recipient, xbr.pack_uint256(amount), signature,
    )  # fmt: skip


async def need_channel(session, ctype, key):
    """Ends with what would help where the delegate has no channel to trade on."""
    name = "payment" if ctype == PAYMENT else "paying"
    if not await session.call(f"xbr.marketmaker.get_active_{name}_channel", address_of(key)):
        raise SystemExit(f"the delegate has no {name} channel; `--open 1000` opens one")


async def marketmaker_of(session):
    config = await session.call("xbr.marketmaker.get_config")
    return bytes.fromhex(config["marketmaker"].removeprefix("0x"))


def arguments(description):
    """A parser with what both take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--realm", default="realm1")
    parser.add_argument("--key", required=True, help="the delegate's private key; made if there is none")
    parser.add_argument("--open", type=tokens, help="first open a channel with so many tokens")
    parser.add_argument("--uri", default="io.example.readings", help="where readings are published")
    return parser


def run(main, options):
    try:
        asyncio.run(main(options))
    except KeyboardInterrupt:
        pass
    except ApplicationError as error:
        raise SystemExit(f"{error.error} {error.args[0] if error.args else ''}") from None
    except ConnectionRefusedError:
        raise SystemExit(f"no session at {options.url}: nobody listens; does a market run there?") from None
    except (OSError, asyncio.TimeoutError) as error:
        raise SystemExit(f"no session at {options.url}: {error or type(error).__name__}") from None
