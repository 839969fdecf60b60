"""The real XBR clients, made to import on today's libraries.

`xbr` 26.10.1 still speaks the names of web3 5 and leaves two hooks to a framework package that no longer
ships: how a key series starts, and which series a seller uses. This module fills those gaps and nothing
else; what `SimpleSeller` and `SimpleBuyer` do on the wire is the library's own code, untouched.

Import it before `xbr`.
"""

import txaio

txaio.use_asyncio()

import web3  # noqa: E402

# web3 6 renamed these two; pack_uint256 and unpack_uint256 of xbr call the old names.
if not hasattr(web3.Web3, "toBytes"):
    web3.Web3.toBytes = web3.Web3.to_bytes
if not hasattr(web3.Web3, "toInt"):
    web3.Web3.toInt = web3.Web3.to_int

import xbr  # noqa: E402
from autobahn.wamp.types import RegisterOptions  # noqa: E402


class KeySeries(xbr.KeySeries):
    """A series whose first key is made at start, and whose next ones come by count, as the seller encrypts."""

    log = txaio.make_logger()

    async def start(self):
        await self._rotate()

    async def stop(self):
        return None


class Seller(xbr.SimpleSeller):
    """The library's seller with its key series filled in, and a note of each sale it agreed to."""

    KeySeries = KeySeries

    def __init__(self, market_maker, key, provider_id=None, on_sale=None):
        super().__init__(market_maker, key, provider_id)
        self.sales = []
        self._on_sale = on_sale

    @property
    def seq(self):
        return self._seq

    @property
    def remaining(self):
        return self._balance

    @property
    def channel_oid(self):
        return self._channel["channel_oid"]

    @property
    def address(self):
        return self._addr

    @property
    def provider_id(self):
        return self._provider_id

    async def resume(self, session):
        """Answers on another session with the books it has, where the library's `start` would read the market's.

        For an application that keeps its seller over a lost connection; it registers what `start` registers.
        """
        await session.call("xbr.marketmaker.get_active_paying_channel", self._addr)
        self._session, self._session_regs = session, []
        for name, procedure in (("sell", self.sell), ("close_channel", self.close_channel)):
            uri = f"xbr.provider.{self._provider_id}.{name}"
            options = RegisterOptions(details_arg="details")
            self._session_regs.append(await session.register(procedure, uri, options=options))

    def sell(self, *args, **kwargs):
        receipt = super().sell(*args, **kwargs)
        sale = {
            "key_id": receipt["key_id"].hex(),
            "price": str(receipt["amount"]),
            "seq": receipt["channel_seq"],
            "balance": str(receipt["balance"]),
        }
        self.sales.append(sale)
        if self._on_sale:
            self._on_sale(sale)
        return receipt


class Buyer(xbr.SimpleBuyer):
    """The library's buyer; adds only names for what it keeps."""

    @property
    def seq(self):
        return self._seq

    @property
    def remaining(self):
        return self._balance

    @property
    def channel_oid(self):
        return self._channel["channel_oid"]

    @property
    def address(self):
        return self._addr

    def price_paid(self, key_id):
        """What the last complete transaction over this key cost, in base units; None if there is none."""
        # get_transaction of the library takes index 0 for "not found", so look for ourselves.
        index = self._transaction_idx.get(key_id)
        if index is None or self._transactions[index][1] is None:
            return None
        return self._transactions[index][1].amount
