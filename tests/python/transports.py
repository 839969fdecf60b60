"""One autobahn session over any transport: joins, calls an echo, stays idle for a moment, calls again, prints `ok`.

    transports.py URL [CA [VERSION]]

URL is ws, wss, rs, rss, or unix and ws+unix with the path of a socket; VERSION, such as TLSv1_2, is the one version of TLS that
is spoken. The session must still be there after the idle moment: a router that pings over RawSocket would have lost it.
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


async def main(url, authority=None, version=None):
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
        if version:
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        transport, _ = await loop.create_connection(factory, parts.hostname, parts.port, ssl=context)
        if version:
            agreed = transport.get_extra_info("ssl_object").version()
            assert agreed == version.replace("_", "."), agreed
    print(await asyncio.wait_for(result, 20), flush=True)


asyncio.run(main(*sys.argv[1:]))
