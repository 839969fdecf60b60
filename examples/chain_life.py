"""The whole life of a trade on a chain: channels open, keys are sold, and the contracts pay out.

    cargo build --release
    cargo xtask test -E 'binary(real_clients)'
    target/python/bin/python examples/chain_life.py

The first line builds `bourse`. The second sets up the Python environment with the original XBR clients, under
target/python, and tries them. The third runs this file, in half a minute. It starts a chain and a market in a
temporary folder, and leaves nothing behind; with --data DIR both stay there, to be looked at and started again.

What happens, in the order of `main` at the end:

 1. `bourse dev chain` runs a real node, deploys the XBR contracts, and lets an owner, a buyer and a seller
    register, make a market and join it. `bourse serve` runs the market maker on it.
 2. The seller tells the contract that its delegate may offer what is in its catalog, and the market hears of it.
 3. The buyer and the seller each sign for a channel, and the market maker opens both: the first locks the buyer's
    tokens, the second the market maker's own.
 4. The original SimpleSeller sells keys to the original SimpleBuyer. Not one transaction is sent for that: every
    sale is a newer state of both channels, signed by two delegates and the market maker.
 5. Each delegate signs the last state of its channel for good, the market maker signs it too and shows it to the
    contract, which pays out what the state says.
 6. What everybody holds by then is looked up on the chain and held against what was sold.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The original clients on today's libraries, and a session with a market: what the tests use as well.
sys.path.insert(0, str(ROOT / "tests/python"))

import market as m  # noqa: E402
from data import Meter, buy_one  # noqa: E402
from xbr_compat import Buyer, Seller  # noqa: E402

import xbr  # noqa: E402
from autobahn.wamp.exception import ApplicationError  # noqa: E402
from web3 import HTTPProvider, Web3  # noqa: E402
from web3.logs import DISCARD  # noqa: E402
from xbr import _eip712_base as eip712  # noqa: E402

# The compiled contracts come with the clients.
ABI = pathlib.Path(xbr.__file__).parent / "abi"
# The seller's catalog, which `bourse dev chain` has made.
CATALOG = bytes([0xCA]) * 16
# The type of an actor that sells.
PROVIDER = 1
# Where a channel stands when it has been paid out.
CLOSED = 3
# Seconds that anything here may take.
PATIENCE = 60
# The whole supply of tokens. The market's fee is a part of it, as everything on the chain that is a rate.
SUPPLY = 10**9 * m.TOKEN


# --- Programs: the chain, and the market on it --------------------------------------------------------------------


@contextlib.contextmanager
def running(command, ready):
    """Runs `command` for as long as the `with` lasts. Gives what it says up to the line that starts with `ready`."""
    # What they log of a good life would only stand between the lines of this one.
    quiet = {"RUST_LOG": "warn", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=quiet)
    try:
        said = []
        for line in process.stdout:
            said.append(line.rstrip())
            if line.lstrip().startswith(ready):
                break
        else:
            raise SystemExit(f"`{' '.join(map(str, command))}` ended:\n" + "\n".join(said))
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def find_bourse(given):
    """The program: the one that was named, else the newest that was built here, else the one on the PATH."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / kind / "bourse" for kind in ("release", "debug")]
    built = sorted((path for path in built if path.is_file()), key=lambda path: path.stat().st_mtime)
    found = given or (built[-1] if built else shutil.which("bourse"))
    if not found:
        raise SystemExit("there is no bourse: `cargo build --release` builds it, or name it with --bourse")
    return str(found)


# --- The chain, as everybody sees it ------------------------------------------------------------------------------


