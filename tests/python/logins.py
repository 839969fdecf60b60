"""Logs in to a market with the real autobahn, as standard input says, and prints who the router says that it is.

Each line of standard input is one login: {"url", "serializer", "method", "options"}, the options being those of
autobahn's authenticator. Each gets one line of answer: {"session", "authid", "role", "method"}, {"refused": reason}, or
{"failed": why}.
"""

import asyncio
import json
import sys
from urllib.parse import urlparse

import market as m  # sets txaio up, before autobahn is imported

from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import Session
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.types import ComponentConfig


async def log_in(realm, login):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    method, options = login["method"], login["options"]

    def answer(**record):
        if not done.done():
            done.set_result(record)

    class Login(Session):
        def onJoin(self, details):
            answer(
                session=details.session,
                authid=details.authid,
                role=details.authrole,
                method=details.authmethod,
            )
            self.leave()

        def onLeave(self, details):
            answer(refused=details.reason)
            self.disconnect()

        def onDisconnect(self):
            answer(failed="the connection ended")

    session = Login(ComponentConfig(realm=realm))
    session.add_authenticator(create_authenticator(method, **options))
    serializer = m.SERIALIZERS[login["serializer"]]()
    parts = urlparse(login["url"])
    if parts.scheme == "ws":
        factory = WampWebSocketClientFactory(lambda: session, url=login["url"], serializers=[serializer])
    else:
        factory = WampRawSocketClientFactory(lambda: session, serializer=serializer)
    await loop.create_connection(factory, parts.hostname, parts.port)
    try:
        return await asyncio.wait_for(done, 30)
    except TimeoutError:
        return {"failed": "no answer in 30 s"}


async def main(options):
    for line in sys.stdin:
        m.emit(**await log_in(options.realm, json.loads(line)))


if __name__ == "__main__":
    m.run(main, m.arguments(__doc__.splitlines()[0]).parse_args())
