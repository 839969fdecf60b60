"""A front that ends TLS: takes connections under one version of it, and passes what comes on to a plain listener here.

    tls_front.py CERTIFICATE KEY VERSION PORT

VERSION is TLSv1_2 or TLSv1_3. Prints the port that it listens on.
"""

import asyncio
import ssl
import sys


async def pass_on(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(certificate, key, version, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    async def serve(reader, writer):
        from_there, to_there = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.gather(pass_on(reader, to_there), pass_on(from_there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