class Chain:
    """The node and the contracts, at the addresses that `bourse dev chain` wrote for the market."""

    def __init__(self, settings):
        self.web3 = Web3(HTTPProvider(settings["chain"]["rpc"]))
        where = settings["chain"]["contracts"]
        self.token = self._contract("XBRToken", where["token"])
        self.market = self._contract("XBRMarket", where["market"])
        self.channel = self._contract("XBRChannel", where["channel"])

    def _contract(self, name, address):
        abi = json.loads((ABI / f"{name}.json").read_text())["abi"]
        return self.web3.eth.contract(address=address, abi=abi)

    def head(self):
        return self.web3.eth.block_number

    def holds(self, who):
        """Base units of the token that an address holds."""
        return self.token.functions.balanceOf(who).call()

    def send(self, key, call):
        """Has the owner of `key` call a contract, and waits until that is in a block."""
        sender = self.web3.eth.account.from_key(key)
        transaction = call.build_transaction(
            {"from": sender.address, "nonce": self.web3.eth.get_transaction_count(sender.address)}
        )
        sent = self.web3.eth.send_raw_transaction(sender.sign_transaction(transaction).raw_transaction)
        return self.mined(sent)

    def mined(self, transaction):
        receipt = self.web3.eth.wait_for_transaction_receipt(transaction, timeout=PATIENCE)
        if receipt["status"] != 1:
            raise SystemExit(f"the contract does not take transaction 0x{bytes(transaction).hex()}")
        return receipt


async def until(what, look):
    """Waits until `look` gives something, and gives that."""
    for _ in range(PATIENCE * 10):
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise SystemExit(f"{what}: not so after {PATIENCE} s")


# --- What the parties do ------------------------------------------------------------------------------------------


async def if_any(session, getter, *arguments):
    """What the market has on record; None if there is nothing, or not yet: a block counts when others lie above it."""
    try:
        return await session.call(getter, *arguments)
    except ApplicationError as error:
        if error.error != "crossbar.error.no_such_object":
            raise
        return None


async def newest_block(session, chain):
    """Waits until the market has come to the newest block of now, and gives the newest that it has by then: what is signed
    must name a block that the market knows."""
    head = chain.head()

    async def seen():
        status = await session.call("xbr.marketmaker.get_status")
        number = status["block"]["number"]
        return number if number >= head and status["degraded"] is None else None

    return await until("the market follows the chain", seen)


async def give_consent(session, market, chain, seller_key, delegate):
    """The seller lets its delegate offer what is in its catalog: a transaction of its own."""
    terms = (market.market, Web3.to_checksum_address(delegate), PROVIDER, CATALOG, True, "com.example.")
    chain.send(seller_key, chain.market.functions.setConsent(*terms))

    names = (market.market, m.address_of(seller_key), delegate, PROVIDER, CATALOG)
    return await until(
        "the market hears of the consent", lambda: if_any(session, "xbr.marketmaker.get_consent", *names)
    )


def bind(market, actor, delegate_key):
    """The delegate's word that it is this actor's. Without it anybody could open a channel in anybody's name."""
    fields = {
        "chainId": ("uint256", market.chain_id),
        "verifyingContract": ("address", market.contract),
        "marketId": ("bytes16", market.market),
        "actor": ("address", actor),
        "delegate": ("address", m.address_of(delegate_key)),
    }
    domain = {"name": "XBR", "version": "1"}
    message = {
        "types": {
            "EIP712Domain": [{"name": name, "type": "string"} for name in domain],
            "EIP712DelegateBinding": [{"name": name, "type": kind} for name, (kind, _) in fields.items()],
        },
        "primaryType": "EIP712DelegateBinding",
        "domain": domain,
        "message": {name: value for name, (_, value) in fields.items()},
    }
    return eip712.sign(delegate_key, message)


async def open_channel(session, market, chain, ctype, actor_key, delegate_key, amount):
    """Has the market maker open a channel: the actor signs its terms at the newest block, the delegate that it is
    the actor's. What comes back is the transaction; the channel is there when that is deep enough in the chain."""
    actor, delegate = m.address_of(actor_key), m.address_of(delegate_key)
    channel, opened_at = uuid.uuid4().bytes, await newest_block(session, chain)
    recipient = market.owner if ctype == m.PAYMENT else actor
    where = (market.chain_id, market.contract)
    terms = (actor, delegate, market.marketmaker, recipient)
    signature = xbr.sign_eip712_channel_open(
        actor_key, *where, ctype, opened_at, market.market, channel, *terms, amount
    )
    answer = await session.call(
        "xbr.marketmaker.open_channel",
        actor,
        market.market,
        channel,
        market.chain_id,
        opened_at,
        market.contract,
        ctype,
        delegate,
        market.marketmaker,
        recipient,
        xbr.pack_uint256(amount),
        signature,
        {"delegate_signature": bind(market, actor, delegate_key)},
    )
    chain.mined(answer["transaction"])
    kind = "payment" if ctype == m.PAYMENT else "paying"

    active = f"xbr.marketmaker.get_active_{kind}_channel"
    await until(f"the {kind} channel counts", lambda: if_any(session, active, delegate))
    return channel


