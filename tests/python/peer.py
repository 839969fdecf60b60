"""autobahn-python in the matrix of tests/tests/interop: logs in as told, and tries calls and events in both directions.

Reads one JSON object a line, with `url`, `realm`, `serializer`, `method` and what that needs to log in; writes one a line:
who it is by then and what it found, or `{"error": ..}`. tests/js/peer.js is the same in JavaScript.
"""

import asyncio
import json
import sys

import txaio

txaio.use_asyncio()

import market  # noqa: E402
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory  # noqa: E402
from autobahn.asyncio.wamp import ApplicationSession  # noqa: E402
from autobahn.asyncio.websocket import WampWebSocketClientFactory  # noqa: E402
from autobahn.wamp.auth import AuthScram, create_authenticator  # noqa: E402
from autobahn.wamp.exception import ApplicationError  # noqa: E402
from autobahn.wamp.types import CallResult, ComponentConfig, PublishOptions, RegisterOptions, SubscribeOptions  # noqa: E402
from urllib.parse import urlparse  # noqa: E402

PATIENCE = 15
FAR = "com.example.far"
NEAR = "com.example.near"
ERROR = "com.example.error.wrong"


def pattern(length):
    """Bytes of every kind, NUL among them."""
    return bytes((length + 31 * index) % 256 for index in range(length))


class Scram(AuthScram):
    """The library answers with bytes, where WAMP wants a text."""

    def on_challenge(self, session, challenge):
        return super().on_challenge(session, challenge).decode("ascii")


def authenticator(cell):
    method = cell["method"]
    if method == "anonymous":
        return create_authenticator("anonymous")
    if method == "ticket":
        return create_authenticator("ticket", authid=cell["authid"], ticket=cell["secret"])
    if method == "wampcra":
        return create_authenticator("wampcra", authid=cell["authid"], secret=cell["secret"])
    if method == "scram":
        return Scram(authid=cell["authid"], password=cell["secret"])
    if method == "cryptosign":
        return create_authenticator("cryptosign", authid=cell["authid"], privkey=cell["secret"])
    raise ValueError(f"no method {method}")


class Peer(ApplicationSession):
    def __init__(self, cell, joined):
        super().__init__(ComponentConfig(realm=cell["realm"]))
        self._joined = joined
        self._authid = cell.get("authid")
        self._authenticator = authenticator(cell)

    def onConnect(self):
        proof = self._authenticator
        self.join(self.config.realm, authmethods=[proof.name], authid=self._authid, authextra=proof.authextra)

    def onChallenge(self, challenge):
        return self._authenticator.on_challenge(self, challenge)

    def onWelcome(self, welcome):
        # Where the router has proven nothing, this says so, and the session is not joined.
        return self._authenticator.on_welcome(self, welcome.authextra)

    def onJoin(self, details):
        self._joined.set_result(details)

    def onLeave(self, details):
        if not self._joined.done():
            self._joined.set_exception(ConnectionError(f"not let in: {details.reason}: {details.message}"))
        self.disconnect()

    def onUserError(self, failure, message):
        # A procedure that raises is part of the test.
        pass

    def onDisconnect(self):
        super().onDisconnect()
        if not self._joined.done():
            self._joined.set_exception(ConnectionError("the connection ended before the session was joined"))


async def join(cell):
    joined = asyncio.get_running_loop().create_future()
    made = []

    def make():
        peer = Peer(cell, joined)
        made.append(peer)
        return peer

    serializer = market.SERIALIZERS[cell["serializer"]]()
    parts = urlparse(cell["url"])
    if parts.scheme == "ws":
        factory = WampWebSocketClientFactory(make, url=cell["url"], serializers=[serializer])
    else:
        factory = WampRawSocketClientFactory(make, serializer=serializer)
    await asyncio.get_running_loop().create_connection(factory, parts.hostname, parts.port)
    details = await joined
    return made[0], details


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


async def serve(session, events):
    def echo(*args, details, **kwargs):
        who = {"caller": details.caller, "authid": details.caller_authid, "authrole": details.caller_authrole}
        return CallResult(*args, **kwargs, **who)

    def wrong(details):
        raise ApplicationError(ERROR, "as agreed", pattern(20), code=-7)

    def heard(*args, **kwargs):
        events.put_nowait(list(args))

    options = RegisterOptions(details_arg="details")
    await session.register(echo, NEAR + ".echo", options=options)
    await session.register(wrong, NEAR + ".wrong", options=options)
    await session.subscribe(heard, NEAR + ".heard", options=SubscribeOptions())


async def call(session, details):
    sent = [pattern(20), pattern(65), "Zürich", -7, None]
    result = await session.call(FAR + ".echo", *sent, deep={"bytes": pattern(20)})
    expect("echoed", list(result.results), sent)
    mine = {"caller": details.session, "authid": details.authid, "authrole": details.authrole}
    expect("echoed by name, with the caller's details", result.kwresults, {"deep": {"bytes": pattern(20)}, **mine})
    try:
        await session.call(FAR + ".wrong")
    except ApplicationError as error:
        expect("error", error.error, ERROR)
        expect("error's args", list(error.args), ["as agreed", pattern(20)])
        expect("error's kwargs", error.kwargs, {"code": -7})
    else:
        raise AssertionError("an error was expected")


async def try_out(cell):
    session, details = await join(cell)
    try:
        events = asyncio.Queue()
        await serve(session, events)
        await call(session, details)
        for eligible, word in ((cell["eligible"], "for you"), (details.session, "for me")):
            options = PublishOptions(acknowledge=True, eligible=[eligible], exclude_me=False)
            await session.publish(FAR + ".heard", word, pattern(65), options=options)
        # The far side calls what was registered here, and publishes here: once for this session, once for another.
        seen = await session.call(FAR + ".try_me", details.session)
        expect("the event", await asyncio.wait_for(events.get(), PATIENCE), ["for you", pattern(65)])
        expect("events for others", events.qsize(), 0)
        return {
            "session": details.session,
            "authid": details.authid,
            "authrole": details.authrole,
            "authmethod": details.authmethod,
            "seen": seen,
        }
    finally:
        if session.is_attached():
            await session.leave()


async def main():
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        try:
            found = await asyncio.wait_for(try_out(json.loads(line)), PATIENCE)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


asyncio.run(main())
