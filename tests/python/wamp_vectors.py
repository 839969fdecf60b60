"""Writes the messages that autobahn-python tests its own serializers with, as it serializes them: one line for each
message, in JSON, MessagePack and CBOR, each in hex. `host/wamp` reads them in its tests.

    python tests/python/wamp_vectors.py > host/wamp/tests/vectors/autobahn.txt
"""

import txaio

txaio.use_asyncio()

from autobahn.wamp import message, role, serializer  # noqa: E402
from autobahn.wamp.test import test_wamp_serializer as tests  # noqa: E402

SERIALIZERS = [
    serializer.JsonSerializer(),
    serializer.MsgPackSerializer(),
    serializer.CBORSerializer(),
]

# Messages of the advanced profile that its list leaves out.
MORE = [
    message.Welcome(1 << 53, {"broker": role.RoleBrokerFeatures(), "dealer": role.RoleDealerFeatures()}, realm="realm1",
                    authid="a", authrole="b", authmethod="ticket", authprovider="static"),
    message.Abort("wamp.error.no_such_realm", message="nothing here"),
    message.Challenge("wampcra", {"challenge": "{}", "salt": "s", "iterations": 1000, "keylen": 32}),
    message.Authenticate("signature", {"nonce": "n"}),
    message.Cancel(123456, mode="killnowait"),
    message.Interrupt(123456, mode="kill"),
    message.Yield(123456, args=[1], progress=True),
    message.Result(123456, args=[1], progress=True),
    message.Call(123456, "com.myapp.foobar", receive_progress=True),
    message.Register(123456, "com.myapp.", match="prefix", invoke="roundrobin"),
    message.Subscribe(123456, "com..foobar", match="wildcard"),
    message.Publish(123456, "com.myapp.foobar", acknowledge=True, exclude_me=False, eligible=[1, 2]),
    message.Publish(123456, "com.myapp.foobar", exclude_authid=["a"], eligible_authrole=["b"]),
    message.Invocation(1, 2, args=[b"\x00\xff"], caller=7, caller_authid="a", caller_authrole="b"),
    message.Event(1, 2, args=[-1, 1.5, None, True], publisher=7, topic="com.myapp.foobar"),
    message.Error(message.Invocation.MESSAGE_TYPE, 1, "com.myapp.error", args=["no"], kwargs={"a": 1}),
]

seen = set()
for one in tests.generate_test_messages() + tests.generate_test_messages_binary() + MORE:
    if isinstance(one, tuple):
        one = one[-1]
    if any(isinstance(value, bytes) and len(value) > 300 for value in getattr(one, "args", None) or []):
        continue
    line = " ".join(each.serialize(one)[0].hex() for each in SERIALIZERS)
    if line not in seen:
        seen.add(line)
        print(line)