async def trade(url, market, keys, price, seller_key, buyer_key):
    """The original clients, each with a session of its own: the seller encrypts readings of a meter, the buyer fetches
    them and buys the keys. Gives what each of them has counted."""
    selling, buying = await m.connect(url), await m.connect(url)
    seller = Seller(market.marketmaker, seller_key)
    meter = Meter(seller)
    meter.add_series(price)
    await seller.start(selling)
    await meter.serve(selling, "example")
    buyer = Buyer(market.marketmaker, buyer_key, price)
    await buyer.start(buying, "buyer")
    for _ in range(keys):
        bought = await buy_one(buying, buyer, "example")
        if not bought["payload_ok"]:
            raise SystemExit(f"what key {bought['key_id']} opens is not what the seller encrypted")
        say(f"  key {bought['key_id'][:8]} for {tokens(int(bought['price']))}, {tokens(buyer.remaining)} left")
    await buying.leave()
    await selling.leave()
    return (buyer.seq, buyer.remaining), (seller.seq, seller.remaining)


async def close(session, market, chain, channel, delegate_key, state):
    """Settles a channel at `state`, its last (seq, balance): the delegate signs it as final over the newest block, the
    market maker signs the same and shows both signatures to the contract. Its answer has them too: anybody may do it."""
    (seq, balance), close_at = state, await newest_block(session, chain)
    signature = xbr.sign_eip712_channel_close(
        delegate_key, market.chain_id, market.contract, close_at, market.market, channel, seq, balance, True
    )
    request = (channel, market.chain_id, close_at, market.contract, xbr.pack_uint256(balance), seq, True, signature)

    async def is_shown():
        # The same request again is answered the same, with the transaction once that is signed.
        answer = await session.call("xbr.marketmaker.close_channel", *request)
        return answer["transaction"]

    receipt = chain.mined(await until("the market maker shows it to the contract", is_shown))
    address = chain.channel.address
    closed = [
        event["args"]
        for log in receipt["logs"]
        if log["address"] == address
        for event in chain.channel.events.Closed().process_receipt({**receipt, "logs": [log]}, errors=DISCARD)
    ]
    return closed[0]


# --- The whole of it ----------------------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def tokens(units):
    """Base units as people read them."""
    whole, rest = divmod(units, m.TOKEN)
    return f"{whole}.{rest:018}".rstrip("0").rstrip(".") + " tokens"


