"""What the seller sells and how the buyer gets it: readings of a meter, each under a key of its own.

The encrypted data travels over the same router as the money, as it does in XBR: the seller registers a plain
procedure, and each call of it answers `(key id, serializer, ciphertext)` under a freshly rotated key.
"""

import os

SERVICE = "com.example.meter"
# One encryption per key: the library's series rotates, and offers the new key, before it encrypts.
KEYS_PER_READING = 1


def reading(number):
    """The payload that belongs to a number; the buyer can tell whether it got the true one."""
    return {"number": number, "celsius": 20.5 + (number % 10), "place": "Zürich", "raw": bytes([number % 256]) * 8}


def is_true(payload):
    """Whether a decrypted payload is one that this seller could have sent."""
    return isinstance(payload, dict) and payload == reading(payload.get("number", 0))


class Meter:
    """A seller's service: encrypts the next reading for whoever asks."""

    def __init__(self, seller, limit=None):
        self._seller = seller
        self._limit = limit
        self._api = os.urandom(16)
        self.served = 0

    def add_series(self, price):
        """Adds the key series to the seller; call it before the seller starts. `price` in base units."""
        self._seller.add(self._api, SERVICE + ".", price, count=KEYS_PER_READING)

    async def serve(self, session, name):
        """Registers `com.example.meter.<name>.read`."""
        await session.register(self.read, f"{SERVICE}.{name}.read")

    async def read(self):
        if self._limit is not None and self.served >= self._limit:
            return None
        number = self.served
        self.served += 1
        key_id, serializer, ciphertext = await self._seller.wrap(self._api, SERVICE, reading(number))
        # nacl answers a subclass of bytes, and the library's own unwrap insists on bytes.
        return [key_id, serializer, bytes(ciphertext)]


async def buy_one(session, buyer, name):
    """Fetches one reading and has the buyer unwrap it; None when the seller has no more.

    Gives a record of the purchase; `price` is None where the key was bought before.
    """
    item = await session.call(f"{SERVICE}.{name}.read")
    if item is None:
        return None
    key_id, serializer, ciphertext = item
    payload = await buyer.unwrap(key_id, serializer, ciphertext)
    return {
        "key_id": key_id.hex(),
        "price": str(buyer.price_paid(key_id)),
        "seq": buyer.seq,
        "balance": str(buyer.remaining),
        "payload_ok": is_true(payload),
    }
