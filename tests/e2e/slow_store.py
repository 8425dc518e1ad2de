# SPDX-License-Identifier: BSD-3-Clause
"""slow_store.py ADDRESS PORT TO SECONDS: passes connections to ADDRESS:PORT on to port TO of this host, and each answer so
many seconds later."""
import asyncio
import sys

ADDRESS, PORT, TO, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])


async def copy(reader, writer, delay):
    try:
        while data := await reader.read(65536):
            await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(reader, writer):
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", TO)
    await asyncio.gather(copy(reader, up_writer, 0), copy(up_reader, writer, SECONDS))


async def main():
    server = await asyncio.start_server(serve, ADDRESS, PORT)
    async with server:
        await server.serve_forever()

asyncio.run(main())