async def main(options, data):
    bourse, price, deposit = find_bourse(options.bourse), options.price, options.deposit
    command = [bourse, "dev", "chain", "--data", data, "--contracts", ABI]
    if options.port or not (data / "chain.toml").exists():
        command += ["--port", str(options.port or free_port())]
    if options.anvil:
        command += ["--anvil", options.anvil]
    say("1. a chain with the contracts and a market, and the market maker on it")
    with contextlib.ExitStack() as programs:
        programs.enter_context(running(command, "next:"))
        settings = tomllib.loads((data / "chain.toml").read_text())
        chain = Chain(settings)
        command = [bourse, "serve", "--config", data / "chain.toml", "--data", data]
        for listener in ("ws", "rs", "http"):
            command += [f"--listen-{listener}", "127.0.0.1:0"]
        said = programs.enter_context(running(command, "next:"))
        url = next(word for line in said for word in line.split() if word.startswith("ws://"))
        say(f"  node {settings['chain']['rpc']}, market {url}")

        session = await m.connect(url)
        market = await m.Market.read(session)
        keys = {
            who: m.load_key(data / "parties" / f"{who}.key")
            for who in ("owner", "buyer", "seller", "buyer-delegate", "seller-delegate")
        }
        parties = {who: Web3.to_checksum_address(m.address_of(keys[who])) for who in ("buyer", "seller", "owner")}
        parties["market maker"] = Web3.to_checksum_address(market.marketmaker)
        before = {who: chain.holds(address) for who, address in parties.items()}

        say("2. the seller's delegate may offer what is in the seller's catalog")
        consent = await give_consent(session, market, chain, keys["seller"], m.address_of(keys["seller-delegate"]))
        say(f"  the market knows: consent is {consent['consent']}")

        say(f"3. two channels of {tokens(deposit)}")
        buyer, seller = (keys["buyer"], keys["buyer-delegate"]), (keys["seller"], keys["seller-delegate"])
        payment = await open_channel(session, market, chain, m.PAYMENT, *buyer, deposit)
        say(f"  payment channel {payment.hex()}: the buyer's tokens")
        paying = await open_channel(session, market, chain, m.PAYING, *seller, deposit)
        say(f"  paying channel {paying.hex()}: the market maker's tokens")

        say(f"4. {options.keys} keys")
        transactions = chain.web3.eth.get_transaction_count(parties["market maker"])
        bought, sold = await trade(url, market, options.keys, price, seller[1], buyer[1])
        sent = chain.web3.eth.get_transaction_count(parties["market maker"]) - transactions
        say(f"  {sent} transactions were sent for it")

        say("5. both channels are closed, and paid out")
        paid = await close(session, market, chain, payment, buyer[1], bought)
        say(f"  payment: {tokens(paid['payout'])} to the market maker, {tokens(paid['refund'])} back to the buyer")
        earned = await close(session, market, chain, paying, seller[1], sold)
        say(f"  paying: {tokens(earned['payout'])} to the seller, {tokens(earned['refund'])} back to the market maker")

        async def is_settled():
            records = [
                await session.call("xbr.marketmaker.get_payment_channel", payment),
                await session.call("xbr.marketmaker.get_paying_channel", paying),
            ]
            return all(record["state"] == CLOSED for record in records)

        await until("the market has both channels for settled", is_settled)

        say("6. what everybody has gained or spent, as the token's contract says")
        gained = {who: chain.holds(address) - before[who] for who, address in parties.items()}
        for who, units in gained.items():
            say(f"  {who:<13} {'-' if units < 0 else '+'}{tokens(abs(units))}")
        fee = chain.market.functions.getMarketFee(market.market).call()
        await session.leave()

    # Over each channel, the contract keeps the market's fee of what is paid. The market maker therefore credits the seller
    # with the price less that fee, so that nothing of it comes out of its own pocket but what is rounded.
    spent = options.keys * price
    credit = options.keys * (price - price * fee // SUPPLY)
    expected = {
        "buyer": -spent,
        "seller": credit - credit * fee // SUPPLY,
        "market maker": spent - spent * fee // SUPPLY - credit,
    }
    wrong = {who: (gained[who], units) for who, units in expected.items() if gained[who] != units}
    if wrong:
        raise SystemExit(f"the chain and the sales do not agree: {wrong}")
    say(f"done: {options.keys} keys sold, {sent} transactions for them, and every unit is where the sales say")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=5, help="keys to trade")
    parser.add_argument("--price", type=m.tokens, default="3.5", help="tokens for each")
    parser.add_argument("--deposit", type=m.tokens, default="100", help="tokens in each channel")
    parser.add_argument("--data", type=pathlib.Path, help="a folder for chain and market (default: one that is removed)")
    parser.add_argument("--port", type=int, help="where the chain's node listens (default: a free port)")
    parser.add_argument("--bourse", help="the program (default: the newest in the target folder)")
    parser.add_argument("--anvil", help="the node (default: fetched once, with npm)")
    given = parser.parse_args()
    with contextlib.ExitStack() as folders:
        folder = given.data or pathlib.Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="bourse-chain-")))
        asyncio.run(main(given, folder))
