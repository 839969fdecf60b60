"""One autobahn session over any transport: joins, calls an echo, stays idle for a moment, calls again, prints `ok`.

    transports.py URL [CA]

URL is ws, wss, rs, rss, or unix and ws+unix with the path of a socket. The session must still be there after the idle
moment: a router that pings over RawSocket would have lost it.
"""

import asyncio
import ssl
import sys
from urllib.parse import urlparse

from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.serializer import CBORSerializer
from autobahn.wamp.types import ComponentConfig

IDLE = 1.0


class Caller(ApplicationSession):
    async def onJoin(self, details):
        try:
            for payload in (b"\x07" * 20, b"\x07" * 65):
                answer = await self.call("bourse.echo", payload)
                assert answer == payload, answer
                await asyncio.sleep(IDLE)
            self.config.extra.set_result("ok")
        except BaseException as error:
            self.config.extra.set_result(repr(error))

    def onDisconnect(self):
        if not self.config.extra.done():
            self.config.extra.set_result("disconnected")


async def main(url, authority=None):
    parts = urlparse(url)
    result = asyncio.get_running_loop().create_future()

    def session():
        return Caller(ComponentConfig("realm1", result))

    if parts.scheme.startswith("ws"):
        request = "ws://localhost/ws" if parts.scheme == "ws+unix" else url
        factory = WampWebSocketClientFactory(session, url=request, serializers=[CBORSerializer()])
    else:
        factory = WampRawSocketClientFactory(session, serializer=CBORSerializer())
    loop = asyncio.get_running_loop()
    if parts.scheme.endswith("unix"):
        await loop.create_unix_connection(factory, parts.path)
    else:
        context = ssl.create_default_context(cafile=authority) if parts.scheme in ("wss", "rss") else None
        await loop.create_connection(factory, parts.hostname, parts.port, ssl=context)
    print(await asyncio.wait_for(result, 20), flush=True)


asyncio.run(main(*sys.argv[1:]))
